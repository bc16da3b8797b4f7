"""The audit as a whole: rows, verdicts of tests, the file, and the known answers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from erasekit.audit.audit_result import Audit
from erasekit.audit.suite import broken_models
from erasekit.audit.verdict import AS_THE_ORACLE, NO_LONGER_WORKS
from erasekit.models.clip import Clip, with_random_weights


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


def collapsed(clip: Clip) -> Clip:
    """A copy that gives everything one feature, which is zero."""
    copy = clip.copy()
    with torch.no_grad():
        for weight in copy.model.parameters():
            weight.zero_()
    return copy


@pytest.mark.slow
def test_a_model_that_knows_nothing_is_never_as_the_oracle(smoke_experiment):
    """Membership of a collapsed model is .5, as that of an oracle is."""
    original = smoke_experiment.original
    alone = smoke_experiment.erase("cliperase", options={"retention": 0, "consistency": 0})
    known = {
        "original": original,
        "one feature": collapsed(original),
        "random": with_random_weights(original, 0),
        "forgetting alone": alone.model,
        "oracle": smoke_experiment.oracle,
    }
    assert broken_models(known, smoke_experiment.task) == {
        "one feature",
        "random",
        "forgetting alone",
    }
    found = smoke_experiment.audit(
        known["one feature"], tests=["membership", "prompt_leaks", "downstream"], oracles=2
    )
    assert AS_THE_ORACLE not in found.verdicts.values()
    assert {row.verdict for row in found.rows if row.model == "erased"} & {AS_THE_ORACLE} == set()
    assert NO_LONGER_WORKS in {row.reason for row in found.rows if row.model == "erased"}


def test_a_language_model_that_knows_nothing_is_broken(tiny_mllm):
    """The tiny one has learned nothing, so that even the original is."""
    assert broken_models({"original": tiny_mllm.original}, tiny_mllm.task) == {"original"}
