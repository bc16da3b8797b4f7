"""Exercises of notebooks 11 to 13: language models, readers of a tower, own data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from erasekit.tutorial.exercise import Exercise, hinted, written

if TYPE_CHECKING:
    from erasekit.experiment.language_experiment import LanguageExperiment

_NOT_A_MODEL = "Put the language model itself there, not {}."


def _moved(answer: Any, original: Any) -> list[str]:
    """Names of the parameters and buffers that differ from the original's."""
    before, after = original.model.state_dict(), answer.model.state_dict()
    return [name for name in before if not bool((before[name] == after[name]).all())]


def _projector(answer: Any, e: LanguageExperiment) -> str | None:
    """The answer must be an erased model whose projector alone moved."""
    if hasattr(answer, "history"):
        return "That is the whole erasure: put its `.model` there."
    if not hasattr(answer, "answer"):
        return _NOT_A_MODEL.format(type(answer).__name__)
    moved = _moved(answer, e.original)
    if not moved:
        return "No weight differs from the original's: is it the erased model?"
    if others := [name for name in moved if "multi_modal_projector" not in name]:
        return f'`{others[0]}` moved too: pass `moves="projector"`.'
    return None


def _language_mask(answer: Any) -> str | None:
    """Four weights; each mistake lets another set of them climb."""
    import torch

    forget = torch.tensor([2.0, 2.0, 2.0, 0.0])
    retain = torch.tensor([1.0, 4.0, 1.0, 0.0])
    text = torch.tensor([1.0, 1.0, 8.0, 0.0])
    mask = written(answer, forget, retain, text, 0.25)
    if not isinstance(mask, torch.Tensor) or mask.dtype != torch.bool or mask.shape != forget.shape:
        return "It must return a bool tensor of the shape of its inputs: a ratio, then `>= 1`."
    hints = {
        (True, False, False, True): None,
        (True, False, True, True): "It leaves out the text questions.",
        (True, True, False, True): "It leaves out the retained pictures, or swaps the two shares.",
        (False, True, True, True): "It is the wrong way round: the forgotten belong on top.",
        (True, False, False, False): "Add ε above and below: a weight without any gradient has a "
        "ratio of 1.",
    }
    found = tuple(mask.tolist())
    # A plain mean of the two differs only where the shares decide.
    sharp = written(answer, forget[:1], torch.tensor([1.0]), torch.tensor([4.0]), 0.25)
    if found == (True, False, False, True) and not bool(sharp):
        return "It weighs both sets alike, or adds them: use the shares."
    return hints.get(
        found,
        f"For forget {forget.tolist()}, retain {retain.tolist()}, text {text.tolist()} and a text "
        f"share of 0.25 it gives {list(found)}.",
    )


def _oracle_tower(answer: Any, e: LanguageExperiment) -> str | None:
    """The answer must be the original with the tower of the CLIP oracle, and nothing else."""
    if not hasattr(answer, "answer"):
        return _NOT_A_MODEL.format(type(answer).__name__)
    moved = _moved(answer, e.original)
    if not moved:
        return "It is the original: load the other tower's weights into the copy."
    if others := [name for name in moved if "vision_tower" not in name]:
        return f"`{others[0]}` differs too: start from a copy of `e.original`."
    if answer.fingerprint() != e.original.with_tower(e.clip.oracle).fingerprint():
        return "The tower is not the one of `e.clip.oracle`."
    return None


def _damage(answer: Any) -> str | None:
    """Four right before; one of them wrong after; one that was wrong became right."""
    truth = ["apple", "red", "two", "left", "cat"]
    before = ["apple", "red", "two", "left", "dog"]
    after = ["apple", "blue", "two", "left", "cat"]
    share = float(written(answer, before, after, truth))
    hints = {
        0.25: None,
        0.2: "Divide by the questions that were answered right *before*, not by all.",
        0.4: "That counts every changed answer. A wrong answer that became right is no damage.",
        0.5: "A wrong answer that became right is no damage. Count what was right before.",
        0.0: "That is a difference of two accuracies: a gain hides a loss in it.",
        0.75: "That is the share still answered right. Damage is the rest.",
        1.0: "That is a count: divide it by the questions that were right before.",
    }
    return hinted(
        share,
        hints,
        f"Of four answers that were right one is wrong now: 0.25, and it gives {share:g}.",
    )


EXERCISES: dict[str, dict[str, Exercise]] = {
    "11_multimodal_llm": {
        "projector": Exercise(
            level="modify",
            hint="`e.erase` returns an erasure; its `.model` is the language model.",
            judge=_projector,
            because="No answer to a text question can change, because text does not pass through "
            "the projector. Unlearning there keeps the words by construction. It also leaves "
            "tower and language model as they were, so what they hold can be relearned.",
        ),
        "language_mask": Exercise(
            level="build",
            hint="Compute the preserved value first: `(1 - text_share) * retain + …`.",
            judge=_language_mask,
            because="The kit does the same for every weight that text passes through. Without the "
            "text questions a climb would also move weights that the words need.",
        ),
    },
    "12_downstream": {
        "oracle_tower": Exercise(
            level="modify",
            hint="Copy `e.original` and load the state of `e.clip.oracle.model.visual`.",
            judge=_oracle_tower,
            because="The oracle's tower was trained apart, so nothing ties its features to this "
            "projector. How well an exchange works depends on how near the features stayed to "
            "those that the reader was trained on. `kept` measures this.",
        ),
        "damage": Exercise(
            level="build",
            hint="Find the questions that were answered right before, and count the wrong ones.",
            judge=_damage,
            because="A difference of accuracies is smaller wherever some answers improve. This "
            "share shows what a user loses.",
        ),
    },
}
