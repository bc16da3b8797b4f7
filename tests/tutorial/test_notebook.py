"""What a notebook says, shows, records and refuses."""

from __future__ import annotations

import html
import json

import numpy as np
import pandas as pd
import pytest
import torch

from erasekit.errors import UsageError
from erasekit.tutorial import notebook
from erasekit.tutorial.parameters import NOTEBOOK_PARAMETERS


def namespace(**values) -> dict:
    return {"__annotations__": {"steps": int, "out": str, "solve": bool}, **values}


def test_begin_takes_the_declared_parameters():
    nb = notebook.begin("book", namespace(steps=3, out="", solve=False, other=1))
    assert nb.parameters == {"steps": 3, "out": "", "solve": False}
    assert nb.out is None


def test_begin_refuses_what_papermill_injected_under_a_wrong_name():
    cells = ["", "steps: int = 3", "# Parameters\nstpes = 5\n", "notebook.begin(...)"]
    with pytest.raises(UsageError, match="unknown parameter of book 'stpes'"):
        notebook.begin("book", namespace(steps=3, stpes=5, In=cells))


def test_begin_refuses_a_wrong_type():
    with pytest.raises(UsageError, match="solve = 'false'"):
        notebook.begin("book", namespace(steps=3, solve="false"))


def edited(*lines: str) -> dict:
    """The namespace after the parameters cell was edited in Jupyter and run again."""
    first = "\n".join(f"{name}: str = ''" for name in NOTEBOOK_PARAMETERS["02_base_model"])
    space: dict = {"nb": "of the run before", "In": ["", first, "\n".join(lines), "begin(...)"]}
    for source in space["In"][1:3]:
        exec(source, space)
    return space


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            ["profile: str = 'smoke'", "forgett: str = 'bird'", "seed: int = 1"],
            "unknown parameter of 02_base_model 'forgett': did you mean 'forget'",
        ),
        (
            [f"{n}: str = ''" for n in NOTEBOOK_PARAMETERS["02_base_model"] if n != "seed"],
            "the parameters cell does not set seed",
        ),
    ],
)
def test_a_parameter_misspelt_in_jupyter_is_refused_and_no_old_value_is_left(lines, told):
    space = edited(*lines)
    with pytest.raises(UsageError, match=told):
        notebook.begin("02_base_model", space)
    assert "nb" not in space
    assert not {line.split(":")[0] for line in lines} & set(space)


def test_the_parameters_cell_that_ran_last_counts():
    names = NOTEBOOK_PARAMETERS["00_quickstart"]
    cell = "\n".join(f"{name}: str = 'x'" for name in names)
    space: dict = {"In": ["", cell.replace("forget", "forgett"), "print(1)", "a: int", cell]}
    exec(cell, space)
    declared = notebook._declared(space)
    assert tuple(declared) == names
    assert set(declared.values()) == {"str"}


def test_begin_gives_the_notebook_a_list_of_names_as_text():
    space = {"__annotations__": {"forget": str}, "forget": ["fruit", "bird"]}
    space["In"] = ["", "# Parameters\nforget = ['fruit', 'bird']\nPAPERMILL_OUTPUT_PATH = 'x'\n"]
    space["PAPERMILL_OUTPUT_PATH"] = "x"
    assert notebook.begin("book", space).parameters == {"forget": "fruit,bird"}
    assert space["forget"] == "fruit,bird"


def test_a_learners_own_variables_are_no_parameters():
    cells = ["", "steps: int = 3", "mine = 4", "notebook.begin(...)"]
    notebook.begin("book", namespace(steps=3, mine=4, In=cells))


def test_recorded_values_and_pictures_go_to_out(tmp_path, capsys):
    import matplotlib.pyplot as plt

    open_before = plt.get_fignums()
    nb = notebook.begin("book", namespace(steps=3, out=str(tmp_path)))
    nb.record(share=1 / 3, count=2)
    nb.picture(plt.figure(), "empty")
    nb.say("a share of **{share:.0%}**")
    nb.table(pd.DataFrame({"x": [1 / 3]}))
    nb.keep("note.txt", lambda path: path.write_text("kept"))
    kept = json.loads((tmp_path / "book.json").read_text())
    assert kept["values"] == {"share": 0.333333, "count": 2}
    assert kept["parameters"]["steps"] == 3
    assert (tmp_path / "figures" / "book_empty.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "note.txt").read_text() == "kept"
    assert plt.get_fignums() == open_before
    assert "0.3333" not in capsys.readouterr().out


NAMES = (
    "<script>alert(1)</script>",
    "a\n# *b* [c](javascript:1) `d` $e$ ~f~ \\ & é",
    "1. x",
    "- y",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_said_is_shown_as_it_is(monkeypatch, name):
    from nbconvert.filters import markdown2html

    said = []
    monkeypatch.setattr(notebook, "display", said.append)
    nb = notebook.begin("book", namespace(steps=3, out=""))
    nb.record(name=name)
    nb.say("it is **{name}** now")
    page = markdown2html(said[0].data).strip()
    want = html.escape(" ".join(name.split()), quote=False)
    assert page.replace("&quot;", '"') == f"<p>it is <strong>{want}</strong> now</p>"


def test_without_out_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nb = notebook.begin("book", namespace(steps=3, out=""))
    nb.record(share=1 / 3)
    nb.keep("note.txt", lambda path: path.write_text("kept"))
    assert not list(tmp_path.iterdir())


def test_a_number_that_was_not_recorded_cannot_be_said():
    nb = notebook.begin("book", namespace(steps=3))
    with pytest.raises(KeyError):
        nb.say("a share of {share}")


def test_note_takes_every_model_and_the_signed_gap(tiny_scorecard):
    nb = notebook.begin("book", namespace(steps=3))
    nb.note(tiny_scorecard, "similarity", "forget")
    values = nb.values
    assert set(values) == {
        f"similarity_forget_{m}" for m in ("original", "erased", "control", "oracle", "gap")
    }
    difference = values["similarity_forget_erased"] - values["similarity_forget_oracle"]
    assert values["similarity_forget_gap"] == pytest.approx(100 * difference, abs=1e-3)


@pytest.fixture
def shown(monkeypatch) -> list:
    said: list = []
    monkeypatch.setattr(notebook, "display", lambda what, **_: said.append(what))
    return said


CHOICES = ("gone", "less", "as before")


@pytest.mark.parametrize(
    ("prediction", "said"),
    [
        (None, "You made no prediction."),
        ("less", "You predicted *less*."),
        ("blue", "Your prediction is none of gone, less, as before."),
    ],
)
def test_a_prediction_is_answered_by_the_run(shown, prediction, said):
    nb = notebook.begin("book", namespace(steps=3))
    nb.record(left=0.25)
    nb.answer(prediction, "gone", CHOICES, "A share of {left:.0%} is left.")
    assert shown[0].data == f"{said} This run says **gone**. A share of 25% is left."
    assert nb.values["prediction"] == "gone"
    with pytest.raises(ValueError, match="none of"):
        nb.answer(None, "bloo", CHOICES)


def test_an_exercise_is_judged_and_recorded(shown):
    nb = notebook.Notebook("03_forgetting", {}, {})
    nb.exercise("floor", None)
    assert nb.values["exercise_floor"] == "waiting"
    nb.exercise("floor", lambda images, texts: images.sum())
    assert nb.values["exercise_floor"] == "wrong"
    assert len(shown) == 2


def test_tables_and_pictures_are_shown_as_pages_with_plain_text_beside_them(shown):
    import matplotlib.pyplot as plt

    nb = notebook.begin("book", namespace(steps=3))
    nb.record(left=0.25)
    nb.table(pd.DataFrame({"x": [1 / 3]}))
    nb.picture(plt.figure(), "p", caption="A share of {left:.2f}")
    table, picture = shown
    assert "0.33" in table["text/html"] and "0.33" in table["text/plain"]
    assert "<figcaption>A share of 0.25</figcaption>" in picture["text/html"]
    assert 'alt="A share of 0.25"' in picture["text/html"]
    assert picture["text/plain"] == "A share of 0.25"


def test_a_tensor_is_recorded_as_a_number():
    nb = notebook.begin("book", namespace(steps=3))
    nb.record(mean=torch.tensor([0.5, 0.25]).mean(), count=np.int64(3))
    assert nb.values == {"mean": 0.375, "count": 3}
