"""What an unlearning method is: options, a loss, and where both come from.

A method module imports torch for its types alone, so that the command line can list
methods and check their options before anything heavy is loaded. Losses are therefore
written with tensor methods, which also keeps the mathematics in sight.
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from erasekit.errors import UsageError, unknown

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.unlearn.look import Look


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
    #: Whether the engine should provide the original's features of the retain pairs, and
    #: of the forget pairs.
    needs_original: ClassVar[bool] = False
    needs_original_forget: ClassVar[bool] = False
    #: Whether the engine should provide `Features.name` and what the original made of it.
    needs_names: ClassVar[bool] = False
    #: Whether the engine should measure `Prompts.unseen`.
    needs_unseen: ClassVar[bool] = False
    #: Whether it looks at forget pairs at all (the control does not).
    needs_forget: ClassVar[bool] = True
    #: Whether its loss takes other forget pairs as negatives: no concept set twice in a batch.
    contrasts_forget: ClassVar[bool] = False
    #: Whether it takes steps; without, its `finish` is all it does, and it has no loss.
    trains: ClassVar[bool] = True
    #: Whether `weigh` is asked for the weights of the terms at every step.
    weighs_gradients: ClassVar[bool] = False

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        """The named terms of one step, weights applied."""
        raise NotImplementedError

    def mask(self, look: Look) -> dict[str, Tensor] | None:
        """By parameter name, true where a weight may move; asked before the first step.

        A parameter that is left out stays whole. What stays is bit-identical to the
        original. None: all of `look.weights` may move.
        """
        return None

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
    def defaults(cls) -> dict[str, Any]:
        return {f.name: f.default for f in dataclasses.fields(cls)}  # type: ignore[arg-type]

    @classmethod
    def build(cls, options: dict[str, Any]) -> Method:
        """An instance with `options`, each checked for name, type and range.

        Raises:
            UsageError: naming the option, its value and what it may be.
        """
        hints = cls.option_types()
        for key in options:
            if key not in hints:
                raise unknown(f"option of {cls.name}", key, hints)
        return cls(**{k: _checked(cls.name, k, v, hints[k]) for k, v in options.items()})

    def options(self) -> dict[str, Any]:
        """The options that it has, by name."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    def but(self, **options: Any) -> Method:
        """The same method with some options replaced; see `build`."""
        return type(self).build({**self.options(), **options})


def _checked(method: str, key: str, value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise UsageError(
                f"{method}: {key} = {value!r} is not one of {', '.join(map(str, choices))}"
            )
        return value
    if hint is bool:
        words = {"true": True, "false": False}
        value = words.get(value.lower(), value) if isinstance(value, str) else value
        if not isinstance(value, bool):
            raise UsageError(f"{method}: {key} = {value!r} must be true or false")
        return value
    try:
        number = hint(value)
        if isinstance(value, bool) or number != float(value):
            raise ValueError
    except (TypeError, ValueError):
        kind = "a whole number" if hint is int else "a number"
        raise UsageError(f"{method}: {key} = {value!r} must be {kind}") from None
    if not 0 <= number < float("inf"):
        raise UsageError(f"{method}: {key} = {value} must be 0 or more, and finite")
    return number
