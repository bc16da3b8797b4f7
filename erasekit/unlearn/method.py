"""Base class of unlearning methods, and the rows that their losses take.

A row is an image-text pair for a CLIP (`Features`), or a question with its answer for a
multimodal language model (`answers.Answers`). Both provide `loss`, `nll`, `original_nll` and
`divergence`; a method that uses only these supports both kinds of model.

Method modules import torch for type checking only, so that the command line can list methods
and check options without it. Losses are therefore written with tensor methods.
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from pydantic import Field

from erasekit.checks import checked
from erasekit.errors import UsageError, unknown
from erasekit.unlearn.losses import contrastive, drift, pair_nll

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.unlearn.look import Look

#: Numeric options, mostly weights, are never negative.
_BOUNDED = {int: Annotated[int, Field(ge=0)], float: Annotated[float, Field(ge=0)]}


@dataclass(frozen=True)
class Features:
    """Features of n pairs by the model being erased and by the original.

    Attributes:
        image, text: output of the towers, not normalised, shape (n, d).
        original_image, original_text: normalised features by the original model,
            (n, d); None for a method that does not need the original.
        scale: the model's logit scale, exponentiated.
        original_scale: the original's logit scale, exponentiated.
        noised_image: `image` for the pictures with added noise; None unless the method needs it
            (`Method.picture_noise`).
        noise_norm: norm of each picture's noise, shape (n,).
        name, original_name: text features of a caption that names one forgotten concept of each
            forget pair and nothing else, (n, d): by the model, not normalised, and by the
            original, normalised; None unless the method needs them (`Method.needs_names`).
        forgotten_share: share of each forget pair's concepts that are forgotten, shape (n,);
            None for retain pairs.
    """

    image: Tensor
    text: Tensor
    scale: Tensor
    original_image: Tensor | None = None
    original_text: Tensor | None = None
    original_scale: Tensor | None = None
    noised_image: Tensor | None = None
    noise_norm: Tensor | None = None
    name: Tensor | None = None
    original_name: Tensor | None = None
    forgotten_share: Tensor | None = None

    @property
    def image_unit(self) -> Tensor:
        return self.image / self.image.norm(dim=1, keepdim=True)

    @property
    def text_unit(self) -> Tensor:
        return self.text / self.text.norm(dim=1, keepdim=True)

    @property
    def name_unit(self) -> Tensor:
        assert self.name is not None
        return self.name / self.name.norm(dim=1, keepdim=True)

    @property
    def loss(self) -> Tensor:
        """CLIP's training loss: the contrastive loss over these pairs, a scalar."""
        return contrastive(self)

    @property
    def nll(self) -> Tensor:
        """Negative log-likelihood of each pair: its term of the contrastive loss, shape (n,)."""
        return pair_nll(self.image_unit, self.text_unit, self.scale)

    @property
    def original_nll(self) -> Tensor:
        """`nll` under the original model."""
        assert self.original_image is not None and self.original_text is not None
        assert self.original_scale is not None
        return pair_nll(self.original_image, self.original_text, self.original_scale)

    @property
    def divergence(self) -> Tensor:
        """KL(original ‖ current) of the softmaxes over the batch, a scalar."""
        return drift(self)


@dataclass(frozen=True)
class Unseen:
    """Mean cosine similarities under the original of unseen validation pairs.

    Attributes:
        concepts: pictures of holdout concepts with their names; None in a world without holdout
            concepts.
        scenes: scenes of retained concepts with their captions; None if there are none.
    """

    concepts: float | None
    scenes: float | None


@dataclass(frozen=True)
class Prompts:
    """Features of fixed class prompts, for methods that compare against them.

    Attributes:
        text: the original's normalised text feature of each retained concept, (c, d).
        unseen: None unless the method needs it (`Method.needs_unseen`).
    """

    text: Tensor
    unseen: Unseen | None = None


class Rows(Protocol):
    """The common interface of `Features` and `answers.Answers`."""

    @property
    def loss(self) -> Tensor: ...
    @property
    def nll(self) -> Tensor: ...
    @property
    def original_nll(self) -> Tensor: ...
    @property
    def divergence(self) -> Tensor: ...


#: Descriptions of the kinds of model.
KINDS = {"clip": "a CLIP", "language": "a multimodal language model"}


class Method:
    """Base class of methods: a frozen dataclass of options with a `loss`.

    A subclass sets `name` and `source`, and returns weighted loss terms from `loss`, which the
    engine sums. Optional hooks choose the weights that may move (`mask`), weight the terms at
    each step (`weigh`), and change weights in closed form (`finish`). By default, they do nothing.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    #: Supported kinds of model, keys of `KINDS`.
    kinds: ClassVar[tuple[str, ...]] = ("clip",)
    #: Option defaults that differ for a kind of model.
    kind_defaults: ClassVar[dict[str, dict[str, Any]]] = {}
    #: Whether the engine should provide the original's features of the retain pairs, and
    #: of the forget pairs.
    needs_original: ClassVar[bool] = False
    needs_original_forget: ClassVar[bool] = False
    #: Whether the engine should provide `Features.name` and `Features.original_name`.
    needs_names: ClassVar[bool] = False
    #: Whether the engine should measure `Prompts.unseen`.
    needs_unseen: ClassVar[bool] = False
    #: Whether the loss uses forget rows (the control does not) and retain rows. For a CLIP,
    #: retain pairs are always encoded, in the same pass as the forget pairs.
    needs_forget: ClassVar[bool] = True
    needs_retain: ClassVar[bool] = True
    #: Whether the loss uses other forget pairs as negatives. No concept set then occurs twice in
    #: a batch.
    contrasts_forget: ClassVar[bool] = False
    #: Whether the method takes steps; if not, it has no loss and only runs `finish`.
    trains: ClassVar[bool] = True
    #: Whether the engine calls `weigh` for the weights of the terms at every step.
    weighs_gradients: ClassVar[bool] = False
    #: Whether the mask may apply to the weights of LoRA adapters.
    masks_adapters: ClassVar[bool] = False

    def loss(self, forget: Any, retain: Any, prompts: Any) -> dict[str, Tensor]:
        """The named and weighted terms of the loss of one step.

        Args:
            forget, retain: rows of the kind of model; None if the method does not need them, or
                if the step belongs to the other set (`turns`).
            prompts: `Prompts` for a CLIP.
        """
        raise NotImplementedError

    def turns(self, forget: int, retain: int) -> int:
        """Number of retain steps after each forget step; 0 if every step uses both sets.

        Args:
            forget, retain: number of rows in each set.
        """
        return 0

    def mask(self, look: Look) -> dict[str, Tensor] | None:
        """Bool tensors by parameter name, true where a weight may move.

        The engine calls this before the first step. Parameters without a mask are frozen; frozen
        weights stay bit-identical to the original's. None lets all of `look.weights` move.
        """
        return None

    def masks_retain(self) -> bool:
        """Whether the mask applies to retain steps too, if forget and retain steps alternate."""
        return True

    def weigh(self, gradients: dict[str, Tensor]) -> dict[str, float]:
        """Weight of each term of `loss`, computed from its flattened gradient."""
        return dict.fromkeys(gradients, 1.0)

    def finish(self, look: Look) -> None:
        """Change `look.weights` in place, in closed form, after the last step."""

    def picture_noise(self) -> float:
        """Standard deviation of the noise for a second encoding of forget pictures; 0 for none.

        The noise depends on the seed and the step.
        """
        return 0.0

    @classmethod
    def option_types(cls) -> dict[str, Any]:
        hints = typing.get_type_hints(cls)
        return {f.name: hints[f.name] for f in dataclasses.fields(cls)}  # type: ignore[arg-type]

    @classmethod
    def defaults(cls, kind: str = "") -> dict[str, Any]:
        found = {f.name: f.default for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        return {**found, **cls.kind_defaults.get(kind, {})}

    @classmethod
    def build(cls, options: dict[str, Any], kind: str = "") -> Method:
        """Make an instance with `options`, each checked for name, type and range.

        Args:
            options: options by name; missing ones take their defaults.
            kind: kind of the model, if already known; see `KINDS`.

        Raises:
            UsageError: for an option that is unknown or invalid, and for an unsupported kind of
                model.
        """
        if kind:
            cls.check_kind(kind)
        options = {**cls.kind_defaults.get(kind, {}), **options}
        hints = cls.option_types()
        for key in options:
            if key not in hints:
                raise unknown(f"option of {cls.name}", key, hints)
        return cls(
            **{
                k: checked(f"{cls.name}: {k}", v, _BOUNDED.get(hints[k], hints[k]))
                for k, v in options.items()
            }
        )

    def options(self) -> dict[str, Any]:
        """The values of the options, by name."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    def but(self, **options: Any) -> Method:
        """A copy with some options replaced; see `build`."""
        return type(self).build({**self.options(), **options})

    @classmethod
    def check_kind(cls, kind: str) -> None:
        """Refuse an unsupported kind of model.

        Raises:
            UsageError: names the supported kinds.
        """
        if kind not in cls.kinds:
            made = " and ".join(KINDS[one] for one in cls.kinds)
            raise UsageError(f"{cls.name} is made for {made}, not for {KINDS[kind]}")
