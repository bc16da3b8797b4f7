"""Grids: what words and files mean, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasekit.errors import UsageError
from erasekit.tutorial.grid import agrees, expand, read_words, read_yaml, typed

DECLARED = {"seed": "int", "forget": "str", "rate": "float", "solve": "bool", "out": "str"}


def values(*words: str):
    return typed(read_words(words, "--grid"), DECLARED, "book")


def test_words_are_read_as_the_notebook_declares_them():
    found = values("seed=0..2,7,1", "forget=fruit,0..4", "rate=1e-3", "solve=true")
    assert found == {
        "seed": [0, 1, 2, 7],
        "forget": ["fruit", "0..4"],
        "rate": [0.001],
        "solve": [True],
    }


def test_a_file_may_have_one_value_lists_and_names_to_join(tmp_path):
    file = tmp_path / "grid.yaml"
    file.write_text("seed: 0..1\nforget: [fruit, [fruit, bird]]\n")
    found = typed(read_yaml(file), DECLARED, "book")
    assert found == {"seed": [0, 1], "forget": ["fruit", "fruit,bird"]}
    assert read_yaml(None) == {}


@given(st.dictionaries(st.sampled_from("abc"), st.sets(st.integers(), min_size=1, max_size=4)))
def test_every_combination_comes_once(chosen):
    runs = expand({name: sorted(one) for name, one in chosen.items()})
    assert len({tuple(run.items()) for run in runs}) == len(runs)
    for name, one in chosen.items():
        assert {run[name] for run in runs} == one
        wanted = {name: sorted(one)[:1]}
        assert sum(agrees(run, wanted) for run in runs) == len(runs) / len(one)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seeds=1"], "did you mean 'seed'"),
        (["seed"], "write NAME=VALUE"),
        (["seed=1,,2"], "write NAME=VALUE"),
        (["seed=1", "seed=2"], "given twice"),
        (["seed=a"], "must be a whole number"),
        (["seed=0..9999999999"], "more than 100,000"),
        (["out=here"], "out is not for a grid"),
    ],
)
def test_what_cannot_be_meant_is_refused(words, said):
    with pytest.raises(UsageError, match=said):
        values(*words)


def test_a_grid_that_is_too_large_is_refused():
    with pytest.raises(UsageError, match="has 1,000,000 runs"):
        expand({name: range(100) for name in "abc"})


@pytest.mark.parametrize("text", ["- 1", "seed: []", "a: [", "\x00"])
def test_a_file_of_another_form_is_refused(tmp_path, text):
    file = tmp_path / "grid.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match="the grid"):
        read_yaml(file)
    with pytest.raises(UsageError, match="cannot read the grid"):
        read_yaml(tmp_path / "none.yaml")
