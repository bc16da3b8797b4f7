"""Prompt leaks: does the model recognise the forgotten concept in another wording?

An erasure sees the captions of its forget set. Other wordings show whether it changed the
concept or only the response to those sentences: new templates, descriptions, misspellings,
upper case. The oracle gets the same prompts, since a description is informative even for a
model that never saw the thing: "a long curved yellow fruit" gives a shape and a colour.

Source: the paraphrases of SALMUBench (arXiv 2603.26316), there for pairs of a picture and a
person's data. We classify each picture among all trained concepts, all worded in the same
way, so that a difficult style is equally difficult for every candidate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from erasekit.audit.base import AuditTest, Measure, Metric, Models, Result, estimate_mean
from erasekit.audit.names import ORIGINAL
from erasekit.data.drawn.captions import prompts
from erasekit.data.task import ErasureTask
from erasekit.data.worlds import Concept
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.naming import by_concept, forgotten_singles, named_right, trained_concepts
from erasekit.models.zero_shot import text_features

#: Sentences that no caption of the world uses; a text feature is the mean over them.
NEW_TEMPLATES = (
    "a photo of {0}",
    "an image that shows {0}",
    "here is {0}",
    "{0} on a plain background",
)

#: Maps a concept and a seed to its prompts; empty if the concept has none in a style.
Wording = Callable[[Concept, int], list[str]]


def prompt_leaks(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
) -> Result:
    """Measure top-1 and similarity of the forgotten concepts' pictures, for each style.

    The candidates of a style (see `STYLES`) are all trained concepts that have prompts in it.

    Args:
        models, task, split, draws, seed: as in every audit test; `seed` also picks the
            letters of a misspelling.

    Returns:
        Metrics ``top1`` (0 to 1) and ``similarity`` (−1 to 1, of a picture with its own
        concept's prompts), with the style as condition. Details have the keys ``model``,
        ``style``, ``concept`` and ``top1``.

    Raises:
        UsageError: for an unknown split.
    """
    pictures = forgotten_singles(task, split)
    images = {model: clip.encode_images(pictures.images) for model, clip in models.items()}
    concepts = trained_concepts(task.world)
    result = Result([], notes=list(_NOTES))
    for style, write in STYLES.items():
        texts = {c.index: written for c in concepts if (written := write(c, seed))}
        candidates = list(texts)
        rows = np.flatnonzero(np.isin(pictures.labels(), candidates))
        if not len(rows):
            result.notes.append(f"No forgotten concept has a {style}: nothing is measured there.")
            continue
        labels = pictures.labels()[rows]
        for model, clip in models.items():
            names = text_features(clip, list(texts.values()))
            own = images[model][rows]
            right = named_right(own, names, labels, candidates)
            similarity = (own * names[[candidates.index(i) for i in labels]]).sum(1).numpy()
            for metric, values, chance in (
                ("top1", right, 1 / len(candidates)),
                ("similarity", similarity, None),
            ):
                estimate = estimate_mean(values, labels, draws, seed)
                result.measures.append(Measure(model, metric, style, estimate, chance))
            result.details.extend(
                {
                    "model": model,
                    "style": style,
                    "concept": task.world.concept(index).name,
                    "top1": value,
                }
                for index, value in by_concept(right, labels).items()
            )
    tokenizer = models[ORIGINAL].tokenizer
    plain = [text for concept in concepts for text in prompts(concept)]
    if bool((tokenizer(plain) == tokenizer([text.upper() for text in plain])).all()):
        result.notes.append(
            "The tokenizer turns every letter into lower case, so that upper case says here how "
            "the model answers to the sentences it was trained on."
        )
    return result


def swapped(name: str, rng: np.random.Generator) -> str:
    """Swap two different adjacent letters of `name`; unchanged if there are none."""
    places = [
        i for i in range(len(name) - 1) if name[i : i + 2].isalpha() and name[i] != name[i + 1]
    ]
    if not places:
        return name
    i = int(rng.choice(places))
    return name[:i] + name[i + 1] + name[i] + name[i + 2 :]


def dropped(name: str, rng: np.random.Generator) -> str:
    """Drop one letter of `name`; unchanged if it has only one."""
    places = [i for i, letter in enumerate(name) if letter.isalpha()]
    if len(places) < 2:
        return name
    i = int(rng.choice(places))
    return name[:i] + name[i + 1 :]


def _misspelt(change: Callable[[str, np.random.Generator], str]) -> Wording:
    def write(concept: Concept, seed: int) -> list[str]:
        # One generator per concept: omitting a concept does not change the others' misspellings.
        wrong = change(concept.name, np.random.default_rng([seed, concept.index]))
        return prompts(replace(concept, name=wrong))

    return write


#: The wording of each style.
STYLES: dict[str, Wording] = {
    "new template": lambda concept, _: [t.format(concept.phrase) for t in NEW_TEMPLATES],
    "description": lambda concept, _: list(concept.descriptions[:1]),
    "paraphrase": lambda concept, _: list(concept.descriptions[1:]),
    "letters swapped": _misspelt(swapped),
    "letter dropped": _misspelt(dropped),
    "upper case": lambda concept, _: [text.upper() for text in prompts(concept)],
}

_NOTES = (
    "New templates and misspellings were in no training caption.",
    "Descriptions and paraphrases were in training captions (those of the forget set "
    "included), so that they ask for another wording and not for an unseen one.",
)

TEST = AuditTest(
    name="prompt_leaks",
    title="Other wordings",
    question="Does the model recognise the forgotten concept when it is named in other words?",
    source="SALMUBench (arXiv 2603.26316): paraphrases; here for zero-shot naming",
    run=prompt_leaks,
    metrics=(
        Metric("top1", "named right", "remembered", if_original_knows=True),
        Metric(
            "similarity", "similarity to the wording", "remembered", acquits=False, unit="cosine"
        ),
    ),
)
