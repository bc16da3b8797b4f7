"""The names in an audit, for those who must not import torch to check one."""

from __future__ import annotations

from collections.abc import Sequence

from erasekit.errors import unknown

#: Names of the models in an audit. Oracles of further seeds are called oracle-1, oracle-2.
ORIGINAL, AUDITED, ORACLE = "original", "erased", "oracle"

NAMES = (
    "prompt_leaks",
    "language_leaks",
    "composition_leaks",
    "domain_shift",
    "compression",
    "relearning",
    "probes",
    "membership",
    "lira",
    "over_forgetting",
    "downstream",
)


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """`names`, if each is an audit test's.

    Raises:
        UsageError: for one that is not, with the nearest that is.
    """
    for name in names:
        if name not in NAMES:
            raise unknown("audit test", name, NAMES)
    return tuple(dict.fromkeys(names))


def oracle_name(place: int) -> str:
    """The name of the oracle of the `place`-th seed: oracle, oracle-1, oracle-2, …"""
    return f"{ORACLE}-{place}" if place else ORACLE
