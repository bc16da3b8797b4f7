"""Exercises of 06 to 08: the right answer, a hint for each mistake, and no answer waits."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from erasekit.audit.verdict import AS_THE_ORACLE, LESS
from erasekit.tutorial.exercises.measure_exercises import EXERCISES


@pytest.mark.parametrize("answer", [None, lambda *given: None])
def test_without_an_answer_06_waits(answer):
    for exercise in EXERCISES["06_evaluation"].values():
        if answer is None or exercise.level == "build":
            assert exercise.verdict(answer).status == "waiting"


class Told:
    """A model whose embeddings give each pair a known cosine: the pictures are those cosines."""

    def __init__(self, *cosines):
        self.encode_images = lambda images: torch.tensor([cosines[i] for i in images])[:, None]
        self.encode_texts = lambda texts: torch.ones(len(texts), 1)


# Two members and two others: the fall of the members is .9 and .3, that of the others .5 and .1.
BEFORE, AFTER = Told(0.9, 0.7, 0.6, 0.2), Told(0.0, 0.4, 0.1, 0.1)
MEMBERS, OTHERS = (SimpleNamespace(images=i, captions=["", ""]) for i in ([0, 1], [2, 3]))
FACTS = {
    "e": SimpleNamespace(
        original=BEFORE, task=SimpleNamespace(members=lambda split: (MEMBERS, OTHERS))
    ),
    "clip": AFTER,
}


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (0.75, ""),
        (0.25, "before minus after"),
        (0.5, "erased model alone"),
        (1.0, "original alone"),
        (0.3, "not the first five"),
    ],
)
def test_both_models(answer, hint):
    verdict = EXERCISES["06_evaluation"]["both_models"].verdict(answer, **FACTS)
    assert verdict.status == ("wrong" if hint else "right"), verdict.text
    assert hint in verdict.text


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda a, b: (a < b.min()).float().mean(), ""),
        (lambda a, b: (a < b.min()).sum(), "a count"),
        (lambda a, b: (a <= b.min()).float().mean(), "not `<=`"),
        (lambda a, b: (a < b.max()).float().mean(), "its lowest"),
        (lambda a, b: (a > b.max()).float().mean(), "the other side"),
        (lambda a, b: a.mean(), "it should give 0.40"),
    ],
)
def test_below_all(answer, hint):
    verdict = EXERCISES["06_evaluation"]["below_all"].verdict(answer)
    assert verdict.status == ("wrong" if hint else "right")
    assert hint in verdict.text


SHIFT, ATTACK = EXERCISES["07_embedding_shift"], EXERCISES["08_is_it_gone"]


@pytest.mark.parametrize("exercise", [*SHIFT.values(), *ATTACK.values()])
def test_without_an_answer_07_and_08_wait(exercise):
    assert exercise.verdict(None).status == "waiting"


def shown(fitted, before, after, means):
    """As a learner may compute it: coordinates first, then lengths."""
    plane = torch.linalg.svd(fitted - fitted.mean(dim=0))[2][:2]
    one, two = (before - means[0]) @ plane.T, (after - means[1]) @ plane.T
    return float(((two - one).norm(dim=1) / (after - before).norm(dim=1)).mean())


def test_the_share_that_a_map_of_the_points_before_shows():
    before, after = torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(0))
    after = after + 1.5
    means, facts = (before.mean(dim=0),) * 2, {"before": before, "after": after}
    judged = SHIFT["one_map"].verdict(shown(before, before, after, means), **facts)
    assert judged.status == "right"
    for wrong, hint in (
        (
            shown(torch.cat([before, after]), before, after, means),
            "fit the plane on `before` alone",
        ),
        (shown(before, before, after, (means[0], after.mean(dim=0))), "Subtract the same mean"),
        (7, "Divide the length"),
    ):
        judged = SHIFT["one_map"].verdict(wrong, **facts)
        assert judged.status == "wrong"
        assert hint in judged.text


def turn_back(before, after):
    u, _, v = torch.linalg.svd(after.T @ before)
    return after @ (u @ v)


def transposed(before, after):
    u, _, v = torch.linalg.svd(after.T @ before)
    return after @ (u @ v).T


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (turn_back, None),
        (lambda before, after: after, "where they were"),
        (transposed, "order of the factors"),
        (lambda before, after: after @ torch.linalg.lstsq(after, before).solution, "lengths"),
        (lambda before, after: 1.0, "must return points"),
    ],
)
def test_points_turned_back(answer, hint):
    judged(SHIFT["turned"].verdict(answer), hint)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (SimpleNamespace(verdicts={"prompt_leaks": LESS}, oracles=[1]), None),
        (LESS, "the audit itself"),
        (SimpleNamespace(verdicts={"probes": LESS}, oracles=[1]), "did not run"),
        (SimpleNamespace(verdicts={"prompt_leaks": LESS}, oracles=[]), "above 0"),
        (SimpleNamespace(verdicts={"prompt_leaks": AS_THE_ORACLE}, oracles=[1]), AS_THE_ORACLE),
    ],
)
def test_an_audit_that_finds_a_leak(answer, hint):
    judged(ATTACK["leak"].verdict(answer), hint)


def nearest(features, labels, new, each=True, means=True, least=False):
    features = F.normalize(features, dim=1) if each else features
    prototypes = torch.stack([features[labels == c].mean(dim=0) for c in (0, 1)])
    cosines = new @ (F.normalize(prototypes, dim=1) if means else prototypes).T
    return cosines.argmin(dim=1) if least else cosines.argmax(dim=1)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({}, None),
        ({"least": True}, "take the largest"),
        ({"each": False}, "long ones count more"),
        ({"means": False}, "Normalise the prototypes too"),
    ],
)
def test_prototypes(options, hint):
    judged(ATTACK["prototypes"].verdict(lambda *given: nearest(*given, **options)), hint)


def test_prototypes_of_another_shape():
    judged(ATTACK["prototypes"].verdict(lambda *given: torch.zeros(2, 2)), "shape (5,)")


def judged(verdict, hint):
    assert verdict.status == ("wrong" if hint else "right"), verdict.text
    assert hint is None or hint in verdict.text
