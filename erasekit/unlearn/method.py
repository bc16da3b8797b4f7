"""What an unlearning method is: options, a loss, and where both come from.

A loss is of rows: image-text pairs of a CLIP (`Features`), or questions with their answers of a
multimodal language model (`answers.Answers`). Both have the same `loss`, `nll`, `original_nll`
and `divergence`; a method that needs no more than these serves both kinds of model.

A method module imports torch for its types alone, so that the command line can list
methods and check their options before anything heavy is loaded. Losses are therefore
written with tensor methods, which also keeps the mathematics in sight.
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

#: Options that are numbers, weights above all, are never negative.
_BOUNDED = {int: Annotated[int, Field(ge=0)], float: Annotated[float, Field(ge=0)]}


@dataclass(frozen=True)
class Features:
    """Features of n pairs by the model being erased, and by the original.

    Attributes:
        image, text: as the towers give them, not normalised, shape (n, d).
        original_image, original_text: normalised features by the original model,
            (n, d); None for a method that does not need the original.
        scale: the model's logit scale, exponentiated.
        original_scale: the original's.
        noised_image: as `image`, of the pictures with noise on them; None unless the method
            asks for it (`Method.picture_noise`).
        noise_norm: length of each picture's noise, shape (n,).
        name, original_name: text features of a caption that names one forgotten concept of each
            forget pair and nothing else, (n, d): by the model, not normalised, and by the
            original, normalised; None unless the method asks for them (`Method.needs_names`).
        forgotten_share: share of each forget pair's concepts that must go, shape (n,); None
            for retain pairs, where none does.
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
        """What a CLIP is trained with: its contrastive loss over these pairs, a scalar."""
        return contrastive(self)

    @property
    def nll(self) -> Tensor:
        """How unlikely each pair is: its part of the contrastive loss, shape (n,)."""
        return pair_nll(self.image_unit, self.text_unit, self.scale)

    @property
    def original_nll(self) -> Tensor:
        """The same by the original model."""
        assert self.original_image is not None and self.original_text is not None
        assert self.original_scale is not None
        return pair_nll(self.original_image, self.original_text, self.original_scale)

    @property
    def divergence(self) -> Tensor:
        """KL from the original's softmaxes over the batch to the model's, a scalar."""
        return drift(self)


@dataclass(frozen=True)
class Unseen:
    """How similar the original finds what it never saw, each a mean cosine on validation.

    Attributes:
        concepts: of pictures of holdout concepts with their own names; None in a world that
            holds nothing out.
        scenes: of scenes of retained concepts with their captions; None where there are none.
    """

    concepts: float | None
    scenes: float | None


@dataclass(frozen=True)
class Prompts:
    """Fixed class prompts, for methods that compare against them.

    Attributes:
        text: normalised text features of one prompt a retained concept by the original, (c, d).
        unseen: None unless the method asks for it (`Method.needs_unseen`).
    """

    text: Tensor
    unseen: Unseen | None = None


class Rows(Protocol):
    """What `Features` and `answers.Answers` have in common."""

    @property
    def loss(self) -> Tensor: ...
    @property
    def nll(self) -> Tensor: ...
    @property
    def original_nll(self) -> Tensor: ...
    @property
    def divergence(self) -> Tensor: ...


#: The kinds of model, in words.
KINDS = {"clip": "a CLIP", "language": "a multimodal language model"}


class Method:
    """Base of every method: a frozen dataclass of options with a `loss`.

    A subclass names itself, states its `source`, and returns from `loss` its terms
    with their weights applied; the engine adds them up and does all else. What a loss
    cannot say is a hook: which weights may move, how terms are weighed, what is done to
    the weights in closed form. Each does nothing unless a method defines it.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    #: The kinds of model that it is made for, of `KINDS`.
    kinds: ClassVar[tuple[str, ...]] = ("clip",)
    #: Options whose default is another for a kind of model.
    kind_defaults: ClassVar[dict[str, dict[str, Any]]] = {}
    #: Whether the engine should provide the original's features of the retain pairs, and
    #: of the forget pairs.
    needs_original: ClassVar[bool] = False
    needs_original_forget: ClassVar[bool] = False
    #: Whether the engine should provide `Features.name` and what the original made of it.
    needs_names: ClassVar[bool] = False
    #: Whether the engine should measure `Prompts.unseen`.
    needs_unseen: ClassVar[bool] = False
    #: Whether it looks at forget rows at all (the control does not), and at retain rows. A
    #: CLIP's retain pairs are always encoded: they share a pass with the forget pairs.
    needs_forget: ClassVar[bool] = True
    needs_retain: ClassVar[bool] = True
    #: Whether its loss takes other forget pairs as negatives: no concept set twice in a batch.
    contrasts_forget: ClassVar[bool] = False
    #: Whether it takes steps; without, its `finish` is all it does, and it has no loss.
    trains: ClassVar[bool] = True
    #: Whether `weigh` is asked for the weights of the terms at every step.
    weighs_gradients: ClassVar[bool] = False
    #: Whether its mask may choose among the weights of adapters (LoRA).
    masks_adapters: ClassVar[bool] = False

    def loss(self, forget: Any, retain: Any, prompts: Any) -> dict[str, Tensor]:
        """The named terms of one step, weights applied.

        Args:
            forget, retain: rows as the kind of model gives them; None where the method does not
                need them, or where the step is the other's turn (`turns`).
            prompts: of a CLIP, `Prompts`.
        """
        raise NotImplementedError

    def turns(self, forget: int, retain: int) -> int:
        """How many retain steps follow each forget step; 0: both are in every step.

        Args:
            forget, retain: rows in each set.
        """
        return 0

    def mask(self, look: Look) -> dict[str, Tensor] | None:
        """By parameter name, true where a weight may move; asked before the first step.

        A parameter that is left out stays whole. What stays is bit-identical to the
        original. None: all of `look.weights` may move.
        """
        return None

    def masks_retain(self) -> bool:
        """Whether the mask holds in retain steps too, where the sets take turns."""
        return True

    def weigh(self, gradients: dict[str, Tensor]) -> dict[str, float]:
        """A weight for each term of `loss`, from its gradient over all weights, flat."""
        return dict.fromkeys(gradients, 1.0)

    def finish(self, look: Look) -> None:
        """Change `look.weights` in place, in closed form, after the last step."""

    def picture_noise(self) -> float:
        """Deviation of the noise under which forget pictures are encoded a second time.

        It is drawn from the seed and the step's number. 0: none is.
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
        """An instance with `options`, each checked for name, type and range.

        Args:
            options: by name; what is missing has its default.
            kind: of the model, if it is known already; see `KINDS`.

        Raises:
            UsageError: naming the option, its value and what it may be; and for a kind of model
                that the method is not made for.
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
        """The options that it has, by name."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    def but(self, **options: Any) -> Method:
        """The same method with some options replaced; see `build`."""
        return type(self).build({**self.options(), **options})

    @classmethod
    def check_kind(cls, kind: str) -> None:
        """Refuse a kind of model that the method is not made for.


        Raises:
            UsageError: naming the kinds that it is made for.
        """
        if kind not in cls.kinds:
            made = " and ".join(KINDS[one] for one in cls.kinds)
            raise UsageError(f"{cls.name} is made for {made}, not for {KINDS[kind]}")
