"""What the engine does for a method beyond its loss: mask, weights of terms, closed form."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from support import fingerprint

from erasekit import plots
from erasekit.errors import RunError
from erasekit.models.contrastive import info_nce
from erasekit.unlearn.engine import Erasure, erase
from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.look import Look
from erasekit.unlearn.method import Method
from erasekit.unlearn.methods.fine_tune import FineTune
from erasekit.unlearn.methods.gradient_difference import GradientDifference
from erasekit.unlearn.methods.lip import Lip
from erasekit.unlearn.methods.munba import MUNBa
from erasekit.unlearn.methods.null_space import NullSpace
from erasekit.unlearn.methods.salun import SalUn
from erasekit.unlearn.methods.slug import SLUG
from erasekit.unlearn.methods.task_negation import TaskNegation
from erasekit.unlearn.pair_batches import PairBatches
from erasekit.unlearn.registry import METHODS, get_method

SPEC = EraseSpec(steps=5, forget_batch=4, retain_batch=4, learning_rate=1e-3)


@pytest.fixture(autouse=True)
def few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients of two batches: what is tested here is what becomes of them."""
    real = Look._mean
    monkeypatch.setattr(
        Look, "_mean", lambda self, which, loss, batches, of: real(self, which, loss, 2, of)
    )


def run(experiment, method: Method, spec: EraseSpec = SPEC, **rest) -> Erasure:
    return erase(experiment.original, experiment.task, method, spec, progress=False, **rest)


def weights(clip) -> dict[str, torch.Tensor]:
    return {name: value.detach() for name, value in clip.model.named_parameters()}


def moved(experiment, erasure: Erasure) -> dict[str, torch.Tensor]:
    before = weights(experiment.original)
    return {name: value != before[name] for name, value in weights(erasure.model).items()}


@pytest.mark.parametrize("decays", [False, True])
@pytest.mark.parametrize("method", [SalUn(share=0.1), SalUn(), Lip(layers=3)], ids=str)
def test_only_what_the_mask_lets_move_has_moved(
    tiny_experiment, monkeypatch, method: Method, decays: bool
) -> None:
    if decays:  # an optimiser that moves weights without a gradient too
        monkeypatch.setattr(
            torch.optim, "Adam", lambda p, **rest: torch.optim.AdamW(p, weight_decay=0.3, **rest)
        )
    e = tiny_experiment
    look = Look(PairBatches(e.original, e.task, method, SPEC))
    mask = method.mask(look)
    assert mask is not None
    changed = moved(tiny_experiment, run(tiny_experiment, method))
    for name, value in changed.items():
        allowed = mask.get(name, torch.zeros_like(value))
        assert not (value & ~allowed).any(), name
    reached = sum(int(v.sum()) for v in changed.values())
    assert reached > 0.9 * sum(int(v.sum()) for v in mask.values()) > 0


def test_a_mask_ends_with_the_erasure(tiny_experiment) -> None:
    """Whoever trains the erased model further, as relearning does, trains all of it."""
    clip = run(tiny_experiment, SalUn(share=0.01)).model
    clip.model.requires_grad_(True)
    clip.model.text_projection.square().sum().backward()  # type: ignore[union-attr,operator]
    assert clip.model.text_projection.grad.all()  # type: ignore[union-attr]


@dataclasses.dataclass(frozen=True)
class Masked(FineTune):
    """The control under a mask that is handed in."""

    GIVEN: ClassVar[dict] = {}

    def mask(self, look):
        return {k: v(look) for k, v in self.GIVEN.items()}


@pytest.mark.parametrize(
    ("name", "mask", "message"),
    [
        ("visual.lora_A", lambda look: torch.ones(2).bool(), "names 'visual.lora_A'"),
        ("text_projection", lambda look: torch.ones(2).bool(), r"of shape \(2,\): give"),
        (
            "text_projection",
            lambda look: torch.zeros_like(look.weights["text_projection"]).bool(),
            "lets no weight move",
        ),
    ],
)
def test_a_mask_that_fits_nothing_stops_the_run(
    tiny_experiment, monkeypatch, name: str, mask, message: str
) -> None:
    before = fingerprint(tiny_experiment.original.model)
    monkeypatch.setattr(Masked, "GIVEN", {name: mask})
    with pytest.raises(RunError, match=message):
        run(tiny_experiment, Masked())
    assert fingerprint(tiny_experiment.original.model) == before


def test_lip_without_a_layer_says_so(tiny_experiment) -> None:
    with pytest.raises(RunError, match=r"^lip: its mask lets no weight move"):
        run(tiny_experiment, Lip(layers=0))


@dataclasses.dataclass(frozen=True)
class Weighed(GradientDifference):
    """Terms doubled and halved; what it was asked with is kept."""

    weighs_gradients: ClassVar[bool] = True
    ASKED: ClassVar[list] = []

    def weigh(self, gradients):
        self.ASKED.append({k: v.clone() for k, v in gradients.items()})
        return {"forgetting": 2.0, "retention": 0.5}


def test_terms_are_weighed_by_their_gradients(tiny_experiment) -> None:
    Weighed.ASKED.clear()
    plain = run(tiny_experiment, GradientDifference())
    weighed = run(tiny_experiment, Weighed())
    assert len(Weighed.ASKED) == SPEC.steps
    first = weighed.history[0]
    assert first["forgetting"] == pytest.approx(2 * plain.history[0]["forgetting"])
    assert first["retention"] == pytest.approx(plain.history[0]["retention"] / 2)
    assert first["loss"] == pytest.approx(first["forgetting"] + first["retention"])
    count = sum(p.numel() for p in tiny_experiment.original.model.parameters())
    gradients = Weighed.ASKED[0]
    assert {k: tuple(v.shape) for k, v in gradients.items()} == {
        "forgetting": (count,),
        "retention": (count,),
    }
    assert not torch.allclose(gradients["forgetting"], gradients["retention"])


def test_weights_of_one_change_nothing(tiny_experiment, monkeypatch) -> None:
    monkeypatch.setattr(Weighed, "weigh", Method.weigh)
    weighed, plain = (run(tiny_experiment, m) for m in (Weighed(), GradientDifference()))
    assert fingerprint(weighed.model.model) == fingerprint(plain.model.model)


@dataclasses.dataclass(frozen=True)
class Slow(FineTune):
    """The control, with a pause before and after; it keeps what it saw."""

    SEEN: ClassVar[list] = []

    def mask(self, look):
        self.SEEN.append(all(torch.equal(v, look.original[k]) for k, v in look.weights.items()))
        time.sleep(0.2)

    def finish(self, look):
        self.SEEN.append(all(torch.equal(v, look.original[k]) for k, v in look.weights.items()))
        time.sleep(0.3)
        look.weights["logit_scale"].fill_(1.25)


@dataclasses.dataclass(frozen=True)
class Closed(Slow):
    trains: ClassVar[bool] = False

    def loss(self, forget, retain, prompts):
        raise AssertionError("a closed form has no loss")


def test_a_mask_comes_before_the_steps_and_a_closed_form_after(tiny_experiment) -> None:
    Slow.SEEN.clear()
    spec = dataclasses.replace(SPEC, steps=1)
    erasure = run(tiny_experiment, Slow(), spec)
    assert Slow.SEEN == [True, False]
    assert float(erasure.model.model.logit_scale) == 1.25
    assert erasure.steps == 1 and len(erasure.history) == 1
    assert erasure.seconds > 0.5  # both pauses count


def test_a_closed_form_takes_no_step_and_its_time_counts(tiny_experiment) -> None:
    Slow.SEEN.clear()
    erasure = run(tiny_experiment, Closed())
    assert Slow.SEEN == [True, True]
    assert erasure.steps == 0
    assert erasure.seconds > 0.5
    (row,) = erasure.history
    assert set(row) == {"step", "validation_forget", "validation_retain"}
    assert not any(p.requires_grad for p in erasure.model.model.parameters())
    plots.loss_terms(erasure.history)  # what a run folder draws of it


@dataclasses.dataclass(frozen=True)
class Breaks(Closed):
    def finish(self, look):
        look.weights["text_projection"][0, 0] = float("nan")


def test_a_closed_form_that_leaves_no_number_is_an_error(tiny_experiment) -> None:
    with pytest.raises(RunError, match="left weights in 'text_projection' that are not finite"):
        run(tiny_experiment, Breaks())


STOP_AT: list[int] = [0]
NOISE: list[float] = []


@dataclasses.dataclass(frozen=True)
class InterruptedLip(Lip):
    def loss(self, forget, retain, prompts):
        NOISE.append(float(forget.noise_norm[0]))
        STOP_AT[0] -= 1
        if STOP_AT[0] == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return super().loss(forget, retain, prompts)


def test_a_resumed_run_has_the_same_mask_and_the_same_noise(
    tiny_experiment, tmp_path: Path
) -> None:
    NOISE.clear()
    whole = run(tiny_experiment, InterruptedLip())
    assert len(set(NOISE)) == SPEC.steps  # another noise at every step
    checkpoint = tmp_path / "checkpoint.pt"
    STOP_AT[0] = 3
    with pytest.raises(KeyboardInterrupt):
        run(tiny_experiment, InterruptedLip(), checkpoint=checkpoint)
    resumed = run(tiny_experiment, InterruptedLip(), checkpoint=checkpoint)
    assert fingerprint(resumed.model.model) == fingerprint(whole.model.model)
    assert resumed.history == whole.history
    other = run(tiny_experiment, InterruptedLip(), dataclasses.replace(SPEC, seed=1))
    assert fingerprint(other.model.model) != fingerprint(whole.model.model)


NEW = ("salun", "ssd", "lip", "null_space", "slug", "task_negation", "munba")


@pytest.mark.parametrize("name", NEW)
def test_two_runs_are_equal(tiny_experiment, name: str) -> None:
    spec = dataclasses.replace(SPEC, steps=2)
    one, other = (run(tiny_experiment, get_method(name).build({}), spec) for _ in range(2))
    assert fingerprint(one.model.model) == fingerprint(other.model.model)
    assert one.history == other.history
    assert METHODS[name].trains == bool(one.steps)


@pytest.mark.parametrize(
    "method",
    [NullSpace(strength=0, towers="both"), TaskNegation(scale=0)],
    ids=str,
)
def test_a_weight_at_its_limit_changes_nothing(tiny_experiment, method: Method) -> None:
    erasure = run(tiny_experiment, method)
    assert fingerprint(erasure.model.model) == fingerprint(tiny_experiment.original.model)


def test_the_smallest_step_is_as_good_as_none_if_all_is_forgotten_enough(tiny_experiment) -> None:
    """With a target of 1 every step will do, and 20 halvings leave a millionth of the layer."""
    erasure = run(tiny_experiment, SLUG(target=1, halvings=20))
    before = weights(tiny_experiment.original)
    (name,) = (k for k, v in moved(tiny_experiment, erasure).items() if v.any())
    change = (weights(erasure.model)[name] - before[name]).norm() / before[name].norm()
    assert 0 < float(change) < 3e-6


def similarity(clip, pairs) -> float:
    image, text = clip.encode_images(pairs.images), clip.encode_texts(pairs.captions)
    return float((image * text).sum(1).mean())


def loss_on(clip, task, which: str) -> float:
    pairs = getattr(task, which)
    image, text = clip.encode_images(pairs.images), clip.encode_texts(pairs.captions)
    return float(info_nce(image, text, clip.model.logit_scale.detach().exp()))


@pytest.mark.parametrize("name", ["salun", "null_space", "slug"])
def test_forget_pairs_become_less_alike(tiny_experiment, name: str) -> None:
    spec = dataclasses.replace(SPEC, steps=12, learning_rate=3e-3)
    erasure = run(tiny_experiment, get_method(name).build({}), spec)
    forget = tiny_experiment.task.forget
    before = similarity(tiny_experiment.original, forget)
    assert similarity(erasure.model, forget) < before - 0.01


@pytest.mark.parametrize("method", [TaskNegation(), MUNBa()], ids=str)
def test_what_climbs_the_loss_on_forget_pairs_ends_above(tiny_experiment, method) -> None:
    spec = dataclasses.replace(SPEC, steps=12, learning_rate=3e-3)
    erasure = run(tiny_experiment, method, spec)
    task, original = tiny_experiment.task, tiny_experiment.original
    assert loss_on(erasure.model, task, "forget") > loss_on(original, task, "forget") + 0.1


@pytest.mark.parametrize("towers", ["image", "both"])
def test_task_negation_moves_the_towers_it_is_told_to(tiny_experiment, towers) -> None:
    changed = moved(tiny_experiment, run(tiny_experiment, TaskNegation(towers=towers)))
    assert any(v.any() for k, v in changed.items() if k.startswith("visual."))
    text = [v.any() for k, v in changed.items() if not k.startswith("visual.")]
    assert any(text) == (towers == "both")


def test_task_negation_learns_before_it_negates(tiny_experiment) -> None:
    spec = dataclasses.replace(SPEC, steps=12, learning_rate=3e-3)
    tuned = run(tiny_experiment, TaskNegation(), spec)
    losses = [row["fine_tuning"] for row in tuned.history]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


def test_lip_smooths(tiny_experiment) -> None:
    spec = dataclasses.replace(SPEC, steps=12, learning_rate=3e-3)
    losses = [row["smoothing"] for row in run(tiny_experiment, Lip(), spec).history]
    assert losses[-1] < 0.9 * losses[0]


def test_null_space_leaves_no_similarity_with_a_forgotten_concept(tiny_experiment) -> None:
    erasure = run(tiny_experiment, NullSpace())
    task, clip = tiny_experiment.task, tiny_experiment.original
    texts = Look(PairBatches(clip, task, NullSpace(), SPEC)).forgotten_texts()
    after = erasure.model.encode_images(task.forget.images) @ texts.T
    before = clip.encode_images(task.forget.images) @ texts.T
    assert float(after.abs().max()) < 1e-4 < 0.1 < float(before.abs().max())
