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


@dataclass(frozen=True)
class Features:
    """Features of n pairs by the model being erased, and by the original.

    Attributes:
        image, text: as the towers give them, not normalised, shape (n, d).
        original_image, original_text: normalised features by the original model,
            (n, d); None for a method that does not need the original.
        scale: the model's logit scale, exponentiated.
        original_scale: the original's.
    """

    image: Tensor
    text: Tensor
    scale: Tensor
    original_image: Tensor | None = None
    original_text: Tensor | None = None
    original_scale: Tensor | None = None

    @property
    def image_unit(self) -> Tensor:
        return self.image / self.image.norm(dim=1, keepdim=True)

    @property
    def text_unit(self) -> Tensor:
        return self.text / self.text.norm(dim=1, keepdim=True)


@dataclass(frozen=True)
class Prompts:
    """Fixed class prompts, for methods that compare against them.

    Attributes:
        text: normalised text features of one prompt a concept by the original, (c, d).
    """

    text: Tensor


class Method:
    """Base of every method: a frozen dataclass of options with a `loss`.

    A subclass names itself, states its `source`, and returns from `loss` its terms
    with their weights applied; the engine adds them up and does all else.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    #: Whether the engine should provide the original's features of the retain pairs, and
    #: of the forget pairs.
    needs_original: ClassVar[bool] = False
    needs_original_forget: ClassVar[bool] = False
    #: Whether it looks at forget pairs at all (the control does not).
    needs_forget: ClassVar[bool] = True
    #: Whether its loss takes other forget pairs as negatives: no concept set twice in a batch.
    contrasts_forget: ClassVar[bool] = False

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        """The named terms of one step, weights applied."""
        raise NotImplementedError

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
