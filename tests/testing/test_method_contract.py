"""The contracts: every method of the kit keeps them, and what breaks one is told what to mend."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import pytest

from erasekit import testing
from erasekit.unlearn.losses import contrastive
from erasekit.unlearn.method import Method
from erasekit.unlearn.methods.cliperase import forgetting_loss
from erasekit.unlearn.methods.gradient_ascent import GradientAscent
from erasekit.unlearn.methods.gradient_difference import GradientDifference
from erasekit.unlearn.registry import methods_of

#: Options of methods that forget too little by their defaults in so small a world.
STRONGER: dict[str, dict[str, float]] = {"lip": {"noise": 4.0, "layers": 20}}


@pytest.mark.parametrize("name", methods_of("clip"))
def test_every_method_keeps_the_contract(name: str) -> None:
    method = methods_of("clip")[name]
    testing.check_method(method, processes=False, **STRONGER.get(name, {}))


@dataclasses.dataclass(frozen=True)
class Flipped(GradientAscent):
    """It makes the forget pairs more similar, and easier to match."""

    def loss(self, forget, retain, prompts):
        return {"forgetting": contrastive(forget) - forgetting_loss(forget)}


@dataclasses.dataclass(frozen=True)
class Computed(GradientDifference):
    """A term of weight 0 is there all the same."""

    def loss(self, forget, retain, prompts):
        return {
            "forgetting": -self.forgetting * contrastive(forget),
            "retention": self.retention * contrastive(retain),
        }


@dataclasses.dataclass(frozen=True)
class Lax(GradientDifference):
    """It takes any option."""

    @classmethod
    def build(cls, options, kind=""):
        return cls(**{k: v for k, v in options.items() if k in cls.defaults()})


@dataclasses.dataclass(frozen=True)
class Remembers(GradientDifference):
    """What a step does depends on how many came before it in this process."""

    STEPS: ClassVar[list] = []

    def loss(self, forget, retain, prompts):
        self.STEPS.append(1)
        terms = super().loss(forget, retain, prompts)
        return {k: v * (1 + len(self.STEPS) / 100) for k, v in terms.items()}


@dataclasses.dataclass(frozen=True)
class Vandal(GradientAscent):
    """It writes to the original."""

    def finish(self, look):
        look.original["logit_scale"].add_(1)


@dataclasses.dataclass(frozen=True)
class Escapes(GradientAscent):
    """Its closed form moves what its mask holds."""

    def mask(self, look):
        return {"text_projection": look.weights["text_projection"] > 0}

    def finish(self, look):
        look.weights["text_projection"].mul_(1.5)


@dataclasses.dataclass(frozen=True)
class Peeks(GradientAscent):
    """It looks at the test split."""

    def finish(self, look):
        look._adapter.task.world.pairs("test")


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Flipped, "forgets nothing in 8 steps.*Look at the sign"),
        (Computed, "with (forgetting|retention) = 0 the term .* is still computed"),
        (Lax, "accepts an option that it does not have"),
        (Remembers, "an interrupted and resumed run ends with other weights"),
        (Vandal, "changes the original's logit_scale"),
        (Escapes, "moves 'text_projection' where its mask holds it"),
        (Peeks, "reads the test split"),
    ],
)
def test_a_method_that_breaks_it_is_told_what_to_mend(
    monkeypatch, method: type[Method], message: str
) -> None:
    original = testing.tiny_experiment().original.model
    before = {k: v.clone() for k, v in original.state_dict().items()}
    with pytest.raises(AssertionError, match=message):
        testing.check_method(method, processes=False)
    original.load_state_dict(before)


def test_a_class_that_is_no_dataclass_is_told_so() -> None:
    class Plain(Method):
        name, summary, source = "plain", "a plain class", "nobody"

    with pytest.raises(AssertionError, match=r"put @dataclass\(frozen=True\) above it"):
        testing.check_method(Plain)
