"""The methods for multimodal language models, by name."""

from __future__ import annotations

from erasekit.unlearn.answer_peers import (
    NPO,
    FineTune,
    GradientAscent,
    GradientDifference,
    KLMinimization,
)
from erasekit.unlearn.answers import AnswerMethod
from erasekit.unlearn.mmunlearner import MMUnlearner

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
