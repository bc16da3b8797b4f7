"""Every method for multimodal language models, tuned alike, over several seeds and attacked.

Tuning takes seed 0 and the validation split, and judges by an expected gap that knows no oracle.
Then each method's best trial is tested once a seed, beside original, control and oracle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from erasekit.cache import code_identity
from erasekit.errors import RunError, UsageError, unknown
from erasekit.experiment.language_experiment import MllmExperiment, load
from erasekit.files import sha256_json
from erasekit.frames import records as rows_of
from erasekit.frames import where
from erasekit.leaderboard.records import Records
from erasekit.models.mllm import Mllm
from erasekit.progress import progress_bar
from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.registry import METHODS, get_method, methods_of

#: The results that come with the kit, made with the command on their page.
SHIPPED = Path(__file__).with_name("multimodal.jsonl")
ORIGINAL, ORACLE, CONTROL = "original", "oracle", "fine_tune"
#: What the average gap is over: mode, subset and kind of questions.
MEASURES = {
    "seen forget": ("visual", "forget", "recognition"),
    "seen neighbours": ("visual", "neighbours", "recognition"),
    "seen retain": ("visual", "retain", "all"),
    "told forget": ("text", "forget", "all"),
    "told retain": ("text", "retain", "all"),
}
#: What stands beside it, of the audit: test and condition; None is the highest of them.
ATTACKS = {
    "paraphrase": ("paraphrase", None),
    "probe tower": ("probe", "tower"),
    "probe language": ("probe", "language model"),
    "relearning": ("relearning", "area"),
}


@cache
def search_space() -> dict[str, tuple[dict[str, Any], ...]]:
    """The trials of every method but the control, equally many for each; checked whole.

    Raises:
        UsageError: when the file names what does not exist, or budgets differ.
    """
    text = Path(__file__).with_name("search_space_multimodal.yaml").read_text(encoding="utf-8")
    return read_search_space(yaml.safe_load(text))


def read_search_space(value: Mapping[str, Any]) -> dict[str, tuple[dict[str, Any], ...]]:
    """See `search_space`."""
    space = value["methods"]
    for name, trials in space.items():
        method = get_method(name)
        if len(trials) != value["trials"]:
            raise UsageError(
                f"search space: {name} has {len(trials)} trials, and the budget of each method "
                f"is {value['trials']}"
            )
        for trial in trials:
            options, spec = _parts(trial)
            method.build(options, "language")
            for key in spec:
                if key not in EraseSpec.__dataclass_fields__:
                    raise unknown(f"field of {name}'s trial", key, EraseSpec.__dataclass_fields__)
            EraseSpec(**spec)
    tuned = [name for name in methods_of("language") if name != CONTROL]
    if missing := [name for name in tuned if name not in space]:
        raise UsageError(f"search space: {missing[0]} is missing, and would not be tuned")
    return {name: tuple(trials) for name, trials in space.items()}


def _parts(trial: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A trial's options of the method, and its fields of the spec."""
    return dict(trial.get("options", {})), {k: v for k, v in trial.items() if k != "options"}


def expected_gap(metrics: Mapping[str, float], original: Mapping[str, float]) -> float:
    """Mean distance, in points, from what retraining is expected to give.

    Nothing forgotten is recognised any more, and all else is as in the original.
    """
    expected = {**original, "seen forget": 0.0}
    return 100 * sum(abs(metrics[name] - expected[name]) for name in MEASURES) / len(MEASURES)


def compare(
    path: Path,
    *,
    profile: str = "default",
    forget: str = "fruit",
    methods: Sequence[str] = ("all",),
    seeds: Sequence[int] = (0, 1, 2),
    threads: int = 1,
    progress: bool = True,
) -> Records:
    """Make every result that the file does not hold, and append it as it comes.

    Raises:
        UsageError: for a method that does not exist.
        RunError: when the records are damaged.
    """
    all_names = list(methods_of("language"))
    names = all_names if list(methods) == ["all"] else list(dict.fromkeys(methods))
    for name in names:
        get_method(name).check_kind("language")
    names = [name for name in names if name != CONTROL]
    records = Records(path)
    total = len(names) * len(next(iter(search_space().values())))
    total += len(seeds) * (len(names) + 3)
    parameters = {"forget": forget, "threads": threads, "progress": False}
    tuning = load(profile, seed=0, **parameters)
    with progress_bar("comparison", "result", total, show=progress) as bar:
        bench = _Bench(tuning, records)
        for name in names:
            for trial in search_space()[name]:
                bench.result(name, trial, "validation")
                bar.update()
        for seed in seeds:
            bench = _Bench(load(profile, seed=seed, **parameters), records)
            for name in (ORIGINAL, ORACLE, CONTROL, *names):
                trial = best_trial(records.read(), tuning, name) if name in names else {}
                bench.result(name, trial, "test")
                bar.update()
    return records


class _Bench:
    """The models of one seed, and what is measured on them."""

    def __init__(self, experiment: MllmExperiment, records: Records) -> None:
        self.experiment, self.records = experiment, records

    def result(self, name: str, trial: Mapping[str, Any], split: str) -> None:
        """Make one result, unless it is there; a method that fails is a result."""
        what = _asked(self.experiment, name, trial, split)
        key = _key(what)
        if any(record["key"] == key for record in self.records.read()):
            return
        shown = {k: v for k, v in what.items() if k not in ("settings", "recipe")}
        try:
            model, cost = self._model(name, trial)
        except RunError as error:
            self.records.append({"key": key, **shown, "failed": str(error)})
            return
        found: dict[str, Any] = {"failed": None, **cost, "metrics": self._measure(model, split)}
        if split == "validation":
            found["expected_gap"] = expected_gap(found["metrics"], self.original_metrics)
        else:
            found["metrics"].update(self._attack(model))
            found["retraining_seconds"] = self.experiment.retraining_seconds()
        self.records.append({"key": key, **shown, **found})

    @cached_property
    def original_metrics(self) -> dict[str, float]:
        return self._measure(self.experiment.original, "validation")

    def _model(self, name: str, trial: Mapping[str, Any]) -> tuple[Mllm, dict[str, Any]]:
        if name in (ORIGINAL, ORACLE):
            model = getattr(self.experiment, name)
            return model, {"seconds": None, "steps": None}
        options, spec = _parts(trial)
        erasure = self.experiment.erase(name, options=options, **spec)
        return erasure.model, {"seconds": erasure.seconds, "steps": erasure.steps}

    def _measure(self, model: Mllm, split: str) -> dict[str, float]:
        table = self.experiment.evaluate({"it": model}, split=split)
        by_place = {(row.mode, row.subset, row.kind): row.value for row in rows_of(table)}
        return {name: float(by_place[place]) for name, place in MEASURES.items()}

    def _attack(self, model: Mllm) -> dict[str, float]:
        table = self.experiment.audit({"it": model})
        found = {}
        for name, (test, condition) in ATTACKS.items():
            of_test = where(table, test=test)
            rows = of_test if condition is None else where(of_test, condition=condition)
            found[name] = max(rows["value"].tolist())
        return found


def _asked(
    experiment: MllmExperiment, name: str, trial: Mapping[str, Any], split: str
) -> dict[str, Any]:
    """What decides a result, as JSON holds it."""
    settings = asdict(experiment.clip.settings)
    settings.pop("draws")
    return {
        "profile": settings["profile"],
        "forget": settings["forget"],
        "seed": settings["seed"],
        "split": split,
        "method": name,
        "trial": dict(trial),
        "settings": settings,
        "recipe": {**asdict(experiment.spec), "erasing": asdict(experiment.erase_spec)},
    }


def _key(what: Mapping[str, Any]) -> str:
    method = METHODS.get(what["method"])  # the original and the oracle are made by none
    own = [method.__module__] if method else []
    return sha256_json({**what, "code": code_identity(__name__, *own)})[:20]


def best_trial(
    records: Sequence[Mapping[str, Any]], tuning: MllmExperiment, name: str
) -> dict[str, Any]:
    """The trial with the least expected gap on validation; the first of several.

    Args:
        records: what there is.
        tuning: the experiment that methods are tuned on.

    Raises:
        RunError: when not all of them have been run.
    """
    gaps = {record["key"]: record.get("expected_gap") for record in records}
    found = []
    for trial in search_space()[name]:
        key = _key(_asked(tuning, name, trial, "validation"))
        if key not in gaps:
            raise RunError(f"{name} has not been tuned: run its trials on seed 0 first")
        found.append(math.inf if gaps[key] is None else gaps[key])
    return dict(search_space()[name][int(np.argmin(found))])


def comparison_table(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One line a model: means over seeds, and deviations as ``… ±``.

    Args:
        records: of one profile and one forget set.

    Returns:
        shares from 0 to 1 by the names of `MEASURES` and `ATTACKS`; ``average gap`` in points,
        to the oracle of the same seed, over `MEASURES`; ``seconds``, and ``of retraining``.

    Raises:
        RunError: when nothing has been tested yet.
    """
    tested = [r for r in records if r["split"] == "test" and not r["failed"]]
    oracles = {r["seed"]: r["metrics"] for r in tested if r["method"] == ORACLE}
    if not oracles:
        raise RunError("the records hold no test: run benchmarks/compare_mllm.py first")
    lines = []
    for record in tested:
        metrics, oracle = record["metrics"], oracles[record["seed"]]
        gap = 100 * np.mean([abs(metrics[name] - oracle[name]) for name in MEASURES])
        seconds = record["seconds"]
        share = None if seconds is None else seconds / record["retraining_seconds"]
        line = {"model": record["method"], "average gap": gap, **metrics}
        lines.append({**line, "seconds": seconds, "of retraining": share})
    table = pd.DataFrame(lines).astype({"seconds": float, "of retraining": float})
    grouped: Any = table.groupby("model", sort=False)  # pandas' types are many here
    means, deviations = grouped.mean(), grouped.std(ddof=0)
    found = means.join(deviations.add_suffix(" ±"))
    first, last = [ORIGINAL], [CONTROL, ORACLE]
    order = found["average gap"].drop([*first, *last], errors="ignore").sort_values().index
    return found.loc[[name for name in (*first, *order, *last) if name in found.index]]


def shipped() -> list[dict[str, Any]]:
    """The results that come with the kit."""
    return Records(SHIPPED).read()


def tuned(name: str) -> dict[str, Any]:
    """What `MllmExperiment.erase` takes for a method's best trial of the shipped results.

    Nothing for the control, which is not tuned.
    """
    trials = [r for r in shipped() if r["method"] == name and r.get("expected_gap") is not None]
    if not trials:
        return {}
    options, spec = _parts(min(trials, key=lambda record: record["expected_gap"])["trial"])
    return {"options": options, **spec}


def percent(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of a comparison that its pages begin with, shares as percent."""
    shares = [*MEASURES, "of retraining"]
    found = table.filter(["average gap", *shares])
    found[shares] *= 100
    return found
