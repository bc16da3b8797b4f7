"""Exercises of notebook 10: the level at which a loss stops."""

from __future__ import annotations

from typing import Any

from erasekit.tutorial.exercise import Exercise, hinted, written


def _shuffled(answer: Any) -> str | None:
    """The answer must be an erasure by never_seen whose level is that of shuffled pairs."""
    if not hasattr(answer, "options") or not hasattr(answer, "method"):
        return "Put the erasure itself there: what `e.erase(...)` returns."
    if answer.method != "never_seen":
        return f"That is an erasure by {answer.method}: name the method `never_seen`."
    if answer.options.get("level") != "shuffled":
        return 'Its level is that of the holdout concepts: pass `options={"level": "shuffled"}`.'
    return None


def _level(answer: Any) -> str | None:
    """Three pairs; only cosines off the diagonal count: (0 + 0.6 + 0 + 0.8 + 1 + 0) / 6."""
    import torch

    images = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0]])
    texts = torch.tensor([[5.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    level = float(written(answer, images, texts))
    hints = {
        2.4 / 6: None,
        5.0 / 9: "The own captions are in it: leave the diagonal out.",
        2.6 / 3: "These are the cosines with the own captions: take all others.",
        2.4 / 9: "Divide by the number of pairs off the diagonal, n · (n − 1).",
        23.0 / 6: "Normalise both features first: these are dot products, not cosines.",
    }
    return hinted(
        level, hints, f"For the three pairs of the test it gives {level:.3f}; it should give 0.400."
    )


EXERCISES: dict[str, dict[str, Exercise]] = {
    "10_our_method": {
        "shuffled": Exercise(
            level="modify",
            hint='`e.erase("never_seen", options={...}, **recipe)` takes the option.',
            judge=_shuffled,
            because="Captions of other pictures name known things, so that their mean cosine is "
            "another level than that of unknown things. Compare both by "
            "`evaluate(e.task, {'shuffled': answer.model})` with the oracle's cosine.",
        ),
        "level": Exercise(
            level="build",
            hint="Compute all cosines as one matrix, then leave out its diagonal.",
            judge=_level,
            because="It needs no holdout concepts, but it answers another question: how similar "
            "are things that do not belong together?",
        ),
    },
}
