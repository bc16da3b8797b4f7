"""SLUG: a single gradient step in a single layer, with the step size chosen on validation.

The method was designed for CLIP: the forget loss is the cosine of the forget pairs, the retain
loss CLIP's contrastive loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.errors import RunError
from erasekit.unlearn.losses import contrastive
from erasekit.unlearn.method import Method
from erasekit.unlearn.methods.cliperase import forgetting_loss
from erasekit.unlearn.saliency import layers

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.unlearn.look import Look


@dataclass(frozen=True)
class SLUG(Method):
    """θ_l ← θ_l − t ∇_l L_f for one layer l.

    Importance is ‖∇_l L_f‖ / ‖θ_l‖, alignment |cos(∇_l L_f, ∇_l L_r)|. The candidates are the
    Pareto-optimal layers: no other is both more important and less aligned. For each candidate,
    `halvings` bisections between 0 and a step of norm ‖θ_l‖ find the smallest t for which the
    validation top-1 on the forgotten concepts is at most `target`. The layer with the lowest
    validation top-1 on the forgotten concepts is chosen, and among ties the one with the highest
    on the retained. This choice among the candidates is our own; embeddings are excluded.
    """

    name: ClassVar[str] = "slug"
    summary: ClassVar[str] = "one step in one layer, its length found on validation"
    source: ClassVar[str] = "Cai, Tan and Asif, ICML 2025, arXiv 2407.11867"

    halvings: int = 8
    target: float = 0.0

    trains: ClassVar[bool] = False

    def finish(self, look: Look) -> None:
        forget = look.gradient("forget", forgetting_loss)
        retain = look.gradient("retain", contrastive)
        tried = []
        for name in pareto(look.weights, forget, retain):
            step = self._shortest(look, name, forget[name])
            top1 = _move(look, name, forget[name], step)
            left = max(top1["validation_forget"], self.target)
            tried.append((left, -top1["validation_retain"], step, name))
            look.weights[name].copy_(look.original[name])
        if not tried:
            raise RunError("slug: the forget pairs' gradient is 0 in every layer: nothing to undo")
        *_, step, name = min(tried)
        look.weights[name].copy_(look.original[name] - step * forget[name])

    def _shortest(self, look: Look, name: str, gradient: Tensor) -> float:
        low, high = 0.0, float(look.original[name].norm() / gradient.norm())
        if _move(look, name, gradient, high)["validation_forget"] > self.target:
            return high
        for _ in range(self.halvings):
            middle = (low + high) / 2
            left = _move(look, name, gradient, middle)["validation_forget"]
            low, high = (low, middle) if left <= self.target else (middle, high)
        return high


def _move(look: Look, name: str, gradient: Tensor, step: float) -> dict[str, float]:
    look.weights[name].copy_(look.original[name] - step * gradient)
    return look.validation()


def pareto(
    weights: dict[str, Tensor], forget: dict[str, Tensor], retain: dict[str, Tensor]
) -> list[str]:
    """Pareto-optimal layers: high importance, low alignment; most important first."""
    scores = {}
    for name in layers(weights):
        f, r = forget[name], retain[name]
        if f.norm() > 0:
            aligned = abs(float((f * r).sum())) / max(float(f.norm() * r.norm()), 1e-30)
            scores[name] = (float(f.norm() / weights[name].norm()), aligned)
    best: list[str] = []
    for name in sorted(scores, key=lambda k: (-scores[k][0], scores[k][1])):
        if not best or scores[name][1] < scores[best[-1]][1]:
            best.append(name)
    return best
