"""Parameters of a notebook that cannot be meant are refused, with what to write instead."""

from __future__ import annotations

import pytest

from erasekit.errors import UsageError
from erasekit.tutorial.parameters import check_parameters

DECLARED = {"steps": "int", "rate": "float", "solve": "bool", "forget": "str"}


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
    check_parameters(DECLARED, given, "book")


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
        ({"forget": 3}, "must be text"),
        ({"forget": ["bird"]}, "must be text"),
    ],
)
def test_parameters_that_do_not_fit_are_named_with_the_mend(given, words):
    with pytest.raises(UsageError, match=r"book") as caught:
        check_parameters(DECLARED, given, "book")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
