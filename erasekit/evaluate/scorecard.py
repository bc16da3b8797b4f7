"""The scorecard: original, erased, control and oracle, measured alike, side by side."""

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
from erasekit.evaluate.membership_auc import membership_auc, pair_similarity
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
#: The models of a scorecard in the order of its tables.
MODELS = ("original", "erased", "control", "oracle")
#: A measure is a metric and a subset, of a language model a direction too. Without one, the
#: directions are averaged.
Measure = tuple[str, ...]
#: What the average gap of CLIPs is the mean of.
AVERAGE_GAP = (
    ("top1", "forget"),
    ("top1", "neighbours"),
    ("top1", "retain"),
    ("recall@1", "retain"),
    ("membership_auc", "forget"),
)
#: The same of language models.
ANSWERS_GAP = (
    ("accuracy:name", "forget", "seen"),
    ("accuracy:name", "neighbours", "seen"),
    ("accuracy", "retain", "seen"),
    ("accuracy", "forget", "told"),
    ("accuracy", "retain", "told"),
)
#: What says whether something is forgotten, the first that a scorecard has: names; of pictures
#: that have none, retrieval.
MAIN = ("top1", "accuracy:name", "recall@1")
#: Directions that ask for different things, and are never averaged: in pictures, and in words.
APART = ("seen", "told")
#: Pairs among which one is retrieved, at most.
GALLERY = 200


@with_config(allow_inf_nan=False)
@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        model: original, erased, control or oracle.
        metric: of a CLIP top1, top5, top1_among_forgotten, similarity, recall@1, recall@5,
            recall@10, rank (the share of all others that come before the right one),
            neighbourhood_kept or membership_auc; of a language model accuracy, rouge_l or choice,
            and of one kind of questions such as accuracy:name.
        subset: forget, neighbours, retain or holdout.
        direction: image_to_text, text_to_image, image_to_image, text_to_text; pair for what is
            measured on a matched pair; of a language model's answers seen (about pictures) or
            told (in words alone).
        value: accuracies, shares and AUC from 0 to 1; similarity from −1 to 1.
        low, high: 95 % interval by bootstrap over concepts.
        n: how many pictures, captions or answers it is the mean of.
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
        """What it is a value of."""
        place = (self.metric, self.subset)
        return (*place, self.direction) if self.direction in APART else place


@dataclass(frozen=True)
class Scorecard:
    """All rows of one task, with what it cost."""

    task: dict
    cost: dict
    rows: list[Row] = field(default_factory=list)

    def value(self, model: str, metric: str, subset: str, direction: str | None = None) -> float:
        """One value; the mean over directions if several are there and none is asked for.

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
        """Whether there is such a measure."""
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
        """What says whether something is forgotten; see `MAIN`."""
        return next((name for name in MAIN if self.has(name, "forget")), MAIN[-1])

    @property
    def gap_measures(self) -> list[Measure]:
        """What the average gap is the mean of, as far as it is there."""
        return [measure for measure in (*AVERAGE_GAP, *ANSWERS_GAP) if self.has(*measure)]

    def average_gap(self, model: str = "erased") -> float:
        """Mean absolute gap over `gap_measures`, in points."""
        return float(np.mean([abs(self.gap(*m, model=model)) for m in self.gap_measures]))

    def frame(self) -> pd.DataFrame:
        """Every row as a table."""
        return pd.DataFrame([asdict(row) for row in self.rows])

    def table(self) -> pd.DataFrame:
        """The table a person reads: a line a measure, a column a model, and the gap."""
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
            RunError: when the file is absent, damaged or of another version.
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
        task: what was to be forgotten.
        models: by name; ``original`` must be among them, since it says which concepts
            are neighbours and what a kept neighbourhood is.
        cost: seconds and steps of each model that was made, stored as it is.
        split: test, or validation while something is still being chosen.
        draws: of the bootstrap.
        gallery: pairs among which one is retrieved, at most, in each of the two sets.
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
    """Everything one model says of the evaluation split, encoded once."""

    def __init__(self, clip: Clip, task: ErasureTask, subsets: Subsets, gallery: int) -> None:
        world = task.world
        self.concepts = concept_features(clip, world.concepts) if subsets.concepts else None
        self.singles = clip.encode_images(subsets.singles.images)
        self.scenes: dict[str, tuple[torch.Tensor, torch.Tensor, np.ndarray]] = {}
        scenes = task.judged(subsets.split).scenes
        of = {"retain": scenes.where(lambda concepts: not task.touches(concepts))}
        if not task.pictures:  # else the request's own pairs are judged, see `RequestScores`
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
        if subset != "holdout":  # no model ever saw a holdout concept: only similarity speaks
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
    """Of pictures without a name: how similar each is to its caption."""
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
        if len(before) < 3:  # of a small folder: nobody has a neighbourhood
            continue
        kept = neighbourhood_kept(before, after)
        mean = bootstrap_mean(kept.astype(float), of, draws)
        found.append(Row(name, "neighbourhood_kept", "retain", direction, *mean, len(kept)))
    return found


def _membership(name: str, clip: Clip, task: ErasureTask, split: str, draws: int) -> list[Row]:
    trained, unseen = task.members(split)
    if not len(trained) or not len(unseen):  # of a folder: all pictures of a thing in one split
        return []
    members, others = pair_similarity(clip, trained), pair_similarity(clip, unseen)
    scores = np.concatenate([members, others])
    seen = np.concatenate([np.ones(len(members), bool), np.zeros(len(others), bool)])
    # The forgotten concept of a pair is what it is grouped by, not what stands beside it.
    groups = np.array(
        [
            next(i for i in concepts if task.touches((i,)))
            for concepts in (*trained.concepts, *unseen.concepts)
        ]
    )

    def auc(rows: np.ndarray) -> float:
        chosen, member = scores[rows], seen[rows]
        return membership_auc(chosen[member], chosen[~member])

    value = bootstrap_statistic(auc, groups, min(draws, 200))
    return [Row(name, "membership_auc", "forget", "pair", *value, len(scores))]
