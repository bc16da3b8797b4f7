"""Parameters of a notebook that cannot be meant are refused, with what to write instead."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import pytest
import yaml
from papermill.cli import _resolve_type

from erasekit.errors import UsageError
from erasekit.tutorial.parameters import check_parameters

DECLARED = {"steps": "int", "rate": "float", "solve": "bool", "forget": "str", "out": "str"}


@pytest.mark.parametrize(
    "given",
    [
        {"steps": 5, "rate": 1e-4, "solve": True, "forget": "bird"},
        {"rate": 1},
        {"steps": 0},
        {},
    ],
)
def test_parameters_that_fit_pass(given):
    assert check_parameters(DECLARED, given, "book") == given


def test_a_list_of_names_is_what_is_joined_by_commas():
    given = yaml.safe_load("{forget: [fruit, red apple]}")
    assert check_parameters(DECLARED, given, "book") == {"forget": "fruit,red apple"}


def test_papermills_own_parameters_are_left_alone():
    given = {"PAPERMILL_OUTPUT_PATH": "run.ipynb", "PAPERMILL_INPUT_PATH": None, "steps": 5}
    assert check_parameters(DECLARED, given, "book") == {"steps": 5}


@hypothesis.given(
    st.from_regex(r"[+-]?[0-9][0-9_]{0,5}(\.[0-9]*)?(e[+-]?[0-9])?|true|nan", fullmatch=True)
)
def test_text_that_papermill_reads_as_something_else_is_refused_or_stays_as_typed(typed):
    """With `-p`, and as YAML without quotes."""
    for value in (_resolve_type(typed), yaml.safe_load(typed)):
        try:
            settled = check_parameters(DECLARED, {"forget": value}, "book")
        except UsageError as error:
            assert "-r in place of -p" in str(error)
        else:
            assert settled == {"forget": typed}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"stpes": 5}, "did you mean 'steps'?"),
        ({"steps": "5"}, "must be a whole number: write 5 without quotes"),
        ({"steps": 5.5}, "must be a whole number"),
        ({"steps": True}, "must be a whole number"),
        ({"steps": -1}, "book: steps = -1 must be at least 1"),
        ({"solve": "false"}, "write False on the command line, false in YAML"),
        ({"solve": 1}, "must be true or false"),
        ({"rate": "1e-4"}, "write 1.0e-4 without quotes"),
        ({"rate": "1.5e-4"}, "write 1.5e-4 without quotes"),
        ({"rate": "much"}, "must be a number"),
        (
            {"forget": 0},
            "forget = 0 must be text: give it by -r in place of -p on the command line",
        ),
        ({"forget": ["bird", "a,b"]}, "must be a list of names: 'a,b' is several"),
        ({"forget": ["bird", False]}, "must be a list of names: False is none; quote it"),
        ({"out": ["a", "b"]}, "must be text"),
    ],
)
def test_parameters_that_do_not_fit_are_named_with_the_mend(given, words):
    with pytest.raises(UsageError, match=r"book") as caught:
        check_parameters(DECLARED, given, "book")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
