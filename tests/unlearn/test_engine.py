"""The engine: the original untouched, runs repeatable and resumable, nothing computed twice."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from support import build, fingerprint

from erasekit.data.drawn import captions
from erasekit.data.task import ErasureTask
from erasekit.errors import RunError, UsageError
from erasekit.models.clip import Clip
from erasekit.models.zero_shot import concept_features
from erasekit.unlearn.encode import FrozenFeatures
from erasekit.unlearn.engine import EraseSpec, erase
from erasekit.unlearn.look import Look
from erasekit.unlearn.method import Method
from erasekit.unlearn.methods.cliperase import CLIPErase
from erasekit.unlearn.methods.fine_tune import FineTune
from erasekit.unlearn.pair_batches import PairBatches
from erasekit.unlearn.registry import get_method, methods_of

SPEC = EraseSpec(steps=6, forget_batch=4, retain_batch=4, learning_rate=1e-3, stop_at=-1)

#: Tensors moved, at least and at most, by the methods that move few of them on purpose.
MOVED = {
    "lip": (6, 6),
    "null_space": (2, 2),
    "slug": (1, 1),
    "ssd": (1, 99),
    "task_negation": (66, 66),  # the image tower alone
}


def run(experiment, method: Method | None = None, spec: EraseSpec = SPEC, **rest):
    method = method or CLIPErase()
    return erase(experiment.original, experiment.task, method, spec, progress=False, **rest)


@pytest.fixture(scope="module")
def whole(tiny_experiment):
    return run(tiny_experiment)


@pytest.mark.parametrize("name", methods_of("clip"))
def test_the_original_stays_bit_identical(tiny_experiment, name: str) -> None:
    original = tiny_experiment.original.model
    before = fingerprint(original)
    erased = run(tiny_experiment, get_method(name).build({}), dataclasses.replace(SPEC, steps=2))
    assert fingerprint(original) == before
    moved = [k for k, v in fingerprint(erased.model.model).items() if v != before[k]]
    least, most = MOVED.get(name, (len(before) / 2, len(before)))
    assert least <= len(moved) <= most
    assert not any(p.requires_grad for p in original.parameters())
    assert not any(p.requires_grad for p in erased.model.model.parameters())


def test_batch_statistics_do_not_move(tiny_experiment, whole) -> None:
    before = fingerprint(tiny_experiment.original.model)
    after = fingerprint(whole.model.model)
    statistics = [name for name, _ in tiny_experiment.original.model.named_buffers()]
    assert any("running_mean" in name for name in statistics)
    assert all(after[name] == before[name] for name in statistics if name in before)


def test_two_runs_are_equal(tiny_experiment, whole) -> None:
    again = run(tiny_experiment)
    assert fingerprint(again.model.model) == fingerprint(whole.model.model)
    assert again.history == whole.history


def test_the_seed_and_the_method_make_a_difference(tiny_experiment, whole) -> None:
    prints = [
        fingerprint(erasure.model.model)
        for erasure in (
            whole,
            run(tiny_experiment, spec=dataclasses.replace(SPEC, seed=1)),
            run(tiny_experiment, CLIPErase(consistency=0)),
            run(tiny_experiment, CLIPErase(unimodal="batch")),
        )
    ]
    assert all(a != b for i, a in enumerate(prints) for b in prints[:i])


def test_retention_alone_is_fine_tuning(tiny_experiment) -> None:
    """The same loss by two roads: only the company of the forget pairs differs."""
    retention = run(tiny_experiment, CLIPErase(forgetting=0, consistency=0))
    control = run(tiny_experiment, get_method("fine_tune").build({}))
    for one, other in zip(retention.history, control.history, strict=True):
        assert one["retention"] == pytest.approx(other["retention"], rel=2e-3)


def test_the_first_step_has_the_originals_losses(tiny_experiment, whole) -> None:
    first = whole.history[0]
    assert first["consistency"] == pytest.approx(0, abs=1e-4)  # nothing has moved yet
    assert first["loss"] == pytest.approx(
        first["forgetting"] + first["retention"] + first["consistency"], rel=1e-5
    )


def test_history_has_every_term_at_every_step(whole) -> None:
    assert [row["step"] for row in whole.history] == list(range(SPEC.steps))
    for row in whole.history:
        assert {"step", "forgetting", "retention", "consistency", "loss"} <= set(row)
        assert all(np.isfinite(list(row.values())))
    assert whole.steps == SPEC.steps
    assert whole.seconds > 0
    assert whole.options == dataclasses.asdict(CLIPErase())


@dataclasses.dataclass(frozen=True)
class Interrupted(CLIPErase):
    """CLIPErase to which something happens in the middle of one step, as `FAIL_AT` says."""

    def loss(self, forget, retain, prompts):
        EVENTS.append(1)
        if len(EVENTS) == FAIL_AT[0]:
            FAIL_AT[1]()
        return super().loss(forget, retain, prompts)


EVENTS: list[int] = []
FAIL_AT: list = [0, None]


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def raise_interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("event", "at", "left"),
    [(ctrl_c, 1, 5), (ctrl_c, 4, 2), (raise_interrupt, 4, 3), (raise_interrupt, 6, 1)],
)
def test_a_resumed_run_is_the_uninterrupted_one(
    tiny_experiment, whole, tmp_path: Path, event, at: int, left: int
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    EVENTS.clear()
    FAIL_AT[:] = [at, event]
    with pytest.raises(KeyboardInterrupt):
        run(tiny_experiment, Interrupted(), checkpoint=checkpoint)
    assert len(EVENTS) == at
    assert checkpoint.is_file()
    FAIL_AT[0] = 0
    EVENTS.clear()
    resumed = run(tiny_experiment, Interrupted(), checkpoint=checkpoint)
    assert len(EVENTS) == left  # what was done is not done again
    assert fingerprint(resumed.model.model) == fingerprint(whole.model.model)
    assert resumed.history == whole.history
    assert not checkpoint.exists()


def test_a_checkpoint_of_another_original_is_not_used(
    tiny_experiment, whole, tmp_path: Path
) -> None:
    """The same task and settings on other weights are another run."""
    other = tiny_experiment.oracle
    checkpoint = tmp_path / "checkpoint.pt"
    EVENTS.clear()
    FAIL_AT[:] = [4, ctrl_c]
    with pytest.raises(KeyboardInterrupt):
        erase(
            other,
            tiny_experiment.task,
            Interrupted(),
            SPEC,
            checkpoint=checkpoint,
            progress=False,
        )
    FAIL_AT[0] = 0
    again = run(tiny_experiment, Interrupted(), checkpoint=checkpoint)
    assert fingerprint(again.model.model) == fingerprint(whole.model.model)


@pytest.mark.parametrize("other", ["seed", "pairs", "options"])
def test_a_checkpoint_of_another_seed_task_or_option_is_not_used(
    tiny_experiment, whole, tmp_path: Path, other: str
) -> None:
    task = ErasureTask(tiny_experiment.world, "fruit", ["en"]) if other == "pairs" else None
    spec = dataclasses.replace(SPEC, seed=7) if other == "seed" else SPEC
    method = Interrupted(forgetting=2.0) if other == "options" else Interrupted()
    checkpoint = tmp_path / "checkpoint.pt"
    EVENTS.clear()
    FAIL_AT[:] = [4, ctrl_c]
    given = {"checkpoint": checkpoint, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        erase(tiny_experiment.original, task or tiny_experiment.task, method, spec, **given)
    FAIL_AT[0] = 0
    again = run(tiny_experiment, Interrupted(), checkpoint=checkpoint)
    assert fingerprint(again.model.model) == fingerprint(whole.model.model)
    assert again.history == whole.history


@dataclasses.dataclass(frozen=True)
class Remembers(CLIPErase):
    """CLIPErase that keeps what it is given of the original and of the model itself."""

    needs_original_forget: ClassVar[bool] = True

    def loss(self, forget, retain, prompts):
        SEEN.append((forget, retain))
        return super().loss(forget, retain, prompts)


SEEN: list = []


def test_a_loss_gets_the_originals_features_of_the_same_pairs(tiny_experiment) -> None:
    """At the first step the model is the original; later it is not, and they stay the same."""
    SEEN.clear()
    task, original = tiny_experiment.task, tiny_experiment.original
    run(tiny_experiment, Remembers(), dataclasses.replace(SPEC, learning_rate=1e-2))
    assert len(SEEN) == SPEC.steps
    for part in SEEN[0]:
        assert torch.allclose(part.original_image, part.image_unit, atol=1e-5)
        assert torch.allclose(part.original_text, part.text_unit, atol=1e-5)
    for step, both in enumerate(SEEN):
        for part, pairs in zip(both, (task.forget, task.retain), strict=True):
            images, texts = (
                original.encode_images(pairs.images),
                original.encode_texts(pairs.captions),
            )
            rows = torch.cdist(part.original_image, images).argmin(1)
            assert torch.allclose(part.original_image, images[rows], atol=1e-5)
            assert torch.allclose(part.original_text, texts[rows], atol=1e-5)
            if step:
                assert not torch.allclose(part.original_image, part.image_unit, atol=1e-5)
            assert float(part.original_scale) == pytest.approx(
                float(original.model.logit_scale.exp())
            )


def test_a_damaged_checkpoint_starts_over(tiny_experiment, whole, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(b"not a checkpoint")
    again = run(tiny_experiment, checkpoint=checkpoint)
    assert fingerprint(again.model.model) == fingerprint(whole.model.model)


@dataclasses.dataclass(frozen=True)
class GoesWrong(CLIPErase):
    def loss(self, forget, retain, prompts):
        terms = super().loss(forget, retain, prompts)
        EVENTS.append(1)
        if len(EVENTS) == 4:
            terms["forgetting"] = terms["forgetting"] * float("nan")
        return terms


def test_a_nan_keeps_the_last_good_weights_and_names_the_step(
    tiny_experiment, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    EVENTS.clear()
    with pytest.raises(
        RunError, match=r"stopped at step 4: forgetting is nan.*after step 3 is kept"
    ):
        run(tiny_experiment, GoesWrong(), checkpoint=checkpoint)
    kept = torch.load(checkpoint)
    assert kept["steps"] == 3
    assert [row["step"] for row in kept["history"]] == [0, 1, 2]
    assert all(torch.isfinite(v).all() for v in kept["model"].values() if v.is_floating_point())
    # They are exactly the weights of a run that was interrupted after step 3.
    EVENTS.clear()
    FAIL_AT[:] = [3, ctrl_c]
    other = tmp_path / "other.pt"
    with pytest.raises(KeyboardInterrupt):
        run(tiny_experiment, Interrupted(), checkpoint=other)
    expected = torch.load(other)["model"]
    assert all(torch.equal(kept["model"][k], v) for k, v in expected.items())


def test_validation_stops_a_run_after_two_looks(tiny_experiment) -> None:
    # At top-1 of at most 1 every look is good enough, so that the second one ends it.
    spec = dataclasses.replace(SPEC, steps=20, stop_at=1.0, check_every=3)
    stopped = run(tiny_experiment, spec=spec)
    assert stopped.steps == 6
    looked = [row["step"] for row in stopped.history if "validation_forget" in row]
    assert looked == [2, 5]
    assert all(0 <= stopped.history[i]["validation_retain"] <= 1 for i in looked)


def test_both_of_the_last_two_looks_must_be_good_enough(
    tiny_experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = iter([0.0, 0.06, 0.0, 0.06, 0.05, 0.04, 0.0])
    monkeypatch.setattr(Look, "validation", lambda self: {"validation_forget": next(seen)})
    spec = dataclasses.replace(SPEC, steps=9, stop_at=0.05, check_every=1)
    assert run(tiny_experiment, spec=spec).steps == 6


def test_the_control_never_stops_early(tiny_experiment) -> None:
    spec = dataclasses.replace(SPEC, stop_at=1.0, check_every=1)
    control = run(tiny_experiment, get_method("fine_tune").build({}), spec)
    assert control.steps == SPEC.steps


def test_stopping_and_resuming_agree(tiny_experiment, tmp_path: Path) -> None:
    spec = dataclasses.replace(SPEC, steps=20, stop_at=1.0, check_every=3)
    expected = run(tiny_experiment, spec=spec)
    checkpoint = tmp_path / "checkpoint.pt"
    EVENTS.clear()
    FAIL_AT[:] = [4, ctrl_c]  # between the two looks
    with pytest.raises(KeyboardInterrupt):
        run(tiny_experiment, Interrupted(), spec, checkpoint=checkpoint)
    FAIL_AT[0] = 0
    resumed = run(tiny_experiment, Interrupted(), spec, checkpoint=checkpoint)
    assert resumed.steps == expected.steps == 6
    assert resumed.history == expected.history


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """How many pictures each model encoded, by the identity of its weights."""
    counted: Counter = Counter()
    real = Clip.encode_images

    def counting(self: Clip, images, *rest, **named):
        counted[id(self.model)] += len(images)
        return real(self, images, *rest, **named)

    monkeypatch.setattr(Clip, "encode_images", counting)
    return counted


def test_frozen_features_are_computed_once(tiny_experiment, encoded: Counter) -> None:
    clip, pairs = tiny_experiment.original, tiny_experiment.task.retain
    frozen = FrozenFeatures(clip, pairs)
    frozen.require(np.array([[0, 3], [3, 5]]))
    assert encoded[id(clip.model)] == 3
    image, text = frozen.at(np.array([5, 0, 7]))
    assert encoded[id(clip.model)] == 4
    frozen.at(np.array([0, 3, 5, 7]))
    assert encoded[id(clip.model)] == 4
    part = pairs.take([5, 0, 7])
    torch.testing.assert_close(image, clip.encode_images(part.images), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(text, clip.encode_texts(part.captions), atol=1e-5, rtol=1e-4)


def test_erasures_share_what_the_original_says(tiny_experiment, encoded: Counter) -> None:
    original = tiny_experiment.original
    frozen = FrozenFeatures(original, tiny_experiment.task.retain)
    run(tiny_experiment, frozen=frozen)
    once = encoded[id(original.model)]
    assert 0 < once <= len(tiny_experiment.task.retain)
    run(tiny_experiment, CLIPErase(forgetting=1), frozen=frozen)
    assert encoded[id(original.model)] == once


def test_a_method_without_the_original_does_not_run_it(tiny_experiment, encoded: Counter) -> None:
    run(tiny_experiment, get_method("fine_tune").build({}))
    assert encoded[id(tiny_experiment.original.model)] == 0


def test_contrasted_forget_pairs_are_no_false_negatives(tiny_experiment) -> None:
    original, task = tiny_experiment.original, tiny_experiment.task

    def plan_forget(name: str) -> np.ndarray | None:
        return PairBatches(original, task, get_method(name).build({}), SPEC).plan_forget()

    plan = plan_forget("cliperase_infonce")
    assert plan is not None
    for rows in plan:
        kinds = [frozenset(task.forget.concepts[i]) for i in rows]
        assert len(set(kinds)) == len(kinds)
    assert plan_forget("fine_tune") is None


def test_batches_shrink_to_what_there_is(tiny_experiment) -> None:
    huge = dataclasses.replace(SPEC, steps=1, forget_batch=10_000, retain_batch=10_000)
    assert run(tiny_experiment, spec=huge).steps == 1


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_runs_and_stays_close(tiny_experiment, precision: str) -> None:
    original = build("vit", tiny_experiment.original)
    whole, mixed = (
        erase(
            original,
            tiny_experiment.task,
            CLIPErase(),
            dataclasses.replace(SPEC, precision=name),
            progress=False,
        )
        for name in ("fp32", precision)
    )
    assert mixed.history[0]["retention"] == pytest.approx(whole.history[0]["retention"], rel=0.05)
    assert mixed.history[0]["retention"] != whole.history[0]["retention"]
    assert mixed.history[-1]["loss"] < mixed.history[0]["loss"]
    assert all(p.dtype == torch.float32 for p in mixed.model.model.parameters())


@pytest.mark.parametrize(
    "field", ["steps", "forget_batch", "retain_batch", "learning_rate", "check_every"]
)
def test_a_specification_that_cannot_be_is_refused(field: str) -> None:
    for value in (0, -1, float("nan")):
        with pytest.raises(UsageError, match=f"{field} = "):
            EraseSpec(**{field: value})  # type: ignore[arg-type]


def test_a_method_that_asks_gets_names_shares_and_how_the_unseen_look(tiny_experiment):
    e = tiny_experiment
    seen: list[tuple] = []

    @dataclasses.dataclass(frozen=True)
    class Asking(FineTune):
        name: ClassVar[str] = "asking"
        needs_forget: ClassVar[bool] = True
        needs_names: ClassVar[bool] = True
        needs_unseen: ClassVar[bool] = True

        def loss(self, forget, retain, prompts):
            seen.append((forget, prompts))
            return super().loss(None, retain, prompts)

    run(e, Asking(), dataclasses.replace(SPEC, steps=2))
    forget, prompts = seen[0]
    assert forget.name.shape == forget.text.shape == (4, forget.image.shape[1])
    # Before the first step the model is the original, which knows each name by itself.
    known = e.original.encode_texts(
        [
            text
            for concept in e.task.forgotten_concepts
            for language in e.task.forget_languages
            for text in captions.prompts(concept, language)
        ]
    )
    nearest = (forget.name_unit.detach() @ known.T).max(1).values
    assert torch.allclose(nearest, torch.ones(4), atol=1e-5)
    assert torch.allclose(forget.name_unit.detach(), forget.original_name, atol=1e-5)
    shares = {round(float(share), 3) for forget, _ in seen for share in forget.forgotten_share}
    assert shares <= {0.333, 0.5, 0.667, 1.0}
    assert len(shares) > 1, "scenes are among them"
    holdout = e.world.holdout
    singles = e.world.pairs("validation").singles.where(lambda shown: shown[0] in holdout)
    names = {i: concept_features(e.original, [e.world.concept(i)])[0] for i in holdout}
    pictures = e.original.encode_images(singles.images)
    cosines = [float(p @ names[i]) for p, (i,) in zip(pictures, singles.concepts, strict=True)]
    assert prompts.unseen.concepts == pytest.approx(sum(cosines) / len(cosines), abs=1e-5)
    cosines = [
        float(e.original.encode_images(one.images)[0] @ e.original.encode_texts(one.captions)[0])
        for i, shown in enumerate(e.world.pairs("validation").concepts)
        if len(shown) > 1 and not set(shown) & set(e.task.forgotten)
        for one in [e.world.pairs("validation").take([i])]
    ]
    assert prompts.unseen.scenes == pytest.approx(sum(cosines) / len(cosines), abs=1e-5)


def test_the_cost_counts_what_is_computed_before_the_first_step(tiny_experiment, monkeypatch):
    e = tiny_experiment

    class Slow(FrozenFeatures):
        def require(self, indices):
            time.sleep(0.3)
            super().require(indices)

    method = get_method("kl_minimization").build({})
    spec = dataclasses.replace(SPEC, steps=1)
    slow = Slow(e.original, e.task.retain)
    erasure = erase(e.original, e.task, method, spec, frozen=slow, progress=False)
    assert erasure.seconds >= 0.6  # once before the first step, once in it


@pytest.mark.parametrize(
    ("epochs", "pairs", "steps", "check_every"),
    [(20, 42_750, 53_438, 534), (0.5, 16, 1, 10), (2, 17, 3, 10), (1e-9, 3, 1, 10)],
)
def test_epochs_become_steps_of_the_retain_set(epochs, pairs, steps, check_every) -> None:
    before = EraseSpec(retain_batch=16, forget_batch=3, learning_rate=0.5, seed=4)
    after = before.for_epochs(epochs, pairs)
    assert after == dataclasses.replace(before, steps=steps, check_every=check_every)


def test_compiled_towers_erase_alike(tiny_experiment) -> None:
    """Captured as a graph and run as it is: a compiler that works on any machine, and quickly."""
    plain = tiny_experiment.erase("cliperase", steps=2)
    compiled = tiny_experiment.erase("cliperase", steps=2, compile="eager")
    assert compiled.history[-1]["loss"] == pytest.approx(plain.history[-1]["loss"], rel=1e-5)
    for (name, one), other in zip(
        plain.model.model.named_parameters(), compiled.model.model.parameters(), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-5), name
    with pytest.raises(UsageError, match="did you mean 'inductor'"):
        tiny_experiment.erase("cliperase", steps=2, compile="inducto")
