"""Probes: can the concept still be read from the features, layer by layer?

A model may no longer predict a name while its features still encode the concept. We fit two
classifiers on every layer of both towers: logistic regression (Alain and Bengio 2016,
arXiv 1610.01644), which measures linear separability, and nearest neighbours, which measure
clustering. ESC (arXiv 2504.02199) probes the last features of an erased classifier; we probe
every layer of both towers. The oracle, which never saw the concept, shows how much of it any
good features reveal.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch

from erasekit.audit.base import AuditTest, Measure, Metric, Models, Result, estimate_mean
from erasekit.audit.classifiers import fit_linear, fit_nearest
from erasekit.data.drawn.captions import prompts
from erasekit.data.task import ErasureTask
from erasekit.data.worlds import PairsWorld
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.naming import trained_singles
from erasekit.models.layers import image_layers, text_layers


def probes(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
    pictures: int = 20,
) -> Result:
    """Measure the accuracy of probes on the forgotten concepts, for each layer of both towers.

    A probe predicts one of all trained concepts. An image probe is fitted on training
    pictures of single concepts, including forgotten ones, and evaluated on those of
    `split`. A text probe is fitted on every other template of each language and evaluated
    on the rest, see `wordings`; texts do not belong to splits.

    Args:
        models, task, split, draws, seed: as in every audit test.
        pictures: maximum number of training pictures per concept.

    Returns:
        Metrics ``linear_image``, ``knn_image`` and ``linear_text``, shares from 0 to 1,
        with the layer as condition. Details have the keys ``tower`` (image, text),
        ``layer``, ``model``, ``subset`` (forget, retain), ``probe`` (linear, knn) and
        ``accuracy``.

    Raises:
        UsageError: for an unknown split.
    """
    world = task.world
    fit_pictures = trained_singles(world, "train").first_of_each(pictures)
    ask_pictures = trained_singles(world, split)
    fit_texts, ask_texts = wordings(world)
    images = torch.cat([fit_pictures.images[:], ask_pictures.images[:]])
    image_labels = fit_pictures.labels(), ask_pictures.labels()
    text_labels = np.array([*fit_texts.values()]), np.array([*ask_texts.values()])
    chance = 1 / len(world.trained)

    result = Result([])
    if not ask_texts:
        result.notes.append("The text tower is not probed: there is one wording of each name.")
    for model, clip in models.items():
        for tower, layers, (taught, truth), probes_of in (
            (
                "image",
                image_layers(clip, images),
                image_labels,
                {"linear": fit_linear, "knn": fit_nearest},
            ),
            (
                "text",
                text_layers(clip, [*fit_texts, *ask_texts]) if ask_texts else {},
                text_labels,
                {"linear": fit_linear},
            ),
        ):
            if len(layers) == 1:
                result.notes.append(f"{model}: of its {tower} tower only the output is looked at.")
            forgotten = np.isin(truth, task.forgotten)
            for (layer, features), (probe, fit) in product(layers.items(), probes_of.items()):
                fitted, asked = np.split(features, [len(taught)])
                right = fit(fitted, taught).predict(asked) == truth
                estimate = estimate_mean(right[forgotten], truth[forgotten], draws, seed)
                metric = f"{probe}_{tower}"
                result.measures.append(Measure(model, metric, layer, estimate, chance))
                result.details.extend(
                    {
                        "tower": tower,
                        "layer": layer,
                        "model": model,
                        "subset": subset,
                        "probe": probe,
                        "accuracy": float(right[rows].mean()),
                    }
                    for subset, rows in (("forget", forgotten), ("retain", ~forgotten))
                )
    return result


def wordings(world: PairsWorld) -> tuple[dict[str, int], dict[str, int]]:
    """Return the texts to fit on and the texts to evaluate on, each with its concept.

    They are each trained concept's prompts in every language, and its descriptions.
    Each list is split alternately, so that half of its templates are never fitted.
    """
    fitted: dict[str, int] = {}
    asked: dict[str, int] = {}
    for index in world.trained:
        concept = world.concept(index)
        for texts in (
            *(prompts(concept, language) for language in world.spec.languages),
            concept.descriptions,
        ):
            fitted.update(dict.fromkeys(texts[::2], index))
            asked.update(dict.fromkeys(texts[1::2], index))
    return fitted, {text: index for text, index in asked.items() if text not in fitted}


TEST = AuditTest(
    name="probes",
    title="Probes",
    question="Can the forgotten concept still be read from the features inside the model?",
    source=(
        "Alain and Bengio 2016 (arXiv 1610.01644), probes of layers; ESC (arXiv 2504.02199), "
        "a probe after erasing"
    ),
    run=probes,
    metrics=(
        Metric(
            "linear_image", "pictures read by a linear probe", "remembered", if_original_knows=True
        ),
        Metric(
            "knn_image",
            "pictures read by nearest neighbours",
            "remembered",
            if_original_knows=True,
            acquits=False,
        ),
        Metric(
            "linear_text",
            "texts read by a linear probe",
            "remembered",
            if_original_knows=True,
            acquits=False,
        ),
    ),
    smoke={"pictures": 12},
)
