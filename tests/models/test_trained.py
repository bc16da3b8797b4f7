"""A trained model is kept with what it cost, and found again by all that decides it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from erasekit.files import read_json
from erasekit.loop import LoopResult
from erasekit.models.trained import cost_of, trained

GIVEN = {
    "recipe": {"train": {"steps": 3}, "pairs": "abc"},
    "code": "erasekit.models.train_clip",
    "device": torch.device("cpu"),
    "precision": "auto",
}


def train(folder: Path) -> LoopResult:
    (folder / "model").write_text("weights")
    return LoopResult(steps=3, seconds=1.234)


def test_a_model_is_trained_once_and_its_cost_kept(empty_cache: Path) -> None:
    folder = trained("oracle", train=train, **GIVEN)
    assert folder.name.startswith("oracle-")
    cost = cost_of(folder)
    assert (cost["seconds"], cost["steps"]) == (1.23, 3) and cost["cpu_seconds"] >= 0

    def again(folder: Path) -> LoopResult:
        raise AssertionError("trained again")

    assert trained("oracle", train=again, **GIVEN) == folder


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": {**GIVEN["recipe"], "pairs": "abd"}},
        {"device": torch.device("meta")},
        {"precision": "bf16"},
        {"code": "erasekit.models.train_llava"},
    ],
)
def test_all_that_decides_a_training_is_in_its_key(empty_cache: Path, change: dict) -> None:
    first = trained("oracle", train=train, **GIVEN)
    assert trained("oracle", train=train, **{**GIVEN, **change}) != first


def test_the_thread_count_is_in_the_key(empty_cache: Path, monkeypatch) -> None:
    first = trained("oracle", train=train, **GIVEN)
    assert read_json(first / "manifest.json")["recipe"]["threads"] == torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert trained("oracle", train=train, **GIVEN) != first
