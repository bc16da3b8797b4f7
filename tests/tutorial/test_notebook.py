"""What a notebook says, shows, records and refuses."""

from __future__ import annotations

import html
import json

import pandas as pd
import pytest

from erasekit.errors import UsageError
from erasekit.tutorial import notebook
from erasekit.tutorial.single_exercises import SINGLE_EXERCISES, Exercise


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


@pytest.mark.parametrize(
    ("answer", "solve", "status"),
    [
        (None, False, "waiting"),
        (None, True, "right"),
        (0.125, False, "right"),
        (0.5, True, "wrong"),
    ],
)
def test_check_solves_only_when_asked_and_unanswered(monkeypatch, answer, solve, status):
    exercise = Exercise(hint="", solution="steps / 24", truth=lambda: 0.125, because="")
    monkeypatch.setitem(SINGLE_EXERCISES, "book", exercise)
    nb = notebook.begin("book", namespace(solve=solve, steps=3))
    nb.check(answer)
    assert nb.values["exercise"] == status
