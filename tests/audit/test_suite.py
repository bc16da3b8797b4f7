"""The audit as a whole: rows, verdicts of tests, the file, and the known answers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from erasekit.audit.audit_result import Audit


def test_an_audit_has_a_row_for_every_model(small: Audit):
    frame = small.frame()
    for _, part in frame.groupby(["test", "metric", "condition"]):
        assert set(part["model"]) == {"original", "erased", "oracle", "oracle-1"}
    assert frame["low"].le(frame["high"]).all()
    assert [oracle["seed"] for oracle in small.oracles] == [0, 1]
    assert list(small.verdicts) == ["prompt_leaks", "over_forgetting"]
    assert all(f" of {len(small.tests)}" in part for part in small.verdict.split("; "))


def test_the_same_audit_twice_is_the_same(small: Audit, tiny_experiment, tiny_erasure):
    again = tiny_experiment.audit(
        tiny_erasure.model, tests=["prompt_leaks", "over_forgetting"], oracles=2
    )
    assert [asdict(row) for row in again.rows] == [asdict(row) for row in small.rows]


def test_shadow_models_are_trained_only_when_asked_for(
    tiny_experiment, tiny_erasure, tmp_path: Path
):
    found = tiny_experiment.audit(
        tiny_erasure.model, tests=["over_forgetting"], oracles=2, shadows=4
    )
    assert list(found.verdicts) == ["over_forgetting", "lira"]
    asked = Audit.load(found.save(tmp_path / "audit.json")).settings["options"]["lira"]
    assert asked["shadows"] == 4
    assert asked["train"]["steps"] == tiny_experiment.train_spec.steps
