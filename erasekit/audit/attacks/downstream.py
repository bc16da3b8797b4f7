"""Downstream: what breaks in applications built on the image tower before the erasure?

A classifier and a picture index are built on the original's features; then the erased model
replaces the original. If they still recognise forgotten concepts, that is a leak that
prompts do not show. What they lose on other concepts is the cost of the update; the test
also measures how much of it refitting recovers. No paper describes this test; linear
classifiers on frozen features are a common use of CLIP's image tower (Radford et al. 2021,
section 3.2).
"""

from __future__ import annotations

from erasekit.audit.base import (
    AuditTest,
    Measure,
    Metric,
    Models,
    Result,
    estimate_mean,
    is_oracle,
)
from erasekit.audit.classifiers import fit_linear
from erasekit.audit.names import ORIGINAL
from erasekit.data.task import ErasureTask
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.naming import trained_singles
from erasekit.evaluate.subsets import make_subsets


def downstream(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
) -> Result:
    """Apply a classifier and an index built on the original to other models' features.

    Both use the training pictures that show one concept, and are evaluated on those of
    `split`. The classifier separates all trained concepts.

    Args:
        models, task, split, draws, seed: as in every audit test.

    Returns:
        Metrics from 0 to 1: ``classifier`` (accuracy), ``index`` (share of pictures whose
        nearest picture in the index shows the same concept) and ``rebuilt`` (as
        ``classifier``, fitted on the model's own features). Conditions are ``forget``,
        ``neighbours`` and ``retain``; ``rebuilt`` omits ``forget``, which the probes
        measure. ``classifier`` and ``index`` are not measured for oracles. Details repeat
        all measures: ``measure``, ``model``, ``subset``, ``value`` and its 95 % interval
        ``low``, ``high``.

    Raises:
        UsageError: for an unknown split.
    """
    original = models[ORIGINAL]
    built_on = trained_singles(task.world, "train")
    known = built_on.labels()
    index = original.encode_images(built_on.images)
    classifier = fit_linear(index.numpy(), known)
    subsets = make_subsets(original, task, split)
    labels = subsets.singles.labels()

    result = Result([])
    for model, clip in models.items():
        features = clip.encode_images(subsets.singles.images)
        right = {}
        if not is_oracle(model):
            right["classifier"] = classifier.predict(features.numpy()) == labels
            right["index"] = known[(features @ index.T).argmax(1).numpy()] == labels
        own = fit_linear(clip.encode_images(built_on.images).numpy(), known)
        right["rebuilt"] = own.predict(features.numpy()) == labels
        for metric, hit in right.items():
            for subset in ("forget", "neighbours", "retain"):
                if (metric, subset) == ("rebuilt", "forget"):
                    continue
                rows = subsets.rows(subset)
                estimate = estimate_mean(hit[rows], labels[rows], draws, seed)
                low, high = estimate.interval
                result.measures.append(Measure(model, metric, subset, estimate))
                result.details.append(
                    {
                        "measure": metric,
                        "model": model,
                        "subset": subset,
                        "value": estimate.value,
                        "low": low,
                        "high": high,
                    }
                )
    if any(map(is_oracle, models)):
        result.notes.append(
            "An oracle's features have axes of their own, so that what was built on the "
            "original's says nothing about it: it is only measured with a classifier of its own."
        )
    return result


TEST = AuditTest(
    name="downstream",
    title="Downstream use",
    question="What breaks in applications built on the image tower before the erasure?",
    source="own; linear classifiers on frozen features as in Radford et al. 2021, section 3.2",
    run=downstream,
    metrics=(
        Metric("classifier", "the original's classifier", "reported"),
        Metric("index", "the original's index, R@1", "reported"),
        Metric("rebuilt", "a refitted classifier", "kept"),
    ),
)
