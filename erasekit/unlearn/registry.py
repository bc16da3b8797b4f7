"""Every unlearning method by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from erasekit.errors import UsageError
from erasekit.plugins import Registry, modules_of, subclass_of
from erasekit.unlearn.method import Method

METHODS: Registry[type[Method]] = Registry(
    "method", "erasekit.methods", modules_of("erasekit.unlearn.methods"), subclass_of(Method)
)


def get_method(name: str) -> type[Method]:
    """The method called `name`.

    Raises:
        UsageError: for a name that is not registered, with the nearest that is.
    """
    return METHODS[name]


def methods_of(kind: str) -> dict[str, type[Method]]:
    """The methods that are made for a kind of model, of `method.KINDS`, by name."""
    return {name: method for name, method in METHODS.items() if kind in method.kinds}


def choose_method(
    method: str | type[Method] | Method | None,
    options: Mapping[str, Any] | None,
    configured: Method,
    kind: str,
) -> Method:
    """The method that is asked for, with its options.

    What `configured` was told stays unless `options` say otherwise. A method of another class
    starts from its own defaults, and an instance from what it has.

    Args:
        method: a name, a class, an instance; None for `configured`.
        options: the method's own.
        configured: the method of the settings.
        kind: of the model; see `method.KINDS`.

    Raises:
        UsageError: for a name or an option that does not exist, and for a kind of model that the
            method is not made for.
    """
    if isinstance(method, Method):
        start = method
    else:
        cls = get_method(method) if isinstance(method, str) else method or type(configured)
        start = configured if cls is type(configured) else cls.build({}, kind)
    if not dataclasses.is_dataclass(start):
        raise UsageError(f"{type(start).__name__}: put @dataclass(frozen=True) above the class")
    start.check_kind(kind)
    return start.but(**options) if options else start
