"""The audit's error rates: how they are counted, and what the committed records say."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from erasekit.audit.base import Estimate, Measure, Result
from erasekit.audit.seed_noise import committed
from erasekit.audit.verdict import FALSE_ACCUSATION

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        return importlib.import_module("audit_calibration")


def made_up(script: Any, profile: str, group: str, seed: int) -> Any:
    """Oracles around .3 and .5, guilty models at .9 of everything; the original too."""
    rng = np.random.default_rng(seed)
    models = ["original", *(script.oracle_name(i) for i in range(script.ORACLES)), *script.GUILTY]
    measures = []
    for metric, level in (("told_apart", 0.5), ("recognised", 0.3), ("found", 0.5)):
        for model in models:
            value = level + rng.normal(0, 0.02) if model.startswith("oracle") else 0.9
            estimate = Estimate(value, np.full(50, value), 400, 5)
            measures.append(Measure(model, metric, "", estimate, 0.2))
    return script.Measured(profile, group, {"one_picture": Result(measures)}, set())


@pytest.fixture
def tasks(script) -> list[Any]:
    return [
        made_up(script, profile, group, seed)
        for seed, (profile, group, _) in enumerate(script.TASKS)
    ]


def test_every_oracle_and_every_guilty_model_is_audited_by_three_oracles(script, tasks):
    records = script.replay(tasks, script.fitted(tasks, 32, 12))["other group"]
    assert len(records) == len(tasks) * script.ORACLES * (1 + len(script.GUILTY))
    accused = []
    for record in records:
        assert len(set(record["oracles"])) == 3
        if record["model"].startswith("oracle"):
            own = [script.oracle_name(place) for place in record["oracles"]]
            assert record["model"] not in own
            accused.append(bool(record["accused"]))
        else:
            assert record["accused"] == ["one_picture"]
    assert len(accused) == len(tasks) * script.ORACLES
    assert np.mean(accused) <= FALSE_ACCUSATION


def test_no_calibration_knows_the_task_that_it_judges(script, tasks, monkeypatch):
    seen = []
    fitted = script.fitted

    def remember(tasks, *weights):
        seen.append({(task.profile, task.group) for task in tasks})
        return fitted(tasks, *weights)

    monkeypatch.setattr(script, "fitted", remember)
    script.replay(tasks, fitted(tasks, 32, 12))
    for task, (others, foreign) in zip(tasks, zip(seen[::2], seen[1::2], strict=True), strict=True):
        assert task.group not in {group for _, group in others | foreign}
        assert {profile for profile, _ in others} == {"default", "smoke"}
        assert task.profile not in {profile for profile, _ in foreign}


def test_the_noise_of_the_made_up_oracles_is_found_again(script, tasks):
    found = script.fit(tasks)
    assert set(found.metrics) == {
        f"one_picture/{metric}" for metric in ("told_apart", "recognised", "found")
    }
    for noise in found.metrics.values():
        assert noise.shift == pytest.approx(0.02**2, rel=0.6)
    assert found.source["oracles"] == len(tasks) * script.ORACLES


def test_a_share_is_of_its_profile_and_model(script):
    def record(profile, model, accused):
        return {"profile": profile, "model": model, "accused": accused}

    records = [
        record("default", "oracle", []),
        record("default", "oracle-1", ["x"]),
        record("smoke", "oracle", []),
        record("smoke", "filter", ["x"]),
    ]
    # Clopper and Pearson's interval of one in three.
    assert script._shares(records, None) == ["1 of 2", "0 of 1", "33 % (1 to 91)"]
    assert script._shares([*records, record("default", "filter", [])], "filter")[:2] == [
        "0 of 1",
        "1 of 1",
    ]


@pytest.fixture(scope="module")
def records(script) -> dict[str, list[dict[str, Any]]]:
    return json.loads(script.RECORDS.read_text(encoding="utf-8"))


def test_the_page_shows_the_committed_records(script, records):
    assert script.RATES.read_text(encoding="utf-8") == "\n".join(script.report(records)) + "\n"


def test_the_committed_records_keep_the_promise(script, records):
    own = records["other group"]
    innocent = [record for record in own if record["model"].startswith("oracle")]
    assert len(innocent) == script.ORACLES * len(script.TASKS) == committed().source["oracles"]
    assert np.mean([bool(record["accused"]) for record in innocent]) <= FALSE_ACCUSATION
    for guilty in script.GUILTY:
        found = [bool(record["accused"]) for record in own if record["model"] == guilty]
        assert np.mean(found) >= 0.95, guilty
