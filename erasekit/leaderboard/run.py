"""Run the benchmark: tune every method alike on validation, then test each once a seed.

A unit is one task and one seed, so that its models are loaded once. Units run in processes
of their own with one thread each, as many at once as there are cores, and append every
result as it comes; what is there already is not run again.
"""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from erasekit.data.data_spec import WorldSpec
from erasekit.experiment.specs import make_plan
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
from erasekit.processes import end_children
from erasekit.progress import progress_bar

#: The seed on which methods are tuned.
TUNING_SEED = 0
#: What is asked for, as it stands in a record.
_ASKED = ("profile", "seed", "split", "method", "trial")


@dataclass(frozen=True)
class Unit:
    """The results of one task and seed that one process makes.

    Attributes:
        tuning: whether trials are compared on validation; else the best ones are tested.
    """

    profile: str
    task: str
    seed: int
    methods: tuple[str, ...]
    tuning: bool
    kind: Kind = CLIP

    @property
    def case(self) -> Case:
        """What decides the models of this unit."""
        task = task_of(self.kind, self.profile, self.task)
        settings = settings_of(self.profile, task, self.seed, self.kind)
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


def run_benchmark(
    profile: str,
    methods: Sequence[str],
    tasks: Sequence[str],
    seeds: Sequence[int],
    path: Path,
    *,
    kind: Kind = CLIP,
    jobs: int | None = None,
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
        jobs: processes at once; one a core by default.

    Raises:
        RunError: when the records are damaged.
    """
    records = Records(path)
    jobs = jobs or os.cpu_count() or 1
    names = tuple(methods)
    tunings = [Unit(profile, task, TUNING_SEED, names, True, kind) for task in tasks]
    tests = [Unit(profile, task, seed, names, False, kind) for task in tasks for seed in seeds]
    total = len(tunings) * sum(len(trials_of(kind, name)) for name in names)
    total += len(tests) * (len(names) + len(kind.references))
    with progress_bar("benchmark", "result", total, show=progress) as bar:
        done = 0

        def look() -> None:
            nonlocal done
            found = records.read()
            have = {record["key"] for record in found}
            now = sum(key in have for unit in (*tunings, *tests) for key in unit.wanted(found))
            bar.update(now - done)
            done = now

        if jobs == 1:
            for unit in _in_order(tunings, tests):
                run_unit(unit, path)
                look()
            return records
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, mp_context=context) as pool:
            try:
                _run_in_pool(pool, tunings, tests, path, look)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                end_children()
                raise
    return records


def _in_order(tunings: Sequence[Unit], tests: Sequence[Unit]) -> Iterator[Unit]:
    for tuning in tunings:
        yield tuning
        yield from (test for test in tests if test.task == tuning.task)


def _run_in_pool(
    pool: ProcessPoolExecutor,
    tunings: Sequence[Unit],
    tests: Sequence[Unit],
    path: Path,
    look: Callable[[], None],
) -> None:
    """Tests of a task begin when its tuning is done."""
    running: dict[Future[None], Unit] = {pool.submit(run_unit, u, path): u for u in tunings}
    while running:
        finished, _ = wait(running, timeout=10, return_when=FIRST_COMPLETED)
        look()
        for future in finished:
            unit = running.pop(future)
            future.result()
            if unit.tuning:
                for test in tests:
                    if test.task == unit.task:
                        running[pool.submit(run_unit, test, path)] = test


def run_unit(unit: Unit, path: Path) -> None:
    """Make every result of a unit that the records do not hold."""
    records = Records(path)
    have = records.read()
    keys = {record["key"] for record in have}
    missing = {key: what for key, what in unit.wanted(have).items() if key not in keys}
    if not missing:
        return
    bench = unit.bench()
    for key, what in missing.items():
        found = bench.result(what["method"], what["trial"], what["split"])
        records.append({"key": key, **what, **found})
