"""Lip: smooth what the model says of the forgotten, until noise and picture are one to it.

The rule was made for CLIP. A caption has no small perturbation, so that the noised picture
stands in for one: both the picture and its caption are drawn to it. Here it runs on the
pictures of the forget set; the paper makes synthetic ones, for want of data. Its stopping rule
is the engine's, on validation (`stop_at`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.errors import UsageError
from erasekit.unlearn.method import Features, Method, Prompts
from erasekit.unlearn.saliency import largest_layers

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.unlearn.look import Look


@dataclass(frozen=True)
class Lip(Method):
    """L = (‖t − i′‖ + ‖i − i′‖) / (2 ‖x − x′‖), the mean over forget pairs.

    x′ is the picture x with Gaussian noise of deviation `noise`, i′ its features; features are
    as the towers give them, not normalised, which the notes leave open. Only the `layers` with
    the largest mean gradient of L at the original move. Nothing in it tells pairs apart or
    holds the others: what goes on too long ends in collapse.
    """

    name: ClassVar[str] = "lip"
    summary: ClassVar[str] = "noise and picture become one; forget data only, few layers"
    source: ClassVar[str] = "Kravets and Namboodiri, WACV 2025, arXiv 2407.07485"

    noise: float = 1.0
    layers: int = 6

    def __post_init__(self) -> None:
        if not self.noise:
            raise UsageError("lip: noise = 0 must be above 0: the loss divides by its length")

    def picture_noise(self) -> float:
        return self.noise

    def mask(self, look: Look) -> dict[str, Tensor]:
        return largest_layers(look.gradient("forget", lipschitz_loss), self.layers)

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        return {"smoothing": lipschitz_loss(forget)}


def lipschitz_loss(forget: Features) -> Tensor:
    """(‖t − i′‖ + ‖i − i′‖) / (2 ‖x − x′‖), the mean over pairs."""
    assert forget.noised_image is not None and forget.noise_norm is not None
    text = (forget.text - forget.noised_image).norm(dim=1)
    image = (forget.image - forget.noised_image).norm(dim=1)
    return ((text + image) / (2 * forget.noise_norm)).mean()
