"""Every audit test by its name, in the order of a report: what is left, then what is broken.

Importing this takes no torch; asking for a test does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from erasekit.errors import UsageError
from erasekit.plugins import Registry, modules_of

if TYPE_CHECKING:
    from erasekit.audit.base import AuditTest

#: The order of a report. A test that is not in it comes after those that are.
_ORDER = (
    *("prompt_leaks", "language_leaks", "composition_leaks", "domain_shift", "compression"),
    *("relearning", "probes", "membership", "lira", "over_forgetting", "downstream"),
    *("answer_wordings", "answer_probes", "answer_relearning"),
)


def _test(name: str, found: Any) -> AuditTest:
    """The test, from itself or from the module whose `TEST` it is."""
    test = getattr(found, "TEST", found)
    if getattr(test, "name", None) != name or not hasattr(test, "run"):
        raise UsageError(f"no TEST, an erasekit.audit.base.AuditTest with name = '{name}'")
    return test


TESTS: Registry[AuditTest] = Registry(
    "audit test", "erasekit.attacks", modules_of("erasekit.audit.attacks", _ORDER), _test
)


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """`names`, if each is an audit test's.

    Raises:
        UsageError: for one that is not, with the nearest that is.
    """
    for name in names:
        TESTS.check(name)
    return tuple(dict.fromkeys(names))


def attacks_of(kind: str) -> dict[str, AuditTest]:
    """The tests of a kind of model, by name."""
    return {name: test for name, test in TESTS.items() if test.kind == kind}


def choose_tests(
    kind: str, names: Sequence[str] | None = None, beside: Sequence[str] = ()
) -> list[str]:
    """The tests of an audit: those named, or all but those that run only when asked for.

    Args:
        kind: of model.
        names: empty for the usual ones.
        beside: names of tests that are asked for in another way.

    Raises:
        UsageError: for a test that does not exist, or is made for another kind of model.
    """
    known = attacks_of(kind)
    chosen = list(names or (name for name, test in known.items() if not test.opt_in))
    chosen = list(dict.fromkeys([*chosen, *beside]))
    for name in chosen:
        if TESTS[name].kind != kind:
            raise UsageError(
                f"{name} is a test of kind = {TESTS[name].kind}: for kind = {kind} choose from "
                f"{', '.join(known)}"
            )
    return chosen
