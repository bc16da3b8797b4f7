"""Reference results: what the kit gave when it was last found good.

For each profile a scorecard is committed in `references/`, with a tolerance for each
model, metric and subset. Another processor sums in another order, which training turns
into another model of the same quality; the tolerances are as wide as that. How they
were measured stands in each file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from erasekit.errors import RunError
from erasekit.files import read_json, write_json
from erasekit.settings import Settings, make_settings

if TYPE_CHECKING:
    from erasekit.evaluate.scorecard import Row, Scorecard

FOLDER = Path(__file__).with_name("references")
SCORECARD_FILE = "scorecard.json"
NEIGHBOURS = "neighbours"  #: a subset, and what the task calls its concepts
#: Settings that change how a result is computed but not which one is expected.
_FREE = ("threads", "device", "precision", "micro_batch", "compile", "trackers")


def reference_path(profile: str) -> Path:
    return FOLDER / f"{profile}.json"


def tolerance_key(row: Row) -> str:
    """What rows share a tolerance: those of a model, metric and subset."""
    return f"{row.model} {row.metric} {row.subset}"


def compare_scorecards(
    found: Scorecard, expected: Scorecard, tolerance: dict[str, float]
) -> list[str]:
    """One line for each row that is missing or off by more than its tolerance.

    Which concepts are neighbours is for the original to say, so that another processor's
    original may name others: where it does, rows about them are of other pictures, and left out.

    Args:
        found: the scorecard to judge.
        expected: the reference.
        tolerance: by `tolerance_key`, in the metric's own unit.
    """
    have = {(r.model, r.metric, r.subset, r.direction): r.value for r in found.rows}
    lines = []
    for row in _comparable(found, expected):
        key = (row.model, row.metric, row.subset, row.direction)
        words = f"{row.model}: {row.metric} on {row.subset} ({row.direction})"
        if key not in have:
            lines.append(f"{words} is missing")
        elif abs(have[key] - row.value) > tolerance[tolerance_key(row)]:
            lines.append(
                f"{words} is {have[key]:.3f}, the reference {row.value:.3f} "
                f"± {tolerance[tolerance_key(row)]:.2f}"
            )
    return lines


def _comparable(found: Scorecard, expected: Scorecard) -> list[Row]:
    """The rows of `expected` that are about the same concepts in `found`."""
    if found.task.get(NEIGHBOURS) == expected.task.get(NEIGHBOURS):
        return expected.rows
    return [row for row in expected.rows if row.subset != NEIGHBOURS]


def compare_with_reference(profile: str, folder: Path) -> tuple[bool, list[str]]:
    """Hold the scorecard in `folder` against the profile's reference.

    Returns:
        whether all is within tolerance, and lines for a person: a summary, or what is off.

    Raises:
        RunError: when there is no scorecard or no reference.
    """
    path = reference_path(profile)
    if not path.is_file():
        raise RunError(f"there is no reference for profile '{profile}' ({path})")
    from erasekit.evaluate.scorecard import Scorecard

    reference = read_json(path)
    expected = _scorecard(reference["scorecard"])
    found = Scorecard.load(folder / SCORECARD_FILE)
    if {**found.task, NEIGHBOURS: None} != {**expected.task, NEIGHBOURS: None}:
        return True, ["this task is not the reference's: nothing to compare with"]
    lines = compare_scorecards(found, expected, reference["tolerance"])
    count = len(_comparable(found, expected))
    if lines:
        return False, [f"{len(lines)} of {count} values differ from the reference:", *lines]
    if count == len(expected.rows):
        return True, [f"all {count} values agree with the committed reference"]
    return True, [
        f"all {count} values agree with the committed reference; those on neighbours were left "
        "out, since the original of this machine finds other concepts near the forgotten"
    ]


def write_reference(profile: str, folder: Path, tolerance: dict[str, float] | None = None) -> Path:
    """Make the scorecard in `folder` the profile's reference; tolerances stay unless given."""
    from erasekit.evaluate.scorecard import Scorecard

    path = reference_path(profile)
    before = read_json(path) if path.is_file() else {}
    found = Scorecard.load(folder / SCORECARD_FILE).as_dict()
    return write_json(
        path,
        {
            "profile": profile,
            "settings": expected_settings(make_settings(profile)),
            "how_tolerance_was_set": before.get("how_tolerance_was_set", ""),
            "tolerance": tolerance or before.get("tolerance", {}),
            "seconds": _seconds(folder) or before.get("seconds", {}),
            "scorecard": {**found, "cost": {}},
        },
    )


def reference_seconds(profile: str) -> dict[str, float]:
    """How long each notebook took when the reference was made; empty where that is not known."""
    path = reference_path(profile)
    return read_json(path).get("seconds", {}) if path.is_file() else {}


def _seconds(folder: Path) -> dict[str, float]:
    """The duration that papermill wrote into each executed notebook of a tutorial."""
    executed = {path.stem: read_json(path) for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    return {
        name: round(notebook["metadata"]["papermill"]["duration"], 1)
        for name, notebook in executed.items()
    }


def expected_settings(settings: Settings) -> dict:
    """The settings that decide what result is expected."""
    return {k: v for k, v in vars(settings).items() if k not in _FREE}


def _scorecard(value: dict) -> Scorecard:
    from erasekit.evaluate.scorecard import Row, Scorecard

    return Scorecard(value["task"], value["cost"], [Row(**row) for row in value["rows"]])
