"""The report of the training recipes: its arithmetic, and its own part of the results."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        return importlib.import_module("training")


def test_the_ratio_counts_the_steps_and_the_table_the_seeds(script, tmp_path, monkeypatch):
    out = tmp_path / "RESULTS.md"
    out.write_text("# What erasing costs\n\n12\n\n# Training with Muon\n\nold\n\n# Last\n\n3\n")
    monkeypatch.setattr(script, "steps", lambda *given: {"AdamW": [0.2, 0.4], "Muon": [0.2, 0.2]})
    values = iter(range(100))

    def quality(world, recipe, seeds):
        rows = [{name: float(next(values)) for name, *_ in script.MEASURES} for _ in range(seeds)]
        return {"original": rows, "oracle": rows}

    monkeypatch.setattr(script, "quality", quality)
    script.main(["--out", str(out), "--seeds", "2"])
    text = out.read_text()
    # 300 steps of 0.2 s against 700 of 0.2 and of 0.4 s
    assert "it takes 0.32 (0.21 to 0.43) of the time" in text
    assert "| AdamW | 300 ms | 210 s |" in text and "| Muon | 200 ms | 60 s |" in text
    first = "| zero-shot, forget set | 3.00 (0.00 to 6.00) | 15.00 (12.00 to 18.00) |"
    assert first in text
    assert "old" not in text
    headings = [line for line in text.splitlines() if line.startswith("# ")]
    assert headings == ["# What erasing costs", "# Training with Muon", "# Last"]


def test_the_step_that_is_timed_is_the_recipes_own(script, monkeypatch):
    from erasekit.models import train_clip

    made = []
    whole = train_clip.optimizer_of
    monkeypatch.setattr(
        train_clip, "optimizer_of", lambda *given: made.append(whole(*given)) or made[-1]
    )
    tiny = {"profile": "smoke", "threads": 1, "train_batch": 8, "pictures": 2, "scenes": 8}
    for recipe in script.RECIPES.values():
        script.stepper(tiny, recipe)()
    assert [type(optimizer).__name__ for optimizer in made] == ["AdamW", "Muon"]
    assert all(optimizer.state for optimizer in made)
