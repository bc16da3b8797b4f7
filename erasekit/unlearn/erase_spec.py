"""Parameters of an erasure that are common to all methods and kinds of model; without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from erasekit.errors import UsageError, unknown
from erasekit.settings import DECLARED, check, default
from erasekit.unlearn.moves import parse_moves


@dataclass(frozen=True)
class EraseSpec:
    """Parameters of an erasure that are common to all methods.

    Attributes:
        steps: maximum number of steps; `stop_at` may end the erasure earlier.
        forget_batch, retain_batch: rows of each set per step: pairs for a CLIP, visual questions
            for a multimodal language model.
        text_batch: text-only questions per step, for a multimodal language model.
        learning_rate: initial learning rate of Adam, with betas (0.9, 0.98) as CLIPErase reports.
            A cosine schedule lowers it to zero, so that retained concepts stabilise at the end.
        stop_at: stop when the validation top-1 on the forgotten concepts is at most this at two
            checks in a row; never if negative.
        check_every: steps between two validation checks.
        seed: seed of the order of the rows.
        precision: auto, fp32, bf16 or fp16.
        moves: weights that may move, joined by +: all; image, text or projection of a CLIP;
            vision, projector or language of a multimodal language model; last:N (the last N
            blocks of each tower); lora:R (adapters of rank R instead of the weights, merged at
            the end). All other weights stay bit-identical to the original's.
        salient: threshold of MMUnlearner's mask (arXiv 2502.11051), for any method: a weight
            moves only if its squared gradient on the forget rows is at least this many times that
            on the retain rows. All other weights stay bit-identical. 0 for no mask.
        micro_batch: rows that go through the model at once; 0 for all. The gradient is still that
            of the whole batch. Memory falls to that of this many rows, and time grows by a third.
            Unlike gradient accumulation, it also works for losses with in-batch negatives.
        compile: backend of torch.compile for a CLIP's towers, such as inductor; empty for none. It
            pays off in long runs on a GPU, and changes the last digits of the results.
    """

    steps: int = default("steps")
    forget_batch: int = default("forget_batch")
    retain_batch: int = default("retain_batch")
    text_batch: int = default("text_batch")
    learning_rate: float = default("learning_rate")
    stop_at: float = default("stop_at")
    check_every: int = 10
    seed: int = default("seed")
    precision: str = default("precision")
    moves: str = default("moves")
    salient: float = default("salient")
    micro_batch: int = default("micro_batch")
    compile: str = default("compile")

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name in DECLARED:
                check(field.name, getattr(self, field.name))
        if not self.check_every >= 1:  # also refuses nan
            raise UsageError(f"check_every = {self.check_every} must be at least 1")
        parse_moves(self.moves)

    def with_fields(self, **fields: Any) -> EraseSpec:
        """A copy with some fields replaced.

        Raises:
            UsageError: for an unknown field, or a value that does not fit.
        """
        for name in fields:
            if name not in self.__dataclass_fields__:
                raise unknown("parameter", name, self.__dataclass_fields__)
        return replace(self, **fields)

    def for_epochs(self, epochs: float, pairs: int) -> EraseSpec:
        """A copy with the number of steps for `epochs` epochs.

        In a long run, validation checks and checkpoints become rarer, at most about 100 in total.

        Args:
            epochs: passes over the retain set; may be a fraction.
            pairs: number of pairs in the retain set.
        """
        steps = max(1, math.ceil(epochs * pairs / self.retain_batch))
        return replace(self, steps=steps, check_every=max(self.check_every, steps // 100))
