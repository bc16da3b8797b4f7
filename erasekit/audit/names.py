"""Names of the models in an audit."""

from __future__ import annotations

ORIGINAL, AUDITED, ORACLE = "original", "erased", "oracle"


def oracle_name(place: int) -> str:
    """Return the name of the oracle of the `place`-th seed: oracle, oracle-1, oracle-2, …"""
    return f"{ORACLE}-{place}" if place else ORACLE
