"""The scorecard: original, erased model, control and oracle, measured under equal conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pydantic import with_config

from erasekit.checks import read_record
from erasekit.data.task import ErasureTask
from erasekit.errors import RunError
from erasekit.evaluate.bootstrap import DRAWS, bootstrap_mean, bootstrap_statistic
from erasekit.evaluate.membership_auc import (
    membership_auc,
    membership_interval,
    pair_similarity,
)
from erasekit.evaluate.request_scores import RequestScores
from erasekit.evaluate.retrieval import neighbourhood_kept, recall
from erasekit.evaluate.subsets import (
    Subsets,
    concept_groups,
    distinct_scenes,
    make_subsets,
)
from erasekit.files import write_json
from erasekit.models.clip import Clip
from erasekit.models.zero_shot import concept_features, hits

VERSION = 1
#: The models of a scorecard, in the order of its tables.
MODELS = ("original", "erased", "control", "oracle")
#: Metric, subset and, for language models, direction. Without a direction, directions are
#: averaged.
Measure = tuple[str, ...]
#: The measures in the average gap of CLIPs.
AVERAGE_GAP = (
    ("top1", "forget"),
    ("top1", "neighbours"),
    ("top1", "retain"),
    ("recall@1", "retain"),
    ("membership_auc", "forget"),
)
#: Further measures in the average gap of a request for pictures, which it is judged on.
REQUEST_GAP = (("recall@1", "forget"), ("rank", "forget"))
#: The measures in the average gap of language models.
ANSWERS_GAP = (
    ("accuracy:name", "forget", "seen"),
    ("accuracy:name", "neighbours", "seen"),
    ("accuracy", "retain", "seen"),
    ("accuracy", "forget", "told"),
    ("accuracy", "retain", "told"),
)
#: Candidates for the main metric of forgetting, of which the first in the scorecard is used:
#: naming, or retrieval for pictures without names.
MAIN = ("top1", "accuracy:name", "recall@1")
#: Directions that measure different abilities and are never averaged: visual and text-only.
APART = ("seen", "told")
#: Maximum number of pairs for retrieval.
GALLERY = 200


@with_config(allow_inf_nan=False)
@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        model: original, erased, control or oracle.
        metric: for a CLIP, top1, top5, top1_among_forgotten, similarity, recall@1, recall@5,
            recall@10, rank (the share of other items that rank before the right one),
            neighbourhood_kept or membership_auc; for a language model, accuracy, rouge_l or
            choice, also for one kind of question, such as accuracy:name.
        subset: forget, neighbours, retain or holdout.
        direction: image_to_text, text_to_image, image_to_image, text_to_text; pair for measures
            on matched pairs; for a language model, seen (visual questions) or told (text-only).
        value: accuracies, shares and AUC from 0 to 1; similarity from −1 to 1.
        low, high: 95 % interval by bootstrap over concepts.
        n: number of pictures, captions or answers.
    """

    model: str
    metric: str
    subset: str
    direction: str
    value: float
    low: float
    high: float
    n: int

    @property
    def measure(self) -> Measure:
        """Metric, subset and, for directions that are never averaged, direction."""
        place = (self.metric, self.subset)
        return (*place, self.direction) if self.direction in APART else place


@dataclass(frozen=True)
class Scorecard:
    """All rows of one task, with the cost of its models."""

    task: dict
    cost: dict
    rows: list[Row] = field(default_factory=list)

    def value(self, model: str, metric: str, subset: str, direction: str | None = None) -> float:
        """One value; without `direction`, the mean over directions.

        Raises:
            RunError: when the scorecard has no such row.
        """
        found = [
            row.value
            for row in self.rows
            if (row.model, row.metric, row.subset) == (model, metric, subset)
            and direction in (None, row.direction)
        ]
        if not found:
            raise RunError(f"the scorecard has no {metric} on {subset} for {model}")
        return float(np.mean(found))

    @property
    def models(self) -> list[str]:
        have = {row.model for row in self.rows}
        return [m for m in MODELS if m in have] + sorted(have - set(MODELS))

    def gap(self, *measure: str, model: str = "erased") -> float:
        """The model's value minus the oracle's, signed, in points (hundredths)."""
        return 100 * (self.value(model, *measure) - self.value("oracle", *measure))

    def has(self, metric: str, subset: str, direction: str | None = None) -> bool:
        """Whether the scorecard has a measure."""
        return any(
            (row.metric, row.subset) == (metric, subset) and direction in (None, row.direction)
            for row in self.rows
        )

    @property
    def measures(self) -> list[Measure]:
        """Every measure, in the order of its rows."""
        return list(dict.fromkeys(row.measure for row in self.rows))

    @property
    def main_metric(self) -> str:
        """The main metric of forgetting; see `MAIN`."""
        return next((name for name in MAIN if self.has(name, "forget")), MAIN[-1])

    @property
    def gap_measures(self) -> list[Measure]:
        """The measures in the average gap that the scorecard has."""
        request = REQUEST_GAP if self.has("rank", "forget") else ()
        return [m for m in (*request, *AVERAGE_GAP, *ANSWERS_GAP) if self.has(*m)]

    def average_gap(self, model: str = "erased") -> float:
        """Mean absolute gap over `gap_measures`, in points."""
        return float(np.mean([abs(self.gap(*m, model=model)) for m in self.gap_measures]))

    def frame(self) -> pd.DataFrame:
        """Every row as a table."""
        return pd.DataFrame([asdict(row) for row in self.rows])

    def table(self) -> pd.DataFrame:
        """The table for display: one row per measure, one column per model, and the gap."""
        lines = []
        measures = [m for m in self.measures if m in _LINES or m[-1] in APART]
        for measure in sorted(measures, key=lambda m: _LINES.index(m) if m in _LINES else 0):
            metric, subset, *direction = measure
            line: dict[str, object] = {
                "measure": " ".join([metric, *direction]),
                "subset": subset,
                **{model: self.value(model, *measure) for model in self.models},
            }
            if "oracle" in self.models and "erased" in self.models:
                line["gap"] = self.gap(*measure)
            lines.append(line)
        return pd.DataFrame(lines).set_index(["measure", "subset"])

    def as_dict(self) -> dict:
        return {
            "version": VERSION,
            "task": self.task,
            "cost": self.cost,
            "rows": [
                {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(row).items()}
                for row in self.rows
            ],
        }

    def save(self, path: Path) -> Path:
        return write_json(path, self.as_dict())

    @classmethod
    def load(cls, path: Path) -> Scorecard:
        """Read a scorecard.

        Raises:
            RunError: when the file is missing, damaged or of another version.
        """
        return read_record(path, "a scorecard", VERSION, cls)


_LINES = (
    ("top1", "forget"),
    ("top1", "neighbours"),
    ("top1", "retain"),
    ("top5", "forget"),
    ("top5", "retain"),
    ("top1_among_forgotten", "forget"),
    ("recall@1", "forget"),
    ("recall@1", "holdout"),
    ("recall@1", "retain"),
    ("recall@5", "retain"),
    ("recall@10", "retain"),
    ("rank", "forget"),
    ("rank", "holdout"),
    ("similarity", "forget"),
    ("similarity", "neighbours"),
    ("similarity", "retain"),
    ("similarity", "holdout"),
    ("neighbourhood_kept", "retain"),
    ("membership_auc", "forget"),
)


def evaluate(
    task: ErasureTask,
    models: Mapping[str, Clip],
    *,
    cost: dict | None = None,
    split: str = "test",
    draws: int = DRAWS,
    gallery: int = GALLERY,
) -> Scorecard:
    """Measure every model on the task.

    Args:
        task: the task that was erased.
        models: models by name; must include ``original``, which determines neighbours and
            neighbourhoods.
        cost: seconds and steps of each model, stored unchanged.
        split: test, or validation for choosing options.
        draws: number of bootstrap draws.
        gallery: maximum number of pairs for retrieval, in each of the two sets.
    """
    original = models["original"]
    subsets = make_subsets(original, task, split)
    rows: list[Row] = []
    reference = _Encoded(original, task, subsets, gallery)
    request = RequestScores(original, task, split, gallery) if task.pictures else None
    for name, clip in models.items():
        encoded = reference if clip is original else _Encoded(clip, task, subsets, gallery)
        rows += _zero_shot(name, encoded, task, subsets, draws)
        if request is not None:
            rows += [Row(name, *measured) for measured in request.rows(clip, draws)]
        if not task.named:
            rows += _pair_similarity(name, encoded, draws)
        rows += _retrieval(name, encoded, draws)
        rows += _neighbourhoods(name, encoded, reference, task, draws)
        if request is None:
            rows += _membership(name, clip, task, split, draws)
    described = {**task.describe(), "split": split}
    near = subsets.concepts.get("neighbours", ())
    described["neighbours"] = [task.world.concept(i).name for i in near]
    return Scorecard(described, dict(cost or {}), rows)


class _Encoded:
    """One model's features of the evaluation split."""

    def __init__(self, clip: Clip, task: ErasureTask, subsets: Subsets, gallery: int) -> None:
        world = task.world
        self.concepts = concept_features(clip, world.concepts) if subsets.concepts else None
        self.singles = clip.encode_images(subsets.singles.images)
        self.scenes: dict[str, tuple[torch.Tensor, torch.Tensor, np.ndarray]] = {}
        scenes = task.judged(subsets.split).scenes
        of = {"retain": scenes.where(lambda concepts: not task.touches(concepts))}
        if not task.pictures:  # otherwise `RequestScores` evaluates the request's own pairs
            of = {"forget": scenes.where(task.touches), **of}
        for subset, chosen in of.items():
            chosen = distinct_scenes(chosen, gallery)
            captions = world.captions_in(chosen, subsets.split, "en")
            self.scenes[subset] = (
                clip.encode_images(chosen.images),
                clip.encode_texts(captions),
                concept_groups(chosen.concepts),
            )


def _zero_shot(
    name: str, encoded: _Encoded, task: ErasureTask, subsets: Subsets, draws: int
) -> list[Row]:
    found: list[Row] = []
    if encoded.concepts is None:
        return found
    labels = subsets.singles.labels()
    trained = list(task.world.trained)
    for subset in subsets.concepts:
        rows = subsets.rows(subset)
        image, truth = encoded.singles[rows], labels[rows]
        own = encoded.concepts[torch.from_numpy(truth)]
        measures = {("similarity", "pair"): (image * own).sum(1)}
        if subset != "holdout":  # no model saw holdout concepts: accuracy means nothing
            candidates = encoded.concepts[trained]
            place = [trained.index(label) for label in truth]
            measures["top1", "image_to_text"] = hits(image, candidates, place)
            measures["top5", "image_to_text"] = hits(image, candidates, place, 5)
        if subset == "forget":
            among = list(subsets.concepts[subset])
            place = [among.index(label) for label in truth]
            measures["top1_among_forgotten", "image_to_text"] = hits(
                image, encoded.concepts[among], place
            )
        for (metric, direction), values in measures.items():
            mean = bootstrap_mean(values.double().numpy(), truth, draws)
            found.append(Row(name, metric, subset, direction, *mean, len(rows)))
    return found


def _pair_similarity(name: str, encoded: _Encoded, draws: int) -> list[Row]:
    """For pictures without a name, the similarity of each to its caption."""
    return [
        Row(
            name,
            "similarity",
            subset,
            "pair",
            *bootstrap_mean((image * text).sum(1).double().numpy(), groups, draws),
            len(image),
        )
        for subset, (image, text, groups) in encoded.scenes.items()
    ]


def _retrieval(name: str, encoded: _Encoded, draws: int) -> list[Row]:
    return [
        Row(
            name,
            f"recall@{k}",
            subset,
            direction,
            *bootstrap_mean(found, groups, draws),
            len(found),
        )
        for subset, (image, text, groups) in encoded.scenes.items()
        for (direction, k), found in recall(image, text).items()
    ]


def _neighbourhoods(
    name: str, encoded: _Encoded, reference: _Encoded, task: ErasureTask, draws: int
) -> list[Row]:
    found = []
    retained = list(task.retained)
    old_image, old_text, groups = reference.scenes["retain"]
    new_image, new_text, _ = encoded.scenes["retain"]
    texts = (old_text, new_text, groups)
    if reference.concepts is not None and encoded.concepts is not None:
        texts = (reference.concepts[retained], encoded.concepts[retained], np.array(retained))
    for direction, before, after, of in (
        ("image_to_image", old_image, new_image, groups),
        ("text_to_text", *texts),
    ):
        if len(before) < 3:  # a small folder: too few items for neighbourhoods
            continue
        kept = neighbourhood_kept(before, after)
        mean = bootstrap_mean(kept.astype(float), of, draws)
        found.append(Row(name, "neighbourhood_kept", "retain", direction, *mean, len(kept)))
    return found


def _membership(name: str, clip: Clip, task: ErasureTask, split: str, draws: int) -> list[Row]:
    trained, unseen = task.members(split)
    if not len(trained) or not len(unseen):  # a folder with all pictures of a concept in one split
        return []
    members, others = pair_similarity(clip, trained), pair_similarity(clip, unseen)
    scores = np.concatenate([members, others])
    seen = np.concatenate([np.ones(len(members), bool), np.zeros(len(others), bool)])
    # Group pairs by their forgotten concept, not by others in the same scene.
    groups = np.array(
        [
            next(i for i in concepts if task.touches((i,)))
            for concepts in (*trained.concepts, *unseen.concepts)
        ]
    )

    def auc(rows: np.ndarray) -> float:
        chosen, member = scores[rows], seen[rows]
        if member.all() or not member.any():
            return np.nan
        return membership_auc(chosen[member], chosen[~member])

    value = bootstrap_statistic(auc, groups, min(draws, 200))
    if np.isnan(value).any():  # some concepts have only members, or none, and were drawn alone
        value = membership_interval(members, others, draws)
    return [Row(name, "membership_auc", "forget", "pair", *value, len(scores))]
