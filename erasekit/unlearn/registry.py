"""Registry of unlearning methods."""

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
        UsageError: for an unknown name; suggests the nearest.
    """
    return METHODS[name]


def methods_of(kind: str) -> dict[str, type[Method]]:
    """The methods that support a kind of model (a key of `method.KINDS`), by name."""
    return {name: method for name, method in METHODS.items() if kind in method.kinds}


def choose_method(
    method: str | type[Method] | Method | None,
    options: Mapping[str, Any] | None,
    configured: Method,
    kind: str,
) -> Method:
    """Resolve a method and its options.

    A method of the same class as `configured` starts from the options of `configured`, a method
    of another class from its defaults, and an instance from its own options. `options` override
    these.

    Args:
        method: a name, a class or an instance; None for `configured`.
        options: options of the method.
        configured: the method of the settings.
        kind: kind of the model; see `method.KINDS`.

    Raises:
        UsageError: for an unknown name or option, and for a method that does not support this
            kind of model.
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
