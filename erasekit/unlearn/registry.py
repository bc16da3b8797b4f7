"""Every unlearning method by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from erasekit.errors import UsageError
from erasekit.registry import Registry, modules_of
from erasekit.unlearn.method import Method

#: Modules of the folder whose methods are for language models, see `unlearn.answer_registry`.
_OTHERS = ("answer_peers", "mmunlearner")


def _class(name: str, found: Any) -> type[Method]:
    """The method's class, from itself or from the module that it is in."""
    inside = vars(found).values() if isinstance(found, ModuleType) else (found,)
    classes = (c for c in inside if isinstance(c, type) and issubclass(c, Method))
    for cls in classes:
        if vars(cls).get("name") == name:
            return cls
    raise UsageError(f"no subclass of erasekit.unlearn.method.Method with name = '{name}'")


METHODS = Registry(
    "method",
    "erasekit.methods",
    {k: v for k, v in modules_of("erasekit.unlearn.methods").items() if k not in _OTHERS},
    _class,
)


def get_method(name: str) -> type[Method]:
    """The method called `name`.

    Raises:
        UsageError: for a name that is not registered, with the nearest that is.
    """
    return METHODS[name]


def choose_method(
    method: str | type[Method] | Method | None,
    options: Mapping[str, Any] | None,
    configured: Method,
) -> Method:
    """The method that is asked for, with its options.

    What `configured` was told stays unless `options` say otherwise. A method of another class
    starts from its own defaults, and an instance from what it has.

    Args:
        method: a name, a class, an instance; None for `configured`.
        options: the method's own.
        configured: the method of the settings.

    Raises:
        UsageError: for a name or an option that does not exist.
    """
    if isinstance(method, Method):
        start = method
    else:
        cls = get_method(method) if isinstance(method, str) else method or type(configured)
        start = configured if cls is type(configured) else cls.build({})
    if not dataclasses.is_dataclass(start):
        raise UsageError(f"{type(start).__name__}: put @dataclass(frozen=True) above the class")
    return start.but(**options) if options else start
