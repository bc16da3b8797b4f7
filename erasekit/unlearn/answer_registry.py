"""The methods for multimodal language models, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from erasekit.errors import unknown
from erasekit.unlearn.answers import AnswerMethod
from erasekit.unlearn.methods.answer_peers import (
    NPO,
    FineTune,
    GradientAscent,
    GradientDifference,
    KLMinimization,
)
from erasekit.unlearn.methods.mmunlearner import MMUnlearner

METHODS: dict[str, type[AnswerMethod]] = {
    method.name: method
    for method in (
        FineTune,
        GradientAscent,
        GradientDifference,
        KLMinimization,
        NPO,
        MMUnlearner,
    )
}


def build(name: str, options: Mapping[str, Any] | None, fields: Iterable[str]) -> AnswerMethod:
    """A method with its options, and a look at the fields that shall replace its spec's.

    Args:
        name: of `METHODS`.
        options: the method's own.
        fields: names, which must be fields of `MllmSpec`.

    Raises:
        UsageError: for a method, an option or a field that does not exist.
    """
    from erasekit.unlearn.answer_engine import MllmSpec  # here: to list methods takes no torch

    if name not in METHODS:
        raise unknown("method", name, METHODS)
    for field in fields:
        if field not in MllmSpec.__dataclass_fields__:
            raise unknown("parameter", field, MllmSpec.__dataclass_fields__)
    return METHODS[name].build(dict(options or {}))  # type: ignore[return-value]
