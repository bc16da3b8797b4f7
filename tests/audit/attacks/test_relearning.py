"""Relearning: the same curve from a loop written out, and lessons that every model shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from erasekit.audit.attacks.relearning import TEST, _lesson, _relearn, relearning
from erasekit.audit.base import estimate_mean
from erasekit.data.task import ErasureTask
from erasekit.models.zero_shot import concept_features

TINY = {"draws": 20, "pairs": (1, 2), "checkpoints": (1, 2), "retain_batch": 5}


@pytest.fixture(scope="module")
def result(models, tiny_experiment):
    return relearning(models, tiny_experiment.task, repeats=2, learning_rate=5e-3, **TINY)


def _values(result, metric: str) -> dict[tuple[str, str], float]:
    return {(m.model, m.condition): m.estimate.value for m in result.measures if m.metric == metric}


@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_batch_holds_one_pair_of_each_forgotten_concept_and_no_set_twice(tiny_experiment, k):
    task = tiny_experiment.task
    lesson = _lesson(task, k, steps=8, retain_batch=5, seed=3)
    assert len(lesson.forget) == k * len(task.forgotten)
    seen = []
    for step in range(8):
        images, captions = lesson.batch(step)
        forget = lesson.forget.take(lesson.forget_plan[step])
        retain = lesson.retain.take(lesson.retain_plan[step])
        assert sorted(forget.concepts) == [(i,) for i in task.forgotten]
        sets = [frozenset(concepts) for concepts in (*forget.concepts, *retain.concepts)]
        assert len(set(sets)) == len(sets) == len(task.forgotten) + 5
        assert not any(task.touches(concepts) for concepts in retain.concepts)
        assert torch.equal(images, torch.cat([forget.images, retain.images]))
        assert captions == [*forget.captions, *retain.captions]
        seen += forget.positions.tolist()
    # Each of the k is learnt equally often, and only they are.
    assert sorted(seen) == sorted(lesson.forget.positions.tolist() * (8 // k))


def test_lessons_are_training_pairs_of_the_forget_set_and_the_small_are_in_the_large(
    tiny_experiment,
):
    task = tiny_experiment.task
    few, many = (
        set(_lesson(task, k, steps=2, retain_batch=5, seed=1).forget.positions.tolist())
        for k in (1, 3)
    )
    assert few < many <= set(task.forget.singles.positions.tolist())
    other = _lesson(task, 3, steps=2, retain_batch=5, seed=2).forget.positions.tolist()
    assert set(other) != many


def test_the_curve_is_that_of_a_loop_written_out(tiny_experiment):
    e, rate = tiny_experiment, 5e-3
    found = relearning(
        {"original": e.original},
        e.task,
        draws=5,
        seed=4,
        pairs=(2,),
        repeats=1,
        checkpoints=(1, 3),
        learning_rate=rate,
        retain_batch=5,
    )
    shown = e.world.pairs("test").singles
    shown = shown.where(lambda concepts: concepts[0] in e.task.forgotten)
    candidates = [e.world.concept(i) for i in e.world.trained]

    learner = e.original.copy()
    parameters = list(learner.model.requires_grad_(True).parameters())
    optimizer = torch.optim.Adam(parameters, lr=rate)
    lesson = _lesson(e.task, 2, steps=3, retain_batch=5, seed=4)
    expected = {}
    for step in range(4):
        similarity = learner.encode_images(shown.images) @ concept_features(learner, candidates).T
        named = np.array(e.world.trained)[similarity.argmax(1).numpy()]
        expected[step] = np.mean(named == shown.labels())
        if step == 3:
            break
        images, captions = lesson.batch(step)
        image, text, scale = learner.model(learner.preprocess(images), learner.tokenizer(captions))
        logits = scale * image @ text.T
        own = torch.arange(len(logits))
        loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    # Two ways to add up the same loss differ in the last digit, and Adam divides by it.
    picture = 1 / len(shown)
    curve = {row["step"]: row["accuracy"] for row in found.details}
    assert curve == pytest.approx({s: expected[s] for s in (0, 1, 3)}, abs=1.01 * picture)
    assert len(set(expected.values())) > 1


def test_area_is_the_mean_of_the_curve_and_after_its_end(tiny_experiment, result):
    area, after = _values(result, "area"), _values(result, "after")
    for (model, condition), value in area.items():
        curve = [
            row for row in result.details if (row["model"], f"k={row['k']}") == (model, condition)
        ]
        assert [row["step"] for row in curve] == [0, 1, 2]
        assert value == pytest.approx(np.mean([row["accuracy"] for row in curve]))
        assert after[model, condition] == pytest.approx(curve[-1]["accuracy"])
        assert all(row["low"] <= row["accuracy"] <= row["high"] for row in curve)
    assert {m.chance for m in result.measures} == {1 / len(tiny_experiment.world.trained)}


def test_every_curve_of_a_model_starts_where_the_model_is(tiny_experiment, result):
    e = tiny_experiment
    shown = e.world.pairs("test").singles
    shown = shown.where(lambda concepts: concepts[0] in e.task.forgotten)
    names = concept_features(e.oracle, [e.world.concept(i) for i in e.world.trained])
    said = np.array(e.world.trained)[(e.oracle.encode_images(shown.images) @ names.T).argmax(1)]
    start = estimate_mean(said == shown.labels(), shown.labels(), 20)
    rows = [row for row in result.details if (row["model"], row["step"]) == ("oracle", 0)]
    assert [row["accuracy"] for row in rows] == pytest.approx([start.value] * 2)
    assert [(row["low"], row["high"]) for row in rows] == [pytest.approx(start.interval)] * 2


def test_what_the_forget_set_is_too_small_for_is_left_out_and_said(tiny_experiment):
    e = tiny_experiment
    options = {"repeats": 1, **TINY, "pairs": (4, 5)}
    found = relearning({"original": e.original}, e.task, **options)
    assert {m.condition for m in found.measures} == {"k=4"}
    assert found.notes == [
        "Only k up to 4: the forget set has no more single pictures of some concept."
    ]
    found = relearning({"original": e.original}, e.task, **{**options, "pairs": (5,)})
    assert (found.measures, found.details, len(found.notes)) == ([], [], 1)


class _Watch:
    """Instead of naming pictures, how much nearer the learnt pair is than other captions."""

    def __init__(self, lesson) -> None:
        self.pair, self.others = lesson.forget, lesson.retain.captions[:20]

    def named_right(self, clip) -> np.ndarray:
        texts = clip.encode_texts([*self.pair.captions, *self.others])
        own, *rest = (clip.encode_images(self.pair.images) @ texts.T)[0].tolist()
        return np.array([own - np.mean(rest)])


def test_one_pair_of_one_concept_can_be_learnt_too(tiny_experiment):
    e = tiny_experiment
    one = ErasureTask(e.world, e.task.forgotten_concepts[0].name)
    lesson = _lesson(one, 1, steps=20, retain_batch=5, seed=0)
    assert len(lesson.forget) == 1
    watch = _Watch(lesson)
    (after,) = _relearn(e.oracle, lesson, watch, (20,), 1e-3)
    assert after > watch.named_right(e.oracle) + 0.05


@pytest.mark.slow
def test_the_original_remembers_and_the_oracles_must_learn(smoke_experiment, smoke_erasure):
    e = smoke_experiment
    oracles = dict(zip(("oracle", "oracle-1", "oracle-2"), e.oracles(3), strict=True))
    models = {"original": e.original, "erased": smoke_erasure.model, **oracles}
    result = relearning(models, e.task, draws=100, **{**TEST.smoke, "pairs": (1, 4)})
    area, after = _values(result, "area"), _values(result, "after")
    for condition in ("k=1", "k=4"):
        for oracle in oracles:
            assert area["original", condition] > area[oracle, condition] + 0.2
    learnt = [np.mean([after[oracle, f"k={k}"] for oracle in oracles]) for k in (1, 4)]
    assert learnt[1] > learnt[0]
