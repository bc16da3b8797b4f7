"""Registry of audit tests in report order: first what remains, then what is damaged.

Importing this module does not import torch; loading a test does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from erasekit.errors import UsageError
from erasekit.plugins import Registry, modules_of

if TYPE_CHECKING:
    from erasekit.audit.base import AuditTest

#: Order of a report. Tests that are not listed come last.
_ORDER = (
    *("prompt_leaks", "language_leaks", "composition_leaks", "domain_shift", "compression"),
    *("relearning", "probes", "one_picture", "realignment", "membership", "lira"),
    *("over_forgetting", "downstream"),
    *("answer_wordings", "answer_probes", "answer_relearning"),
)


def _test(name: str, found: Any) -> AuditTest:
    """Return the test, given the test or the module that holds it as `TEST`."""
    test = getattr(found, "TEST", found)
    if getattr(test, "name", None) != name or not hasattr(test, "run"):
        raise UsageError(f"no TEST, an erasekit.audit.base.AuditTest with name = '{name}'")
    return test


TESTS: Registry[AuditTest] = Registry(
    "audit test", "erasekit.attacks", modules_of("erasekit.audit.attacks", _ORDER), _test
)


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return `names` if each is the name of an audit test.

    Raises:
        UsageError: for an unknown name; suggests the nearest known one.
    """
    for name in names:
        TESTS.check(name)
    return tuple(dict.fromkeys(names))


def attacks_of(kind: str) -> dict[str, AuditTest]:
    """Return the tests for one kind of model, by name."""
    return {name: test for name, test in TESTS.items() if test.kind == kind}


def choose_tests(
    kind: str, names: Sequence[str] | None = None, beside: Sequence[str] = ()
) -> list[str]:
    """Choose the tests of an audit: the named ones, or all that are not opt-in.

    Args:
        kind: kind of model.
        names: tests to run; empty for the default selection.
        beside: names of tests that are requested by other settings.

    Raises:
        UsageError: for an unknown test, or one for another kind of model.
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
