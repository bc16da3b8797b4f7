"""Following a run: a tracker gets what the history has; one that is not there is said first."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support_tiny import TINY

from erasekit.errors import RunError, UsageError
from erasekit.files import read_json
from erasekit.runs.erasing import run_erase
from erasekit.runs.run_folder import RunFolder
from erasekit.runs.trackers import check_trackers, tracking
from erasekit.settings import make_settings


def settings(**given):
    return make_settings("smoke", **{**TINY, **given})


def logged(folder: Path) -> dict[str, dict[int, float]]:
    """Every scalar that TensorBoard would show of a folder, by name and step."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: dict[str, dict[int, float]] = {}
    for file in folder.rglob("events.out.*"):
        events = EventAccumulator(str(file))
        events.Reload()
        for name in events.Tags()["scalars"]:
            found.setdefault(name, {}).update({e.step: e.value for e in events.Scalars(name)})
    return found


def test_a_tracker_gets_every_term_of_every_step(tmp_path: Path) -> None:
    given = settings(trackers="tensorboard", stop_at=0.0)
    run = run_erase(given, tmp_path / "run", oracle=False, control=False, progress=False)
    found = logged(run.path / "trackers")
    history = run.history
    assert len(history) == TINY["steps"]
    assert {"forgetting", "retention", "consistency", "loss"} <= found.keys()
    for row in history:
        for name, value in row.items():
            if name != "step":
                assert found[name][int(row["step"])] == pytest.approx(value, rel=1e-5)
    # To be followed changes nothing of the result.
    plain = run_erase(settings(stop_at=0.0), tmp_path / "plain", oracle=False, control=False)
    made = [read_json(r.path / "provenance.json")["models"]["erased"] for r in (run, plain)]
    assert made[0] == made[1]
    assert not (plain.path / "trackers").exists()


def test_what_an_earlier_run_logged_goes_with_it(tmp_path: Path) -> None:
    given = settings(trackers="tensorboard")
    run = RunFolder.create(tmp_path / "run", given)
    (run.path / "trackers" / "erasekit").mkdir(parents=True)
    RunFolder.create(tmp_path / "run", settings(trackers="tensorboard", seed=1), overwrite=True)
    assert not (run.path / "trackers").exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("tensorbord", "unknown tracker 'tensorbord': did you mean 'tensorboard'"),
        ("tensorboard,csv", "unknown tracker 'csv'"),
        ("comet_ml", "tracker 'comet_ml' is not installed here: pip install comet_ml"),
    ],
)
def test_what_cannot_follow_is_said_before_anything_is_made(
    tmp_path: Path, names: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as error:
        run_erase(settings(trackers=names), tmp_path / "run", progress=False)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_without_accelerate_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_trackers(" , ") == []
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.setitem(sys.modules, "accelerate.tracking", None)
    assert check_trackers("") == []
    with pytest.raises(UsageError, match=r"needs accelerate: pip install 'erasekit\[scale\]'"):
        check_trackers("tensorboard")


def test_a_tracker_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "trackers").write_text("a file where the folder should be")
    with (
        pytest.raises(RunError, match="trackers tensorboard cannot be opened: ") as error,
        tracking(["tensorboard"], tmp_path / "trackers", settings()),
    ):
        pass
    assert "\n" not in str(error.value)
