"""Lip: Lipschitz regularisation, which smooths the model around forget pictures.

The method was designed for CLIP. Captions cannot be perturbed slightly, so both the picture and
its caption are pulled towards the noised picture. Here, the pictures come from the forget set;
the paper synthesises them because it assumes no access to the data. The stopping rule is the
engine's, on validation (`stop_at`).
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

    x′ is the picture x with Gaussian noise of standard deviation `noise`, and i′ its features.
    Features are not normalised; the notes leave this open. Only the `layers` layers with the
    largest mean absolute gradient of L at the original move. The loss neither separates pairs nor
    protects the retain set, so long runs collapse.
    """

    name: ClassVar[str] = "lip"
    summary: ClassVar[str] = (
        "smooths the model around forget pictures; forget data only, few layers"
    )
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
