"""Names of models in an audit."""

from __future__ import annotations

from erasekit.audit.base import is_oracle

MODELS = ("original", "erased", "oracle", "oracle-1", "oracle-2")


def test_names_of_oracles():
    assert [is_oracle(m) for m in (*MODELS, "oracles", "an oracle")] == [False] * 2 + [True] * 3 + [
        False
    ] * 2
