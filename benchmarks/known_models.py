"""Models whose verdict is known in advance, for the measurement of the audit's error rates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from erasekit.audit.names import ORIGINAL, oracle_name
from erasekit.models.clip import Clip, with_random_weights
from erasekit.unlearn.engine import erase

#: The seed of the first oracle: none that a notebook, a test or the known answers use.
FIRST_SEED = 10
ORACLES = 8

#: What each model is, by its name here. Every one of them is guilty: the audit must accuse it.
GUILTY = {
    "itself": "the original itself",
    "quarter": "retrained without a quarter of the concepts",
    "half": "retrained without half of the concepts",
    "filter": "the original behind a filter that removes the forgotten names",
    "forgetting": "erased by forgetting alone",
    "random": "random weights",
    "relearned": "erased by CLIPErase, then trained on everything",
    "cliperase": "erased by CLIPErase",
    "never_seen": "erased by never_seen",
}


def known_models(profile: str, forget: str, other: str) -> tuple[dict[str, Clip], Any]:
    """Return the original, eight oracles and the models of `GUILTY`; and their experiment.

    Args:
        profile: smoke or default.
        forget: the forgotten group.
        other: another group, without which the relearned model is trained.
    """
    from erasekit.experiment.kinds import load

    own = {"threads": 1, "progress": False}
    experiment: Any = load(profile, forget=forget, **own)
    task, original = experiment.task, experiment.original
    models = {ORIGINAL: original}
    for place in range(ORACLES):
        folder = experiment._oracle_folder(FIRST_SEED + place)
        models[oracle_name(place)] = experiment.load(folder)
    names = [concept.name for concept in task.forgotten_concepts]
    for part, share in (("quarter", 4), ("half", 2)):
        partly: Any = load(profile, forget=",".join(names[: max(1, len(names) // share)]), **own)
        models[part] = partly.load(partly._oracle_folder(FIRST_SEED))
    erased = {name: experiment.erase(name).model for name in ("cliperase", "never_seen")}
    alone = experiment.erase("cliperase", options={"retention": 0, "consistency": 0})
    elsewhere: Any = load(profile, forget=other, method="fine_tune", **own)
    with experiment.running():
        again = erase(
            erased["cliperase"],
            elsewhere.task,
            elsewhere.method,
            elsewhere.erase_spec.with_fields(stop_at=-1.0),
            progress=False,
        )
    models |= {
        "itself": original,
        "filter": behind_a_filter(original, _names(task)),
        "forgetting": alone.model,
        "random": with_random_weights(original, 0),
        "relearned": again.model,
        **erased,
    }
    return models, experiment


def _names(task: Any) -> list[str]:
    """The forgotten names in all languages."""
    return [name for concept in task.forgotten_concepts for name in concept.names.values()]


def behind_a_filter(clip: Clip, names: Sequence[str]) -> Clip:
    """Return the same model, which never gets to read these names."""
    given = {field.name: getattr(clip, field.name) for field in fields(clip) if field.init}
    return _Filtered(**given, pattern=_pattern(names))


def _pattern(names: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)


@dataclass(frozen=True)
class _Filtered(Clip):
    pattern: re.Pattern[str] = re.compile("")

    def encode_texts(self, texts: Sequence[str], batch: int = 1024) -> Tensor:
        return super().encode_texts([self.pattern.sub("thing", text) for text in texts], batch)
