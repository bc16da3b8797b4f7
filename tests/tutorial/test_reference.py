"""What is held against the references, and that the committed ones can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from erasekit.errors import RunError
from erasekit.evaluate.scorecard import Row, Scorecard
from erasekit.files import read_json
from erasekit.settings import make_settings
from erasekit.tutorial import reference

ROW = Row("erased", "top1", "forget", "image_to_text", 0.10, 0.0, 0.2, 60)
KEY = "erased top1 forget"
CARD = Scorecard({"forget": ["red apple"]}, {}, [ROW])


@pytest.mark.parametrize(
    ("value", "off"), [(0.10, 0), (0.149, 0), (0.051, 0), (0.151, 1), (0.049, 1)]
)
def test_a_value_is_off_beyond_its_tolerance_on_either_side(value: float, off: int):
    found = replace(CARD, rows=[replace(ROW, value=value)])
    lines = reference.compare_scorecards(found, CARD, {KEY: 0.05})
    assert len(lines) == off
    assert all(f"{value:.3f}" in line and "0.100" in line for line in lines)


def test_a_missing_row_is_off():
    assert reference.compare_scorecards(replace(CARD, rows=[]), CARD, {KEY: 1.0}) == [
        "erased: top1 on forget (image_to_text) is missing"
    ]


@pytest.fixture
def references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reference, "FOLDER", tmp_path / "references")
    return tmp_path


def test_written_then_compared_then_worse(references: Path):
    CARD.save(references / "scorecard.json")
    reference.write_reference("smoke", references, {KEY: 0.05})
    assert reference.compare_with_reference("smoke", references)[0]
    replace(CARD, rows=[replace(ROW, value=0.5)]).save(references / "scorecard.json")
    right, lines = reference.compare_with_reference("smoke", references)
    assert not right
    assert lines[0].startswith("1 of 1 values differ")


def test_writing_again_keeps_the_tolerances(references: Path):
    CARD.save(references / "scorecard.json")
    reference.write_reference("smoke", references, {KEY: 0.05})
    path = reference.write_reference("smoke", references)
    assert read_json(path)["tolerance"] == {KEY: 0.05}


def test_another_task_is_not_compared(references: Path):
    CARD.save(references / "scorecard.json")
    reference.write_reference("smoke", references, {KEY: 0.05})
    replace(CARD, task={"forget": ["owl"]}).save(references / "scorecard.json")
    assert "not the reference's" in reference.compare_with_reference("smoke", references)[1][0]


def test_other_neighbours_leave_their_rows_out_and_nothing_else(references: Path):
    near = replace(ROW, subset="neighbours")
    expected = Scorecard({"forget": ["red apple"], "neighbours": ["owl"]}, {}, [ROW, near])
    expected.save(references / "scorecard.json")
    reference.write_reference("smoke", references, {KEY: 0.05, "erased top1 neighbours": 0.05})

    def judge(neighbours: list[str], value: float, nearby: float) -> tuple[bool, list[str]]:
        rows = [replace(ROW, value=value), replace(near, value=nearby)]
        task = {**expected.task, "neighbours": neighbours}
        Scorecard(task, {}, rows).save(references / "scorecard.json")
        return reference.compare_with_reference("smoke", references)

    assert judge(["owl"], 0.1, 0.1) == (
        True,
        ["all 2 values agree with the committed reference"],
    )
    assert not judge(["owl"], 0.1, 0.9)[0]
    right, (line,) = judge(["parrot"], 0.1, 0.9)
    assert right and line.startswith("all 1 values agree") and "neighbours were left out" in line
    right, (first, line) = judge(["parrot"], 0.9, 0.9)
    assert not right and first.startswith("1 of 1") and "on forget" in line


def test_no_reference_is_said(references: Path):
    with pytest.raises(RunError, match="no reference for profile 'smoke'"):
        reference.compare_with_reference("smoke", references)


@pytest.mark.parametrize("profile", ["default", "smoke"])
def test_the_committed_reference_is_of_the_profile_as_it_is(profile: str):
    committed = read_json(reference.reference_path(profile))
    assert committed["settings"] == reference.expected_settings(make_settings(profile)), (
        f"the profile has changed: run `make reference PROFILE={profile}`"
    )
    rows = [Row(**row) for row in committed["scorecard"]["rows"]]
    assert set(committed["tolerance"]) == {reference.tolerance_key(row) for row in rows}
    # A tolerance must be narrow against what it guards, or it finds nothing.
    tolerance, card = committed["tolerance"], reference._scorecard(committed["scorecard"])
    assert tolerance["erased top1 forget"] <= 0.1
    assert tolerance["oracle top1 forget"] <= 0.1
    forgotten = [card.value(model, "similarity", "forget") for model in ("original", "erased")]
    assert tolerance["erased similarity forget"] <= (forgotten[0] - forgotten[1]) / 3
    if profile == "default":  # what is kept moves much with the seed in the small world alone
        for model in ("original", "erased", "control", "oracle"):
            assert tolerance[f"{model} top1 retain"] <= 0.1
    assert committed["how_tolerance_was_set"]
