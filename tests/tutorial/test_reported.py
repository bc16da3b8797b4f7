"""What the file says of the published experiments."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from erasekit.errors import UsageError
from erasekit.settings import PROFILES, make_settings
from erasekit.tutorial import reported
from erasekit.tutorial.reported import published, read_experiments

SCRIPTS = Path(__file__).parents[2] / "data_scripts"


FILE = Path(reported.__file__).with_name("reproduction.yaml")


@pytest.fixture
def value() -> dict[str, Any]:
    return copy.deepcopy(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def test_the_three_experiments_each_with_its_script() -> None:
    assert list(published()) == ["cifar100", "flickr30k", "cc12m"]
    for name, one in published().items():
        assert (SCRIPTS / one.script).is_file() and one.script == f"get_{name}.py"
        assert ("erased", "retain") in one.reported and one.why_tolerance and one.measured
        assert "control" not in {model for model, _ in one.reported}, "the paper lacks it"


def test_what_is_reported_is_what_the_notes_say() -> None:
    told = {name: dict(one.reported) for name, one in published().items()}
    assert told["cifar100"] == {
        ("original", "forget"): 86.08,
        ("original", "retain"): 72.85,
        ("erased", "forget"): 0.0,
        ("erased", "retain"): 90.99,
    }
    assert told["flickr30k"] == {("erased", "forget"): 10.55, ("erased", "retain"): 50.35}
    assert told["cc12m"] == {("erased", "forget"): 0.74, ("erased", "retain"): 97.10}


@pytest.mark.parametrize("setting", ["learning_rate", "epochs", "retain_batch", "pretrained"])
def test_the_published_set_up_takes_effect(setting: str, tmp_path: Path) -> None:
    for name, one in published().items():
        settings = make_settings("paper", data=f"folder:{tmp_path}", **one.settings)
        expected = 1e-8 if (name, setting) == ("flickr30k", "learning_rate") else None
        assert getattr(settings, setting) == (expected or PROFILES["paper"][setting])
    from erasekit.unlearn.methods.cliperase import CLIPErase

    method = CLIPErase()
    assert (method.retention, method.forgetting, method.consistency) == (1.0, 3.0, 3.0)


def cifar(**change: Any) -> Any:
    return lambda value: value["experiments"]["cifar100"].update(change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cifar(titel="x"), "unknown key of cifar100 'titel': did you mean 'title'"),
        (lambda v: v["experiments"]["cifar100"].pop("forget"), "cifar100: 'forget' is missing"),
        (lambda v: v.pop("open"), "reproduction: 'open' is missing"),
        (cifar(settings={"learning_rat": 1}), "unknown parameter 'learning_rat'"),
        (cifar(forget="wrod=apple"), "unknown rule 'wrod='"),
        (cifar(reported={"erased": {"forget": 0.0, "retain": 1}}), r"must say so, as in '12.34"),
        (cifar(reported={"erased": {"forget": "1 (2nd)"}}), "erased: 'retain' is missing"),
        (cifar(reported={"oracle": {}}), "unknown model of cifar100 'oracle'"),
        (cifar(reported={"erased": 3}), "cifar100, erased: 3 must be a mapping"),
        (
            cifar(measure={"metric": "top2", "direction": "image_to_text", "because": "x"}),
            "unknown metric of cifar100 'top2': did you mean 'top1'",
        ),
        (
            cifar(measure={"metric": "top1", "direction": "sideways", "because": "x"}),
            "unknown direction",
        ),
        (cifar(tolerance={"forget": -1.0, "retain": None, "because": "x"}), "points above 0"),
        (cifar(tolerance={"forget": 1.0, "retain": 1.0}), "tolerance: 'because' is missing"),
    ],
)
def test_a_mistake_in_the_file_is_told(value: dict, change: Any, message: str) -> None:
    assert read_experiments(value) == published()
    change(value)
    with pytest.raises(UsageError, match=message) as error:
        read_experiments(value)
    assert "\n" not in str(error.value)


def test_what_is_left_open_says_what_is_taken_instead() -> None:
    frame = reported.left_open()
    assert list(frame.columns) == ["reported", "here"] and len(frame) >= 10
    assert all(frame["here"].str.len() > 5)
    for said in frame["reported"]:
        assert "(2nd)" in said or "not known" in said
    # The notebook shows cells of 400 letters.
    for told in (frame, reported.reasons_table()):
        assert told.map(len).max(axis=None) <= 400
