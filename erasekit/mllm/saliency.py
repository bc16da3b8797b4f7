"""Which weights matter to which questions: the mask of MMUnlearner."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from erasekit.data.questions import Questions
from erasekit.models.llava import MODULES, Mllm, batches
from erasekit.unlearn.saliency import ratio_mask


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


def saliency_mask(
    mllm: Mllm,
    forget: Questions,
    retain: Questions,
    text: Questions,
    parameters: dict[str, nn.Parameter],
    *,
    threshold: float,
    batch: int,
) -> dict[str, Tensor]:
    """True where a weight matters to the forgotten `threshold` times what it does to the rest.

    The language model is preserved against visual and text questions, tower and projector
    against visual ones alone: no text passes through them.
    """
    against = squared_gradient(mllm, retain, parameters, batch)
    words = [k for k in parameters if in_module(k, "language")]
    if words and len(text):
        told = squared_gradient(mllm, text, {k: parameters[k] for k in words}, batch)
        share = len(text) / (len(text) + len(retain))
        for name in words:
            against[name] = (1 - share) * against[name] + share * told[name]
    return ratio_mask(squared_gradient(mllm, forget, parameters, batch), against, threshold)


def in_module(name: str, module: str) -> bool:
    """Whether a parameter is of a module; LoRA's adapters wrap names in one of their own."""
    return any(prefix in f".{name}" for prefix in (f".{p}" for p in MODULES[module]))
