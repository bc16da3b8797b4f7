"""An audit comes back from its file whole, or is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from erasekit.audit.audit_result import Audit, TestReport
from erasekit.audit.verdict import AS_THE_ORACLE, CANNOT_TELL, LESS, MORE
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


def test_the_conclusion_names_what_was_found_in_one_sentence():
    def said(oracles: int = 3, **verdicts: str) -> str:
        tests = [
            TestReport(name, name.upper(), "Is it?", "nobody", word, "so", "", [], 1.0)
            for name, word in verdicts.items()
        ]
        return Audit({}, {}, [{}] * oracles, {}, tests, []).conclusion

    assert said(a=LESS, b=MORE, c=LESS, d=CANNOT_TELL) == (
        "It is not as models that never saw the forgotten: too little is forgotten in a, c; "
        "too much in b."
    )
    assert said(a=AS_THE_ORACLE, b=CANNOT_TELL).endswith("; 1 of 2 could not tell.")
    assert said(1, a=CANNOT_TELL) == "Without two oracles or more, no verdict can be given."
