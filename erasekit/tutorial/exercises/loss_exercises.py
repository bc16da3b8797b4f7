"""Exercises of notebooks 03 to 05: the three losses of CLIPErase."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from erasekit.tutorial.exercise import Exercise, hinted, number, written

if TYPE_CHECKING:
    from erasekit.experiment.clip_experiment import Experiment
    from erasekit.models.clip import Clip


def _text_tower(answer: Any, e: Experiment) -> str | None:
    """The answer must be a copy whose text tower alone moved, and which forgets."""
    if not hasattr(answer, "model") or not hasattr(answer, "encode_texts"):
        return "Put the trained copy itself there: what `e.original.copy()` gave you."
    before, after = e.original.model.state_dict(), answer.model.state_dict()
    moved = [name for name in before if not bool((before[name] == after[name]).all())]
    if not moved:
        return "No weight differs from the original's: has the optimiser made a step?"
    if parameters := [n for n in moved if n.startswith("visual.") and "running" not in n]:
        return f"The picture tower moved too (`{parameters[0]}`): leave it out of the optimiser."
    pairs = e.task.forget.take(range(min(64, len(e.task.forget))))

    def similarity(clip: Any) -> float:
        images, texts = clip.encode_images(pairs.images), clip.encode_texts(pairs.captions)
        return float((images * texts).sum(1).mean())

    if similarity(answer) > similarity(e.original) - 0.1:
        return "The forget pairs are about as similar as before: is the loss minimised?"
    return None


def _floor(answer: Any) -> str | None:
    """Cosines of 1, 0.6, 0 and −1: the loss is (1 + 0.6) / 4."""
    import torch

    images = torch.tensor([[2.0, 0.0], [3.0, 4.0], [1.0, 0.0], [0.0, 5.0]])
    texts = torch.tensor([[1.0, 0.0], [5.0, 0.0], [0.0, 7.0], [0.0, -1.0]])
    loss = float(written(answer, images, texts))
    hints = {
        0.4: None,
        0.15: "That is the plain mean: the pair with a cosine of −1 must count as 0.",
        0.65: "That is the mean of the absolute cosines. Opposite pairs must count as 0.",
        0.8: "You divide by the pairs above 0. Divide by all of them.",
        1.6: "That is a sum. Divide it by the number of pairs.",
        4.0: "Normalise both features first: these are dot products, not cosines.",
    }
    return hinted(
        loss, hints, f"For cosines of 1, 0.6, 0 and −1 it gives {loss:.3f}; it should give 0.400."
    )


def _level(answer: Any) -> str | None:
    """Cosines go from 1 and 1 to 0 and 0.6: the loss is (1 + 0.16) / 2."""
    import torch

    texts = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    now, before = torch.tensor([[0.0, 3.0], [3.0, 4.0]]), torch.tensor([[5.0, 0.0], [1.0, 0.0]])
    loss = float(written(answer, now, texts, before, texts))
    return hinted(
        loss,
        {
            0.58: None,
            1.16: "That is a sum. Divide it by the number of pairs.",
            0.7: "That is the mean of the absolute changes: square them.",
            -0.7: "That is the mean change, which rewards falling cosines: square each change.",
            0.49: "You square the mean change. Square each pair's change, then take the mean.",
        },
        f"For cosines that go from 1 and 1 to 0 and 0.6 it gives {loss:.3f}; it should give "
        "0.580. Are all features normalised?",
    )


def _consistency(e: Experiment, clip: Clip, temperature: float) -> float:
    """The kit's consistency loss of a model on the first retained pairs."""
    from erasekit.models.zero_shot import concept_features
    from erasekit.unlearn.method import Features, Prompts
    from erasekit.unlearn.methods.cliperase import consistency_loss

    pairs = e.task.retain.take(range(min(64, len(e.task.retain))))
    now, before = (
        (each.encode_images(pairs.images), each.encode_texts(pairs.captions))
        for each in (clip, e.original)
    )
    names = concept_features(e.original, [e.world.concept(i) for i in e.task.retained])
    features = Features(*now, e.original.model.logit_scale, *before)
    return float(consistency_loss(features, Prompts(names), temperature=temperature))


def _softer(e: Experiment, clip: Clip) -> float:
    return _consistency(e, clip, 0.1) / _consistency(e, clip, 1.0)


def _uniform(answer: Any) -> str | None:
    """Two rows with the softmax (3/4, 1/4) and (1/8, 7/8)."""
    import torch

    logits = torch.tensor([[3.0, 1.0], [1.0, 7.0]]).log() + 1  # a softmax ignores the 1
    p = logits.softmax(1)
    right = float((0.5 / p).log().mean(1).mean())
    entropy = float(-(p * p.log()).sum(1).mean())
    loss = float(written(answer, logits))
    return hinted(
        loss,
        {
            right: None,
            2 * right: "That is a sum over the rows. Take their mean.",
            right / 2: "You divide by the number of names as well: sum over the names, then take "
            "the mean over the rows. `F.kl_div` does so with `reduction='batchmean'`.",
            math.log(2) - entropy: "That is the other direction, KL(softmax ‖ uniform): the first "
            "distribution is the one that weighs the logarithms.",
            entropy: "That is the entropy, which is highest for a uniform distribution. A loss is "
            "minimised.",
            -entropy: "The negative entropy has its minimum in the right place, but it is not "
            "this KL divergence: weigh the logarithms by 1/c, not by the softmax.",
        },
        f"For a softmax of (3/4, 1/4) and of (1/8, 7/8) it gives {loss:.3f}; it should give "
        f"{right:.3f}.",
    )


EXERCISES: dict[str, dict[str, Exercise]] = {
    "03_forgetting": {
        "text_tower": Exercise(
            level="modify",
            hint="`[p for n, p in clip.model.named_parameters() if not n.startswith('visual.')]` "
            "are the parameters that may move.",
            judge=_text_tower,
            because="Pictures are where they were, so that picture-to-picture search is unharmed. "
            "Names can still collapse: nothing in the loss keeps them apart.",
        ),
        "floor": Exercise(
            level="build",
            hint="Compute the cosine of each pair, then use `clamp`.",
            judge=_floor,
            because="A loss with a floor stops by itself. Notebook 10 asks where that floor should "
            "be.",
        ),
    },
    "04_retention": {
        "batch_size": Exercise(
            level="modify",
            hint="Print the loss for `n = 1, 2, 4, 8`.",
            judge=number(
                lambda: 1,
                mistakes={
                    "The mean over no pair is not a number (`nan`): no training at all.": lambda: 0,
                    "With two pairs each picture still has one wrong caption to tell apart.": (
                        lambda: 2
                    ),
                },
                otherwise="Larger batches have more wrong captions, and protect more. Try smaller.",
            ),
            because="With one pair the softmax has one candidate and is always 1, so the loss is 0 "
            "and has no gradient. Retention is as strong as the wrong captions in its batch.",
        ),
        "level": Exercise(
            level="build",
            hint="Start with `F.cosine_similarity(images, texts)`.",
            judge=_level,
            because="This loss is above 0 as soon as the cosines fall together, which the "
            "retention loss does not notice.",
        ),
    },
    "05_consistency": {
        "temperature": Exercise(
            level="modify",
            hint="Call `consistency_loss` twice, the second time with `temperature=1.0`.",
            judge=number(
                _softer,
                within=0.5,
                mistakes={
                    "That is the ratio the other way round: divide by the loss at 1.0.": (
                        lambda e, clip: 1 / _softer(e, clip)
                    ),
                    "That is the loss at 0.1 itself. Divide it by the loss at 1.0.": (
                        lambda e, clip: _consistency(e, clip, 0.1)
                    ),
                },
                otherwise="Compare the same model and the same pairs at both temperatures.",
            ),
            because="At a high temperature both distributions are nearly uniform, so their KL "
            "divergence is small whatever moved. A low temperature looks at the nearest names.",
        ),
        "uniform": Exercise(
            level="build",
            hint="Take `logits.log_softmax(1)`; the uniform distribution over c names is 1/c.",
            judge=_uniform,
            because="This loss asks that a forgotten picture is like every name equally. It has a "
            "minimum of 0, where the forgetting loss goes on to −1.",
        ),
    },
}
