"""Language leaks: does the model recognise the concept by its name in another language?

The forget set may use one language while the model knows four. A concept that is erased in
one language can remain in another. A language can only leak what the original knew in it, so
each language is tested on the pictures that the original classifies correctly in it.

Source: unlearning of language models across languages (arXiv 2606.03291). We test CLIP: the
pictures are the same for each language, the candidates' names change.
"""

from __future__ import annotations

import numpy as np

from erasekit.audit.base import AuditTest, Measure, Metric, Models, Result, estimate_mean
from erasekit.audit.names import ORIGINAL
from erasekit.data.task import ErasureTask
from erasekit.data.worlds import Concept
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.naming import by_concept, forgotten_singles, named_right, trained_concepts
from erasekit.models.zero_shot import concept_features

#: The original knows a concept in a language if it classifies this share of its pictures
#: correctly. Below it, correct answers are mostly guesses.
KNOWN = 0.5


def language_leaks(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
) -> Result:
    """Measure top-1 on the forgotten concepts' pictures with names in each language.

    A language counts the pictures that the original classifies correctly in it, of concepts
    that the original knows in it (`KNOWN`). A language outside the forget set skips the
    concepts whose name is the same in the forget set's language or in English.

    Args:
        models, task, split, draws, seed: as in every audit test.

    Returns:
        Metric ``top1``, 0 to 1 (1 for the original), with the language code as condition.
        Details have the keys ``model``, ``concept``, ``language``, ``top1`` (None where
        no picture counts), ``known`` (the original's accuracy on the concept's pictures;
        None where the concept is skipped) and ``in_forget_set`` (whether the forget set
        contains the language).

    Raises:
        UsageError: for an unknown split.
    """
    world = task.world
    pictures = forgotten_singles(task, split)
    labels = pictures.labels()
    images = {model: clip.encode_images(pictures.images) for model, clip in models.items()}
    result = Result([], notes=[f"The forget set is in {', '.join(task.forget_languages)}."])
    for language in world.spec.languages:
        right = {
            model: named_right(
                images[model],
                concept_features(clip, trained_concepts(world), language),
                labels,
                world.trained,
            )
            for model, clip in models.items()
        }
        known = by_concept(right[ORIGINAL], labels)
        shared = [c for c in task.forgotten_concepts if _named_alike(c, language, task)]
        for concept in shared:
            del known[concept.index]
        if shared:
            names = ", ".join(concept.name for concept in shared)
            result.notes.append(f"Left out in {language}, by the same name elsewhere: {names}.")
        asked = [index for index, share in known.items() if share >= KNOWN]
        rows = np.flatnonzero(np.isin(labels, asked) & (right[ORIGINAL] == 1))
        if not len(rows):
            result.notes.append(
                f"The original knows no forgotten concept to ask for in {language}."
            )
        for model in models:
            of = labels[rows]
            if len(rows):
                estimate = estimate_mean(right[model][rows], of, draws, seed)
                result.measures.append(
                    Measure(model, "top1", language, estimate, 1 / len(world.trained))
                )
            top1 = by_concept(right[model][rows], of)
            result.details.extend(
                {
                    "model": model,
                    "concept": concept.name,
                    "language": language,
                    "top1": top1.get(concept.index),
                    "known": known.get(concept.index),
                    "in_forget_set": language in task.forget_languages,
                }
                for concept in task.forgotten_concepts
            )
    return result


def _named_alike(concept: Concept, language: str, task: ErasureTask) -> bool:
    """Whether a language outside the forget set uses the forget set's or the English name."""
    if language in task.forget_languages:
        return False
    others = {*task.forget_languages, "en"} - {language}
    return _name(concept, language) in {_name(concept, other) for other in others}


def _name(concept: Concept, language: str) -> str:
    """Return the bare name, or the English one where the language has none, as in captions."""
    return concept.names.get(language, concept.name).casefold()


TEST = AuditTest(
    name="language_leaks",
    title="Other languages",
    question="Does the model recognise the forgotten concept by its name in another language?",
    source="arXiv 2606.03291 for language models; here for CLIP, where the original knows the name",
    run=language_leaks,
    metrics=(Metric("top1", "named right, of what the original knows", "remembered"),),
)
