"""How an erasure is run, whatever the method and the kind of model; without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from erasekit.errors import UsageError, unknown
from erasekit.settings import DECLARED, check, default
from erasekit.unlearn.moves import parse_moves


@dataclass(frozen=True)
class EraseSpec:
    """How an erasure is run, whatever the method.

    Attributes:
        steps: at most; `stop_at` may end it earlier.
        forget_batch, retain_batch: rows of each set in a step: pairs of a CLIP, questions about
            pictures of a multimodal language model.
        text_batch: questions in words alone in a step of a multimodal language model.
        learning_rate: of Adam, betas (0.9, 0.98) as CLIPErase reports; it falls to zero
            along a cosine, so that the retained settle once the forgotten are gone.
        stop_at: stop as soon as the validation top-1 on the forgotten concepts is
            this or less at two checks in a row; below 0 never stops.
        check_every: steps between two looks at the validation split.
        seed: of the order of the pairs.
        precision: auto, fp32, bf16 or fp16.
        moves: which weights may move, joined by +: all; image, text or projection of a CLIP;
            vision, projector or language of a multimodal language model; last:N (the last N
            blocks of each tower), lora:R (adapters of rank R in their place, merged at the
            end). The others stay the original's, bit for bit.
        salient: MMUnlearner's mask for any method (arXiv 2502.11051): of the weights that may
            move only those do whose squared gradient on the forget rows is at least so many
            times that on the retain rows. The others stay the original's, bit for bit. 0: no
            mask.
        micro_batch: rows that go through the model at once; 0 for all. The gradient is the
            same, of the whole batch; memory is that of so many rows, and time grows by a
            third. It is what gradient accumulation is to a loss without negatives.
        compile: backend of torch.compile for a CLIP's towers, such as inductor; empty for none. It
            pays in long runs on a GPU, and changes results in the last digits.
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
        if not self.check_every >= 1:  # nan, too
            raise UsageError(f"check_every = {self.check_every} must be at least 1")
        parse_moves(self.moves)

    def with_fields(self, **fields: Any) -> EraseSpec:
        """The same with some fields replaced.

        Raises:
            UsageError: for a field that does not exist, or a value that does not fit.
        """
        for name in fields:
            if name not in self.__dataclass_fields__:
                raise unknown("parameter", name, self.__dataclass_fields__)
        return replace(self, **fields)

    def for_epochs(self, epochs: float, pairs: int) -> EraseSpec:
        """The same for so many epochs.

        Looks at the validation split, and with them checkpoints, grow as rare as keeps them a
        hundredth of a long run.

        Args:
            epochs: times that the retain set is gone through, a fraction too.
            pairs: of the retain set.
        """
        steps = max(1, math.ceil(epochs * pairs / self.retain_batch))
        return replace(self, steps=steps, check_every=max(self.check_every, steps // 100))
