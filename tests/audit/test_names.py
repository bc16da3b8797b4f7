"""Names of tests and of models in an audit."""

from __future__ import annotations

import pytest

from erasekit.audit.base import is_oracle
from erasekit.audit.names import check_names
from erasekit.errors import UsageError

MODELS = ("original", "erased", "oracle", "oracle-1", "oracle-2")


def test_a_misspelt_test_is_named_with_the_nearest():
    assert check_names(["probes", "probes"]) == ("probes",)
    with pytest.raises(UsageError, match="relearning"):
        check_names(["relerning"])


def test_names_of_oracles():
    assert [is_oracle(m) for m in (*MODELS, "oracles", "an oracle")] == [False] * 2 + [True] * 3 + [
        False
    ] * 2
