"""Signature and documentation of functions that take every setting."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from erasekit.settings import DECLARED, Declared

_Function = TypeVar("_Function", bound=Callable[..., Any])


def takes_settings(function: _Function) -> _Function:
    """Add every setting to the signature and docstring of a function with ``**parameters``.

    The defaults are those of profile ``default``.
    """
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    settings = [d for d in DECLARED.values() if d.name not in signature.parameters]
    parameters = [
        inspect.Parameter(
            d.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=d.default,
            annotation=Literal[d.choices] if d.choices else d.type,
        )
        for d in settings
    ]
    function.__signature__ = signature.replace(parameters=[*own, *parameters])  # type: ignore[attr-defined]
    function.__doc__ = inspect.cleandoc(function.__doc__ or "") + "\n\n" + _documented(settings)
    return function


def _documented(settings: list[Declared]) -> str:
    lines = ["Parameters, with the defaults of profile default:"]
    for one in settings:
        notes = ", ".join(filter(None, [one.type_name, one.unit, one.range]))
        lines += textwrap.wrap(
            f"{one.name} ({notes}; default {one.default!r}): {one.help}",
            width=96,
            initial_indent="    ",
            subsequent_indent="        ",
        )
    return "\n".join(lines)
