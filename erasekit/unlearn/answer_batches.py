"""Adapter for multimodal language models: the questions of each step and their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from erasekit import processes
from erasekit.data.question_list import Questions, same_words
from erasekit.device import autocast
from erasekit.errors import UsageError
from erasekit.models.mllm import Encoded, Mllm
from erasekit.models.mllm import batches as in_batches
from erasekit.unlearn.adapter import Adapter, Which
from erasekit.unlearn.answers import Answers
from erasekit.unlearn.encode import in_pieces
from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.method import Method
from erasekit.unlearn.moves import LANGUAGE_PARTS

#: Maximum number of forget questions in a sample.
MOST = 512
# Maximum number of questions of each set in a validation check.
_MOST_ASKED = 200


class QuestionTask(Protocol):
    """The interface of a task that the adapter uses.

    Attributes:
        forget, retain: visual questions.
        text: text-only questions, which are retained too.
        validation: recognition questions on the validation split, under ``forget`` and
            ``retain``; empty if there is no such split.
    """

    @property
    def forget(self) -> Questions: ...
    @property
    def retain(self) -> Questions: ...
    @property
    def text(self) -> Questions: ...
    @property
    def validation(self) -> Mapping[str, Questions]: ...
    def describe(self) -> dict: ...


class AnswerBatches(Adapter[Mllm]):
    """A multimodal language model being erased, and the questions of each step.

    A retain batch holds visual questions, then text questions. With `Method.turns`, forget and
    retain batches are separate steps.
    """

    kind = "language"
    parts = LANGUAGE_PARTS
    fused = False

    task: QuestionTask

    def __init__(
        self,
        original: Mllm,
        task: QuestionTask,
        method: Method,
        spec: EraseSpec,
        frozen: Any = None,
    ) -> None:
        super().__init__(original, task, method, spec, frozen)
        if spec.stop_at >= 0 and not task.validation:
            raise UsageError(f"stop_at = {spec.stop_at:g}: this task has no validation split")
        if spec.compile:
            raise UsageError(
                f"compile = {spec.compile}: answers differ in length, so a language model would "
                "be recompiled for every batch: leave it out"
            )
        rng = np.random.default_rng(spec.seed)
        forget = _draw(rng, task.forget, MOST)
        retain = _draw(rng, task.retain, 4 * len(forget))
        text = _draw(rng, task.text, len(forget))
        self._drawn: dict[str, Questions] = {"forget": forget, "retain": retain, "text": text}
        self.text_share = len(text) / (len(text) + len(retain))

    def plan(self) -> None:
        task, spec = self.task, self.spec
        self._turns = self.method.turns(len(task.forget), len(task.retain))
        sets = (
            (task.forget, spec.forget_batch),
            (task.retain, spec.retain_batch),
            (task.text, spec.text_batch),
        )
        self._plans = [
            _plan(len(questions), spec.steps, size, spec.seed + place)
            for place, (questions, size) in enumerate(sets)
        ]

    def at(self, step: int) -> tuple[Answers | None, Answers | None]:
        forget, retain = self.questions(step)
        before, divergences = self.method.needs_original_forget, self.method.needs_original
        return (
            None if forget is None else self._answers(forget, before=before),
            None if retain is None else self._answers(retain, divergences=divergences),
        )

    def questions(self, step: int) -> tuple[Questions | None, Questions | None]:
        """The forget and retain questions of a step."""
        task, method = self.task, self.method
        forget, seen, told = (
            questions.take(plan[step])
            for questions, plan in zip(
                (task.forget, task.retain, task.text), self._plans, strict=True
            )
        )
        retain = Questions(seen.items + told.items, seen.images)
        if self._turns:
            climbs = step % (self._turns + 1) == 0
            return (forget, None) if climbs else (None, retain)
        return forget if method.needs_forget else None, retain if method.needs_retain else None

    def sample(self, which: Which, batches: int | None) -> Sequence[Callable[[], Answers]]:
        """Batches as large as a step's retain batch.

        A sample has at most `MOST` forget questions and, for each of them, up to four visual
        retain questions and one text question.
        """
        parts = list(in_batches(self._drawn[which], self.spec.retain_batch))[:batches]
        return [lambda part=part: self._answers(part) for part in parts]

    def validation(self) -> dict[str, float]:
        """Exact-match accuracy on validation questions about pictures."""
        found = {}
        for name, questions in self.task.validation.items():
            asked = questions.take(range(0, len(questions), -(-len(questions) // _MOST_ASKED)))
            said = self.erased.answer(asked)
            right = [same_words(a, q.answer) for a, q in zip(said, asked, strict=True)]
            found[f"validation_{name}"] = float(np.mean(right))
        return found

    def adapts(self, name: str, layer: nn.Module) -> bool:
        """Every linear layer except the last, which may share its weights with the embedding."""
        return isinstance(layer, nn.Linear) and not name.endswith("lm_head")

    def reads_text(self, name: str) -> bool:
        return bool(self.parts.holds["language"](name))

    def _answers(
        self, questions: Questions, *, before: bool = False, divergences: bool = False
    ) -> Answers:
        """Likelihoods of the right answers under the current model.

        Processes that share an erasure split the questions. If there are fewer questions than
        processes, as in the last batch of a list, each process computes all of them.
        """
        n, size = len(questions), self.spec.micro_batch
        shared = processes.several() and n >= processes.launched()
        mine = questions.take(processes.share(torch.arange(n)).numpy()) if shared else questions
        pieces = [self.erased.encode(part) for part in (in_batches(mine, size) if size else [mine])]

        def compute(encoded: Encoded) -> tuple[Tensor | None, ...]:
            with autocast(self.erased.device, self.spec.precision):
                likelihood, tokens, now = self.erased.likelihoods(encoded)
                if not before and not divergences:
                    return -likelihood, tokens, None, None
                with torch.no_grad():
                    likelihood_before, _, once = self.original.likelihoods(encoded)
            apart = (once.exp() * (once - now)).sum(1) if divergences else None
            return -likelihood, tokens, -likelihood_before if before else None, apart

        columns = zip(*in_pieces(compute, pieces), strict=True)
        found = Answers(*(None if c[0] is None else torch.cat(c) for c in columns))  # type: ignore
        return self._gathered(found, n) if shared else found

    def _gathered(self, mine: Answers, n: int) -> Answers:
        """Gather the answers of all processes; differentiable."""

        def gather(column: Tensor | None, sizes: list[int] | int) -> Tensor | None:
            return None if column is None else processes.gather(column.unsqueeze(1), sizes)[:, 0]

        moving = [p for p in self.erased.model.parameters() if p.requires_grad]
        # Every process needs a gradient of every weight, but text-only rows skip the image tower.
        nll = mine.nll + 0 * torch.stack([p.flatten()[0] for p in moving]).sum()
        tokens = gather(mine.tokens, n)
        assert tokens is not None
        counts = [int(part.sum()) for part in tokens.split(processes.shares(n))]
        return Answers(
            gather(nll, n),  # type: ignore[arg-type]
            tokens,
            gather(mine.before, n),
            gather(mine.divergences, counts),
        )


def _draw(rng: np.random.Generator, questions: Questions, most: int) -> Questions:
    return questions.take(np.sort(rng.permutation(len(questions))[:most]))


def _plan(n: int, steps: int, size: int, seed: int) -> np.ndarray:
    """Row indices of each step, from repeated shuffled passes over a list."""
    rng = np.random.default_rng(seed)
    rounds = -(-steps * size // n) if n else 0
    order = np.concatenate([rng.permutation(n) for _ in range(rounds)] or [np.empty(0, int)])
    return order[: steps * size].reshape(steps, size) if n else np.empty((steps, 0), int)
