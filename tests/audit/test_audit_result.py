"""An audit comes back from its file whole, or is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from erasekit.audit.audit_result import Audit
from erasekit.errors import RunError


def test_the_file_gives_back_the_audit(small: Audit, tmp_path: Path):
    path = small.save(tmp_path / "audit.json")
    found = Audit.load(path)
    assert found.verdicts == small.verdicts
    assert found.as_dict() == json.loads(json.dumps(small.as_dict()))
    value = json.loads(path.read_text(encoding="utf-8"))
    assert {"test", "model", "metric", "value", "low", "high", "gap", "verdict"} <= set(
        value["rows"][0]
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.update(version=9), "version 9"),
        (lambda v: v.pop("rows"), "not an audit"),
        (lambda v: v["rows"][0].pop("gap"), "not an audit"),
    ],
)
def test_a_damaged_file_is_refused(small: Audit, tmp_path: Path, change, words):
    value = small.as_dict()
    change(value)
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(RunError, match=words):
        Audit.load(path)


def test_a_value_that_is_not_there_cannot_be_asked_for(small: Audit):
    with pytest.raises(RunError, match="did not run"):
        small.report("probes")
    with pytest.raises(RunError, match="has no nothing"):
        small.value("prompt_leaks", "nothing", "")
