"""Registry of audit tests in report order: first what remains, then what is damaged.

Importing this module does not import torch; loading a test does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from erasekit.errors import UsageError
from erasekit.plugins import Registry, modules_of

if TYPE_CHECKING:
    from erasekit.audit.base import AuditTest

#: Order of a report. Tests that are not listed come last.
_ORDER = (
    *("prompt_leaks", "language_leaks", "composition_leaks", "domain_shift", "compression"),
    *("relearning", "probes", "one_picture", "realignment", "membership", "lira"),
    *("over_forgetting", "downstream", "picture_leaks"),
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


def attacks_of(kind: str, requests: str | None = None) -> dict[str, AuditTest]:
    """Return the tests for one kind of model, and of request if given, by name."""
    return {
        name: test
        for name, test in TESTS.items()
        if test.kind == kind and requests in (None, test.requests)
    }


def untried(kind: str, ran: Collection[str]) -> list[AuditTest]:
    """Return the tests that would suit as well as those that ran; all if none ran."""
    forms = {TESTS[name].requests for name in ran if name in TESTS}
    return [
        test
        for name, test in attacks_of(kind).items()
        if name not in ran and (not forms or test.requests in forms)
    ]


def choose_tests(
    kind: str,
    names: Sequence[str] | None = None,
    beside: Sequence[str] = (),
    requests: str = "named",
) -> list[str]:
    """Choose the tests of an audit: the named ones, or all that are not opt-in.

    Args:
        kind: kind of model.
        requests: what the request has: ``named`` things, or ``pictures`` with captions alone.
        names: tests to run; empty for the default selection.
        beside: names of tests that are requested by other settings.

    Raises:
        UsageError: for an unknown test, or one for another kind of model or request.
    """
    known = attacks_of(kind, requests)
    chosen = list(names or (name for name, test in known.items() if not test.opt_in))
    chosen = list(dict.fromkeys([*chosen, *beside]))
    for name in chosen:
        if TESTS[name].kind != kind:
            raise UsageError(
                f"{name} is a test of kind = {TESTS[name].kind}: for kind = {kind} choose from "
                f"{', '.join(known)}"
            )
        if TESTS[name].requests != requests:
            needed = "names, and this request has only pictures"
            if requests == "named":
                needed = "a request for single pictures, and this one names things"
            raise UsageError(f"{name} needs {needed}: choose from {', '.join(known)}")
    return chosen
