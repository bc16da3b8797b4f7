"""Exercises of notebooks 03 to 05: the three losses of CLIPErase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from erasekit.tutorial.exercise import Exercise, written

if TYPE_CHECKING:
    from erasekit.experiment.clip_experiment import Experiment


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
    for value, hint in hints.items():
        if abs(loss - value) < 1e-4:
            return hint
    return f"For cosines of 1, 0.6, 0 and −1 it gives {loss:.3f}; it should give 0.400."


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
}
