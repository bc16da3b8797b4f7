"""Exercises wait politely, confirm what is right, and never confirm what is wrong."""

from __future__ import annotations

import html
import json
import math
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from erasekit.audit.verdict import LESS
from erasekit.data.folder.listing import Coded
from erasekit.errors import UsageError
from erasekit.tutorial import notebook
from erasekit.tutorial.exercises import EXERCISES, Exercise


class FourPairs(NamedTuple):
    """As much of a folder as the exercise looks at."""

    split: Coded

    def __len__(self) -> int:
        return 4


#: Average gaps of two methods on two tasks.
GAPS = pd.DataFrame(
    {"one": [7.0, 9.0], "two": [5.0, 1.0], "mean": [6.0, 5.0]}, index=["cliperase", "npo"]
)
#: Points lost by kind of question.
CHANGES = pd.DataFrame({"erased": [-3.0, -9.0, 0.0]}, index=["name", "left", "how many"])
#: A folder of four pairs, and what a rule selects in it.
OWN = {
    "pairs": FourPairs(Coded(("train", "validation", "test"), np.array([0, 2, 2, 2]))),
    "mask": np.array([True, True, False, True]),
}
#: Points of two models on what one of two data sets was to forget.
OURS = pd.Series(
    {
        ("cc12m", "original", "forget"): 50.0,
        ("cc12m", "control", "forget"): 49.0,
        ("cifar100", "original", "forget"): 80.0,
        ("cifar100", "control", "forget"): 71.5,
    }
)
#: An erasure that moves no answer in words; the notebook itself runs the real one.
PROJECTOR_ALONE = {
    "tables": SimpleNamespace(changed=lambda one, other, asked: 100.0 * (one != other)),
    "e": SimpleNamespace(
        original="the words",
        erase=lambda method, moves, steps: SimpleNamespace(model="the words"),
        task=SimpleNamespace(text=pd.Series(range(60))),
    ),
}


def facts(name: str, e, erasure, card) -> tuple[dict, dict]:
    """What a notebook hands to its exercise, and the names its solution works with."""
    from erasekit.evaluate.naming import trained_singles
    from erasekit.models.zero_shot import concept_features

    concepts = [e.world.concept(i) for i in e.world.trained]
    before = concept_features(e.original, concepts)
    return {
        "00_quickstart": ({"world": e.world}, {"e": e}),
        "01_data": ({"task": e.task}, {"e": e}),
        "02_base_model": (
            {"clip": e.original, "world": e.world},
            {
                "pictures": e.original.encode_images(trained_singles(e.world).images),
                "names": before,
                "concepts": concepts,
            },
        ),
        "03_forgetting": ({"erasure": erasure}, {"alone": erasure}),
        "04_retention": ({}, {}),
        "05_consistency": ({"erasure": erasure}, {"erased": erasure}),
        "06_evaluation": ({"scorecard": card}, {"card": card}),
        "07_embedding_shift": (
            {"before": e.original, "after": erasure.model, "world": e.world},
            {
                "before": before,
                "after": concept_features(erasure.model, concepts),
                "concepts": concepts,
            },
        ),
        # The tiny world learns nothing that could leak; the notebook itself runs the real one.
        "08_is_it_gone": (
            {},
            {
                "e": SimpleNamespace(
                    erase=lambda steps: SimpleNamespace(model=steps),
                    audit=lambda model, tests: SimpleNamespace(verdicts={tests[0]: LESS}),
                )
            },
        ),
        "09_methods": (
            {"gaps": GAPS},
            {"summary": SimpleNamespace(gap_table=lambda found: found), "found": GAPS},
        ),
        "10_our_method": ({"level": 0.2, "scenes": 0.8}, {"level": 0.2, "scenes": 0.8}),
        "11_multimodal_llm": ({}, PROJECTOR_ALONE),
        "12_downstream": ({"changes": CHANGES}, {"changes": CHANGES}),
        "13_your_own_data": (OWN, dict(OWN)),
        "14_reproduce_cliperase": ({"ours": OURS}, {"ours": OURS}),
    }[name]


@pytest.fixture(params=sorted(EXERCISES))
def exercise(request, tiny_experiment, tiny_erasure, tiny_scorecard):
    given, names = facts(request.param, tiny_experiment, tiny_erasure, tiny_scorecard)
    return EXERCISES[request.param], given, names


def test_without_an_answer_it_waits_with_a_hint(exercise):
    each, given, _ = exercise
    verdict = each.judge(None, **given)
    assert verdict.status == "waiting"
    assert each.hint in verdict.text


def test_the_solution_is_right(exercise):
    each, given, names = exercise
    verdict = each.judge(each.solve(names), **given)
    assert verdict.status == "right"
    assert each.because in verdict.text


def test_wrong_answers_are_told_wrong(exercise):
    each, given, _ = exercise
    truth = each.truth(**given)
    wrong = ["a unicorn", math.nan, object()]
    wrong += (
        ["the " + truth]
        if isinstance(truth, str)
        else [truth + 2 * each.within + 1, str(truth) + "x"]
    )
    for answer in wrong:
        verdict = each.judge(answer, **given)
        assert verdict.status == "wrong", answer
        assert each.hint in verdict.text
        assert each.because not in verdict.text


def test_names_may_be_written_in_any_case():
    each = Exercise("hint", "1", lambda: "Red Apple", "because")
    assert each.judge(" red apple ").status == "right"


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
def test_check_solves_only_when_asked_and_unanswered(answer, solve, status):
    world = SimpleNamespace(trained=range(8))
    nb = notebook.begin("00_quickstart", namespace(solve=solve, e=SimpleNamespace(world=world)))
    nb.check(answer, world=world)
    assert nb.values["exercise"] == status
