"""Which weights matter to which questions: what a mask is made of."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from erasekit.data.question_list import Questions
from erasekit.data.question_task import MllmTask
from erasekit.models.mllm import MODULES, Mllm, batches

#: Questions that must go, that the mean of their squared gradients is over, at most.
MOST = 512


def squared_gradient(
    mllm: Mllm, questions: Questions, parameters: dict[str, nn.Parameter], batch: int
) -> dict[str, Tensor]:
    """F: the mean over batches of the squared gradient of the answers' cross-entropy.

    Args:
        questions: visual ones first.
        parameters: by name; only theirs is computed.
        batch: questions a gradient is taken over.

    Source: MMUnlearner, arXiv 2502.11051.
    """
    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    parts = list(batches(questions, batch))
    for part in parts:
        likelihood, tokens = mllm.log_likelihood(mllm.encode(part))
        loss = -likelihood.sum() / tokens.sum()
        if not loss.requires_grad:  # words alone do not pass through tower and projector
            continue
        gradients = torch.autograd.grad(
            loss, list(parameters.values()), allow_unused=True, materialize_grads=True
        )
        for name, gradient in zip(total, gradients, strict=True):
            total[name] += gradient.detach() ** 2 / len(parts)
    return total


class AnswerLook:
    """What a method may ask about an original's weights before the first step.

    Args:
        mllm: a copy of the original, whose `parameters` require gradients.
        task: what must go and what must stay.
        parameters: all that may move, by name.
        batch: questions a gradient is taken over.
        seed: of the draws: at most `MOST` questions that must go, and for each of them four
            visual questions and one text question that must stay.
    """

    def __init__(
        self, mllm: Mllm, task: MllmTask, parameters: dict[str, nn.Parameter], batch: int, seed: int
    ) -> None:
        self._mllm, self._parameters, self._batch = mllm, parameters, batch
        rng = np.random.default_rng(seed)
        self._forget = _draw(rng, task.forget, MOST)
        self._retain = _draw(rng, task.retain, 4 * len(self._forget))
        self._text = _draw(rng, task.text, len(self._forget))

    def forget(self) -> dict[str, Tensor]:
        """F of the visual questions that must go, by parameter name."""
        return squared_gradient(self._mllm, self._forget, self._parameters, self._batch)

    def preserve(self) -> dict[str, Tensor]:
        """F of what must stay, by parameter name.

        For the language model that is visual and text questions, for tower and projector visual
        ones alone: no text passes through them.
        """
        found = squared_gradient(self._mllm, self._retain, self._parameters, self._batch)
        words = {k: v for k, v in self._parameters.items() if in_module(k, "language")}
        if words and len(self._text):
            told = squared_gradient(self._mllm, self._text, words, self._batch)
            share = len(self._text) / (len(self._text) + len(self._retain))
            for name in words:
                found[name] = (1 - share) * found[name] + share * told[name]
        return found


def _draw(rng: np.random.Generator, questions: Questions, most: int) -> Questions:
    return questions.take(np.sort(rng.permutation(len(questions))[:most]))


def in_module(name: str, module: str) -> bool:
    """Whether a parameter is of a module; LoRA's adapters wrap names in one of their own."""
    return any(prefix in f".{name}" for prefix in (f".{p}" for p in MODULES[module]))
