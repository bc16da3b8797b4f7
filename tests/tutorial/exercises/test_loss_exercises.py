"""Exercises of 03 to 05: the right answer, a hint for each mistake, and no answer waits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from erasekit.models.zero_shot import concept_features
from erasekit.tutorial.exercises.loss_exercises import EXERCISES
from erasekit.unlearn.losses import kl_divergence


def judged(notebook: str, name: str, answer, **facts) -> tuple[str, str]:
    verdict = EXERCISES[notebook][name].verdict(answer, **facts)
    return verdict.status, verdict.text


@pytest.mark.parametrize(("notebook", "name"), [(b, n) for b, of in EXERCISES.items() for n in of])
def test_without_an_answer_it_waits(notebook, name):
    exercise = EXERCISES[notebook][name]
    empty = [None] if exercise.level == "modify" else [None, lambda *given: None]
    for answer in empty:
        verdict = exercise.verdict(answer, **dict.fromkeys(FACTS.get(name, ())))
        assert verdict.status == "waiting"
        assert exercise.hint in verdict.text


FACTS = {"text_tower": ("e",), "temperature": ("e", "clip")}


def moved(clip, part: str, by: float = 0.5):
    """A copy in which the last projection of a tower leaves its place."""
    copy = clip.copy()
    with torch.no_grad():
        for name, weight in copy.model.named_parameters():
            if name.startswith("visual.") == (part == "visual"):
                weight += by * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    return copy


def test_text_tower(tiny_experiment):
    e = tiny_experiment

    def told(answer) -> tuple[str, str]:
        return judged("03_forgetting", "text_tower", answer, e=e)

    opposite = e.original.copy()
    opposite.model.text_projection.data.neg_()
    assert told(opposite)[0] == "right"
    for answer, hint in (
        (e.original.copy(), "No weight differs"),
        (moved(e.original, "visual"), "The picture tower moved too"),
        ("a copy", "Put the trained copy itself there"),
    ):
        status, text = told(answer)
        assert (status, hint in text) == ("wrong", True), text
    nudged = e.original.copy()
    nudged.model.text_projection.data.mul_(1.01)
    assert "about as similar as before" in told(nudged)[1]


def cosines(images, texts):
    return F.cosine_similarity(images, texts)


FLOOR = {
    "": lambda i, t: cosines(i, t).clamp(min=0).mean(),
    "plain mean": lambda i, t: cosines(i, t).mean(),
    "absolute cosines": lambda i, t: cosines(i, t).abs().mean(),
    "divide by the pairs above 0": lambda i, t: cosines(i, t)[cosines(i, t) > 0].mean(),
    "That is a sum": lambda i, t: cosines(i, t).clamp(min=0).sum(),
    "Normalise both": lambda i, t: (i * t).sum(1).clamp(min=0).mean() * 16 / 17,
    "it should give 0.400": lambda i, t: cosines(i, t).max(),
}
LEVEL = {
    "": lambda i, t, i0, t0: (cosines(i, t) - cosines(i0, t0)).square().mean(),
    "That is a sum": lambda i, t, i0, t0: (cosines(i, t) - cosines(i0, t0)).square().sum(),
    "square them": lambda i, t, i0, t0: (cosines(i, t) - cosines(i0, t0)).abs().mean(),
    "rewards falling": lambda i, t, i0, t0: (cosines(i, t) - cosines(i0, t0)).mean(),
    "square the mean": lambda i, t, i0, t0: (cosines(i, t) - cosines(i0, t0)).mean() ** 2,
    "normalised?": lambda i, t, i0, t0: ((i * t).sum(1) - (i0 * t0).sum(1)).square().mean(),
}


def to_uniform(logits):
    return -logits.log_softmax(1).mean(1) - torch.tensor(float(logits.shape[1])).log()


def entropy(logits):
    return -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()


UNIFORM = {
    "": lambda z: kl_divergence(torch.zeros_like(z), z),
    "sum over the rows": lambda z: to_uniform(z).sum(),
    "batchmean": lambda z: F.kl_div(z.log_softmax(1), torch.full_like(z, 1 / z.shape[1])),
    "the other direction": lambda z: kl_divergence(z, torch.zeros_like(z)),
    "A loss is minimised": entropy,
    "by 1/c": lambda z: -entropy(z),
    "it should give": lambda z: z.mean(),
}


@pytest.mark.parametrize(
    ("notebook", "name", "answers"),
    [
        ("03_forgetting", "floor", FLOOR),
        ("04_retention", "level", LEVEL),
        ("05_consistency", "uniform", UNIFORM),
    ],
)
def test_each_mistake_in_a_loss_gets_its_hint(notebook, name, answers):
    for hint, answer in answers.items():
        status, text = judged(notebook, name, answer)
        assert status == ("wrong" if hint else "right"), (hint, text)
        assert hint in text


@pytest.mark.parametrize(
    ("answer", "hint"), [(1, ""), (0, "nan"), (2, "one wrong caption"), (8, "Try smaller")]
)
def test_batch_size(answer, hint):
    status, text = judged("04_retention", "batch_size", answer)
    assert status == ("wrong" if hint else "right")
    assert hint in text


def test_temperature(tiny_experiment):
    e, clip = tiny_experiment, moved(tiny_experiment.original, "text", by=0.05)
    clip = moved(clip, "visual", by=0.05)
    pairs = e.task.retain.take(range(min(64, len(e.task.retain))))
    names = concept_features(e.original, [e.world.concept(i) for i in e.task.retained])

    def loss(temperature: float) -> float:
        total = 0.0
        for encode in ("encode_images", "encode_texts"):
            given = pairs.images if encode == "encode_images" else pairs.captions
            before, now = (getattr(c, encode)(given) @ names.T for c in (e.original, clip))
            total += float(kl_divergence(before / temperature, now / temperature))
        return total

    sharp, soft = loss(0.1), loss(1.0)
    assert sharp / soft > 2
    for answer, hint in (
        (sharp / soft, ""),
        (soft / sharp, "other way round"),
        (sharp, "loss at 0.1 itself"),
        (sharp / soft + 5, "same pairs at both temperatures"),
    ):
        status, text = judged("05_consistency", "temperature", answer, e=e, clip=clip)
        assert status == ("wrong" if hint else "right"), (answer, text)
        assert hint in text
