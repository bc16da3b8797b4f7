"""Trainings that are noted instead of carried out, behind the real cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from erasekit.data.pairs import Pairs
from erasekit.experiment.clip_experiment import Experiment
from erasekit.loop import LoopResult
from erasekit.models import train_clip
from erasekit.models.train_spec import TrainSpec


@dataclass(frozen=True)
class Training:
    """What `train_clip` was given."""

    label: str
    pairs: Pairs
    spec: TrainSpec
    folder: Path


@contextmanager
def trainings(cache: Path) -> Iterator[list[Training]]:
    """Every training of the block, none of which takes place."""
    found: list[Training] = []

    def note(world, pairs, spec, folder, *, label, **rest) -> LoopResult:
        found.append(Training(label, pairs, spec, folder))
        return LoopResult(steps=spec.steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ERASEKIT_CACHE", str(cache))
        patch.setattr(train_clip, "train_clip", note)
        patch.setattr(Experiment, "load", lambda self, source, *_: source)
        yield found
