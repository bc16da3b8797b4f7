"""Run the benchmark: tune every method alike on validation, then test each once a seed.

Each result is made alone, in this process or by the workers of a Dask cluster, and appended here
as it comes. What is there already is not made again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

from erasekit.cluster import Workers, estimate, open_pool, say
from erasekit.data.data_spec import WorldSpec
from erasekit.errors import RunError
from erasekit.experiment.specs import make_plan
from erasekit.files import write_text
from erasekit.leaderboard.bench import Bench, Case
from erasekit.leaderboard.plan import (
    CLIP,
    Kind,
    Trial,
    settings_of,
    task_of,
    trials_of,
)
from erasekit.leaderboard.records import Records, key_of
from erasekit.progress import progress_bar

#: The seed on which methods are tuned.
TUNING_SEED = 0
#: What is asked for, as it stands in a record.
_ASKED = ("profile", "seed", "split", "method", "trial")
#: A worker may have several threads, but torch's seeds and threads are those of the process.
_ALONE = Lock()


@dataclass(frozen=True)
class Unit:
    """The results of one task and seed, which share their models.

    Attributes:
        tuning: whether trials are compared on validation; else the best ones are tested.
        threads: of the processor; results of other threads are other results.
    """

    profile: str
    task: str
    seed: int
    methods: tuple[str, ...]
    tuning: bool
    kind: Kind = CLIP
    threads: int = 1

    @property
    def case(self) -> Case:
        """What decides the models of this unit."""
        task = task_of(self.kind, self.profile, self.task)
        settings = settings_of(self.profile, task, self.seed, self.kind, self.threads)
        plan = make_plan(settings)
        assert isinstance(plan.data, WorldSpec) and plan.train is not None
        return Case(
            world=plan.data,
            train=plan.train,
            erase=plan.erase,
            requests=task.requests,
            scenes_only=task.scenes_only,
            llava=plan.llava,
            threads=settings.threads,
            device=settings.device,
            precision=settings.precision,
            draws=settings.draws,
        )

    def bench(self) -> Bench:
        """What makes the results."""
        module, name = self.kind.bench
        return getattr(import_module(module), name)(self.case)

    def wanted(self, records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """What this unit makes, by key; the best trials must be known for a test.

        Args:
            records: what there is already; the best trials are found in it.
        """
        if self.tuning:
            asked = [(name, t) for name in self.methods for t in trials_of(self.kind, name)]
        else:
            asked = [(name, {}) for name in self.kind.references]
            asked += [(name, best_trial(self, name, records)) for name in self.methods]
        case, found = self.case.as_dict(), {}
        for method, trial in asked:
            what = {
                "profile": self.profile,
                self.kind.task_field: self.task,
                "seed": self.seed,
                "split": "validation" if self.tuning else "test",
                "method": method,
                "trial": dict(trial),
            }
            found[self._key(what, case)] = what
        return found

    def key(self, record: Mapping[str, Any]) -> str:
        """The key of a record of this unit by today's code."""
        what = {name: record[name] for name in (*_ASKED, self.kind.task_field)}
        return self._key(what, self.case.as_dict())

    def _key(self, what: Mapping[str, Any], case: Mapping[str, Any]) -> str:
        module, _ = self.kind.bench
        method = self.kind.methods.get(what["method"])
        code = [module] if method is None else [module, method.__module__]
        return key_of({**what, "case": case}, *code)


def best_trial(unit: Unit, method: str, records: Sequence[Mapping[str, Any]]) -> Trial:
    """The trial with the least expected gap on validation; the first of several.

    Args:
        unit: a test of the task; its tuning is looked up.
        records: the results of the tuning.
    """
    tuning = replace(unit, tuning=True, seed=TUNING_SEED, methods=(method,))
    gaps = {record["key"]: record.get("expected_gap") for record in records}
    order = [_or_worst(gaps.get(key)) for key in tuning.wanted(())]
    return trials_of(unit.kind, method)[order.index(min(order))]


def _or_worst(gap: float | None) -> float:
    return math.inf if gap is None else gap


@lru_cache(maxsize=1)
def _bench(kind: Kind, case: Case) -> Bench:
    """A bench with its models, for the next result of the same case."""
    module, name = kind.bench
    return getattr(import_module(module), name)(case)


def make_result(asked: tuple[Unit, Mapping[str, Any]]) -> dict[str, Any]:
    """One result of a unit, as `Unit.wanted` describes it; what a worker does."""
    unit, what = asked
    with _ALONE:
        return _bench(unit.kind, unit.case).result(what["method"], what["trial"], what["split"])


@dataclass
class Plan:
    """What is asked for, and what of it the records hold."""

    units: Sequence[Unit]
    records: Records

    def __post_init__(self) -> None:
        self.have = {record["key"]: record for record in self.records.read()}

    @property
    def total(self) -> int:
        return sum(
            sum(len(trials_of(u.kind, name)) for name in u.methods)
            if u.tuning
            else len(u.methods) + len(u.kind.references)
            for u in self.units
        )

    def missing(self, unit: Unit) -> dict[str, dict[str, Any]]:
        """What a unit lacks by key; of a test only methods whose tuning is whole."""
        if not unit.tuning:
            tuning = replace(unit, tuning=True, seed=TUNING_SEED)
            open_ones = {what["method"] for what in self.missing(tuning).values()}
            unit = replace(unit, methods=tuple(n for n in unit.methods if n not in open_ones))
        wanted = unit.wanted(list(self.have.values()))
        return {key: what for key, what in wanted.items() if key not in self.have}

    def there(self) -> int:
        """How many of the results asked for the records hold."""
        have = list(self.have.values())
        return sum(key in self.have for unit in self.units for key in unit.wanted(have))


def plan_units(
    profile: str,
    methods: Sequence[str],
    tasks: Sequence[str],
    seeds: Sequence[int],
    kind: Kind = CLIP,
    threads: int = 1,
) -> list[Unit]:
    """Every unit of a benchmark, each task's tuning before its tests."""
    names, units = tuple(methods), []
    for task in tasks:
        units.append(Unit(profile, task, TUNING_SEED, names, True, kind, threads))
        units += [Unit(profile, task, seed, names, False, kind, threads) for seed in seeds]
    return units


def outlook(units: Sequence[Unit], path: Path, workers: Workers) -> str:
    """What a benchmark would run, what is there, and how long it takes by past results."""
    plan = Plan(units, Records(path))
    there = plan.there()
    left = plan.total - there
    lines = [f"{plan.total} results: {there} are there, {left} to make"]
    for unit in units:
        for what in plan.missing(unit).values():
            place = f"{unit.task} seed {unit.seed} {what['split']}"
            lines.append(f"  to make: {place} {what['method']} {what['trial'] or ''}".rstrip())
    return "\n".join([*lines, estimate([r.get("took") for r in plan.have.values()], left, workers)])


def run_benchmark(
    profile: str,
    methods: Sequence[str],
    tasks: Sequence[str],
    seeds: Sequence[int],
    path: Path,
    *,
    kind: Kind = CLIP,
    workers: Workers | None = None,
    progress: bool = True,
) -> Records:
    """Run whatever is not in the records yet.

    Args:
        profile: benchmark or smoke; for language models default or smoke.
        methods: names.
        tasks: names; for language models what must be forgotten.
        seeds: of the tests; tuning always takes seed 0.
        path: the file of records.
        kind: of model.
        workers: who does the work; this process alone by default.

    Raises:
        UsageError: when another program is adding to the records.
        RunError: when the records are damaged, or cannot be written; and at the end, when results
            failed: each is named, with its log.
    """
    workers = workers or Workers(1)
    units = plan_units(profile, methods, tasks, seeds, kind, workers.threads)
    records = Records(path)
    with records.locked():
        _make_missing(Plan(units, records), workers, progress)
    return records


def _make_missing(plan: Plan, workers: Workers, progress: bool) -> None:
    path, total, there = plan.records.path, plan.total, plan.there()
    tasks = dict.fromkeys(unit.task for unit in plan.units)
    asked: dict[str, tuple[Unit, str, dict[str, Any]]] = {}
    failed: dict[str, str] = {}
    open_trials: Counter[str] = Counter()  # by task: it is tested once there are none
    logs = path.with_suffix(".logs")
    with (
        progress_bar("benchmark", "result", total, done=there, show=progress) as bar,
        open_pool(make_result, workers, total - there, say) as pool,
    ):

        def submit(task: str, tuning: bool) -> None:
            for unit in plan.units:
                if (unit.task, unit.tuning) == (task, tuning):
                    for key, what in plan.missing(unit).items():
                        name = f"{task}-{unit.seed}-{what['split']}-{what['method']}-{key[:8]}"
                        asked[name] = unit, key, what
                        pool.submit(name, (unit, what))
                        open_trials[task] += tuning

        for task in tasks:
            submit(task, tuning=True)
        for task in tasks:
            if not open_trials[task]:
                submit(task, tuning=False)
        for outcome in pool:
            unit, key, what = asked[outcome.name]
            if outcome.error:
                failed[outcome.name] = outcome.error
                log = write_text(logs / f"{outcome.name}.log", outcome.log)
                say(f"failed: {outcome.name}: {outcome.error} (log: {log})")
            else:
                record = {"key": key, **what, **outcome.value, "took": outcome.seconds}
                plan.records.append(record)
                plan.have[key] = record
                bar.update()
            open_trials[unit.task] -= unit.tuning
            if unit.tuning and not open_trials[unit.task]:
                submit(unit.task, tuning=False)
    _bench.cache_clear()
    if failed:
        name, error = next(iter(failed.items()))
        raise RunError(
            f"{len(failed)} of {len(asked)} results failed, and {path} lacks "
            f"{total - plan.there()}. The first is {name}: {error}. Logs: {logs}"
        )
