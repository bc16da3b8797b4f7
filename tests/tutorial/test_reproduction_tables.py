"""The reported numbers against ours."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from erasekit.evaluate.scorecard import Row, Scorecard
from erasekit.plots.reproduced import against_reported, against_reported_data
from erasekit.settings import make_settings
from erasekit.tutorial.reported import MODELS, published
from erasekit.tutorial.reproduction import (
    Prepared,
    Reproduced,
)
from erasekit.tutorial.reproduction_tables import (
    differences,
    numbers,
    set_up,
    table,
    values,
)

ONE = {"original_forget": 85.08, "original_retain": 79.0, "control_forget": 70, "control_retain": 8}


def run(**points: float) -> Any:
    """A whole run with a scorecard; ``erased_forget=25`` is a top-1 of 25 points."""
    rows = []
    for key, value in points.items():
        model, subset = key.split("_")
        rows.append(Row(model, "top1", subset, "image_to_text", value / 100, 0, 1, 9))
        rows.append(Row(model, "top1", subset, "text_to_image", 0.123, 0, 1, 9))
    return SimpleNamespace(scorecard=Scorecard({}, {}, rows))


def reproduced(absent: str) -> Reproduced:
    prepared = Prepared(published()["cifar100"], make_settings(), absent)
    first = run(**ONE, erased_forget=1.0, erased_retain=88.0)
    return Reproduced(prepared, [first, run(**ONE, erased_forget=4.0, erased_retain=92.0)])


def test_the_table_by_hand() -> None:
    found = numbers([reproduced("")]).loc["cifar100"]
    assert list(found.index) == [(m, s) for m in MODELS for s in ("forget", "retain")]
    erased = found.loc[("erased", "forget")]
    assert erased["ours"] == pytest.approx(2.5)
    assert erased["deviation"] == pytest.approx(math.sqrt(4.5))
    assert erased["difference"] == pytest.approx(2.5) and erased["within"] is False
    kept = found.loc[("erased", "retain")]
    assert kept["difference"] == pytest.approx(90.0 - 90.99) and kept["within"] is True
    original = found.loc[("original", "forget")]
    assert original["difference"] == pytest.approx(-1.0) and original["deviation"] == 0
    control = found.loc[("control", "retain")]
    assert control["ours"] == pytest.approx(8)
    assert np.isnan(control["reported"]) and np.isnan(control["difference"])
    ours = table(numbers([reproduced("")]))
    assert list(ours.columns) == ["data", "measure", "subset", *MODELS]
    assert ours["erased"].to_list() == ["2.5 ± 2.1", "90.0 ± 2.8"]
    assert ours["control"].to_list() == ["70.0 ± 0.0", "8.0 ± 0.0"]
    compared = differences(numbers([reproduced("")])).set_index(["model", "subset"])
    assert list(compared.index) == [(m, s) for m in MODELS[:2] for s in ("forget", "retain")]
    assert compared.loc[("erased", "forget")].to_dict() == {
        "data": "CIFAR-100",
        "reported (2nd)": 0.0,
        "ours": "2.5 ± 2.1",
        "difference": pytest.approx(2.5),
        "tolerance": 2.0,
        "within": "no",
    }


def test_a_stand_in_is_compared_with_nothing() -> None:
    found = numbers([reproduced("there is no data")])
    assert found[["difference", "tolerance"]].isna().all(axis=None)
    assert found["within"].isna().all()
    assert differences(found).empty
    assert set(table(found)["data"]) == {"CIFAR-100 (stand-in)"}
    said = set_up([reproduced("there is no data").prepared])
    assert said == "Stand-ins for CIFAR-100: there is no data."
    assert against_reported_data(found)["reported"].isna().all()


def test_one_seed_has_no_deviation_and_the_picture_shows_what_is_comparable() -> None:
    both = reproduced("")
    found = numbers([Reproduced(both.prepared, both.runs[:1])])
    assert found["deviation"].isna().all()
    told = against_reported_data(found)
    assert told["deviation"].eq(0).all() and told["reported"].notna().sum() == 4
    labels = [text.get_text() for text in against_reported(found).legends[0].get_texts()]
    assert labels == [*MODELS, "reported (2nd)"]


def test_gains_are_over_the_original() -> None:
    told = values(numbers([reproduced("")]))
    assert told["cifar100_retain_gain_erased"] == pytest.approx(90 - 79)
    assert told["cifar100_retain_gain_control"] == pytest.approx(8 - 79)
    assert told["cifar100_forget_control"] == pytest.approx(70)
