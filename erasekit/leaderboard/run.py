"""Run the benchmark: tune every method alike on validation, then test each once a seed.

A unit is one task and one seed, so that its models are loaded once. Units run in processes
of their own with one thread each, as many at once as there are cores, and append every
result as it comes; what is there already is not run again.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from erasekit.errors import ErasekitError
from erasekit.leaderboard.plan import (
    CONTROL,
    Task,
    Trial,
    expected_gap,
    search_space,
    settings_of,
    tasks_of,
)
from erasekit.leaderboard.records import Records, key_of
from erasekit.processes import end_children
from erasekit.progress import progress_bar

#: Seeds of the oracles that every seed's results are held against.
ORACLES = (0, 1, 2)
#: The seed on which methods are tuned.
TUNING_SEED = 0
ORIGINAL, ORACLE = "original", "oracle"
#: What is kept of a scorecard: the measures of the average gap, and what stands beside it.
BESIDE = (
    ("similarity", "forget"),
    ("similarity", "neighbours"),
    ("similarity", "retain"),
    ("similarity", "holdout"),
    ("top1_among_forgotten", "forget"),
    ("recall@1", "forget"),
)
#: The audit's relearning, in its cheapest form that says something.
_RELEARNING = {"pairs": (4,), "repeats": 1, "checkpoints": (2, 4, 8), "learning_rate": 5e-4}


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

    def wanted(self, records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """What this unit makes, by key; the best trials must be known for a test.

        Args:
            records: what there is already; the best trials are found in it.
        """
        found: list[dict[str, Any]] = []
        common = {
            "profile": self.profile,
            "task": self.task,
            "seed": self.seed,
            "split": "validation" if self.tuning else "test",
        }
        if self.tuning:
            for method in self.methods:
                found += [
                    {**common, "method": method, "trial": trial.as_dict()}
                    for trial in search_space()[method]
                ]
        else:
            references = [ORIGINAL, *(f"{ORACLE}-{seed}" for seed in ORACLES), CONTROL]
            found += [{**common, "method": name, "trial": {}} for name in references]
            for method in self.methods:
                best = best_trial(self, method, records)
                found.append({**common, "method": method, "trial": best.as_dict()})
        settings = asdict(settings_of(self.profile, tasks_of(self.profile)[self.task], self.seed))
        settings.pop("draws")
        return {key_of({**what, "settings": settings}): what for what in found}


def best_trial(unit: Unit, method: str, records: Sequence[Mapping[str, Any]]) -> Trial:
    """The trial with the least expected gap on validation; the first of several.

    Args:
        unit: a test of the task; its tuning is looked up.
        records: the results of the tuning.
    """
    tuning = replace(unit, tuning=True, seed=TUNING_SEED, methods=(method,))
    gaps = {record["key"]: record.get("expected_gap") for record in records}
    order = [_or_worst(gaps.get(key)) for key in tuning.wanted(())]
    return search_space()[method][order.index(min(order))]


def _or_worst(gap: float | None) -> float:
    return math.inf if gap is None else gap


def run_benchmark(
    profile: str,
    methods: Sequence[str],
    tasks: Sequence[str],
    seeds: Sequence[int],
    path: Path,
    *,
    jobs: int | None = None,
    progress: bool = True,
) -> Records:
    """Run whatever is not in the records yet.

    Args:
        profile: benchmark or smoke.
        methods, tasks: names.
        seeds: of the tests; tuning always takes seed 0.
        path: the file of records.
        jobs: processes at once; one a core by default.

    Raises:
        RunError: when the records are damaged.
    """
    records = Records(path)
    jobs = jobs or os.cpu_count() or 1
    names = tuple(methods)
    tunings = [Unit(profile, task, TUNING_SEED, names, tuning=True) for task in tasks]
    tests = [Unit(profile, task, seed, names, tuning=False) for task in tasks for seed in seeds]
    total = len(tunings) * len(names) * len(next(iter(search_space().values())))
    total += len(tests) * (len(names) + 2 + len(ORACLES))
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
    look: Any,
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
    bench = _Bench(unit)
    for key, what in missing.items():
        with bench.experiment.running():
            result = bench.result(what)
        records.append({"key": key, **what, **result})


class _Bench:
    """The models of one task and seed, and what is measured on them."""

    def __init__(self, unit: Unit) -> None:
        from erasekit.experiment.clip_experiment import Experiment

        self.unit = unit
        self.task: Task = tasks_of(unit.profile)[unit.task]
        settings = settings_of(unit.profile, self.task, unit.seed)
        self.experiment = Experiment(settings, progress=False)

    @cached_property
    def oracles(self) -> dict[str, Any]:
        """By name; the same seeds whatever the unit's seed is."""
        from erasekit.experiment.clip_experiment import Experiment

        settings = settings_of(self.unit.profile, self.task, ORACLES[0])
        models = Experiment(settings, progress=False).oracles(len(ORACLES))
        return {f"{ORACLE}-{seed}": model for seed, model in zip(ORACLES, models, strict=True)}

    @cached_property
    def retraining_seconds(self) -> float:
        from erasekit.experiment.clip_experiment import COST_FILE
        from erasekit.files import read_json

        which = "cpu_seconds" if self._on_cpu else "seconds"
        costs = [read_json(oracle.folder / COST_FILE)[which] for oracle in self.oracles.values()]
        return sum(costs) / len(costs)

    @property
    def _on_cpu(self) -> bool:
        return self.experiment.device.type == "cpu"

    @cached_property
    def requests(self) -> list[Any]:
        """An erasure task for each request; what went earlier is in neither of its sets."""
        from erasekit.data.task import ErasureTask

        return [
            ErasureTask(
                self.experiment.world,
                request,
                gone=self.task.requests[:place],
                scenes_only=self.task.scenes_only,
            )
            for place, request in enumerate(self.task.requests)
        ]

    @cached_property
    def judged(self) -> Any:
        """What the results are measured on: all that must be gone in the end."""
        from erasekit.data.task import ErasureTask

        return ErasureTask(
            self.experiment.world, self.task.forget, scenes_only=self.task.scenes_only
        )

    def result(self, what: Mapping[str, Any]) -> dict[str, Any]:
        """Make one result: a model, its measures, and what it cost.

        A method that fails is a result; what fails besides (a cache that cannot be written, a
        damaged oracle) is none, and stops the run.
        """
        name = what["method"]
        cost: dict[str, Any] = {"seconds": None, "steps": None, "peak_mb": None}
        if name == ORIGINAL:
            model = self.experiment.original
        elif name.startswith(f"{ORACLE}-"):
            model = self.oracles[name]
        else:
            original = self.experiment.original
            try:
                model, cost = self.erase(original, name, what["trial"])
            except ErasekitError as error:
                return {"failed": str(error), "metrics": None, "expected_gap": None}
        metrics = self.measure(model, what["split"])
        found: dict[str, Any] = {"failed": None, "metrics": metrics, **cost}
        if self.unit.tuning:
            from erasekit.evaluate.scorecard import AVERAGE_GAP

            original = self.original_metrics
            found["expected_gap"] = expected_gap(metrics, original, AVERAGE_GAP)
        else:
            found["retraining_seconds"] = self.retraining_seconds
        return found

    def erase(
        self, original: Any, name: str, trial: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Carry out every request with one method; the model, and its cost in all.

        Seconds are of the processor where it does the work, so that what else it has to do at
        the time does not count.
        """
        from erasekit.unlearn.engine import erase
        from erasekit.unlearn.registry import get_method

        method = get_method(name).build(dict(trial.get("options", {})), "clip")
        spec = replace(
            self.experiment.erase_spec, **{k: v for k, v in trial.items() if k != "options"}
        )
        model, steps = original, 0
        clock = time.process_time if self._on_cpu else time.perf_counter
        began = clock()
        _reset_peak()
        # The control is the original trained on with all that stays, once.
        for task in [self.judged] if name == CONTROL else self.requests:
            erasure = erase(model, task, method, spec, progress=False)
            model = erasure.model
            steps += erasure.steps
        return model, {"seconds": clock() - began, "steps": steps, "peak_mb": _peak()}

    @cached_property
    def original_metrics(self) -> dict[str, float]:
        return self.measure(self.experiment.original, "validation")

    def measure(self, model: Any, split: str) -> dict[str, float]:
        """Every measure of one model by ``metric_subset``; relearning on test alone."""
        from erasekit.audit.attacks.relearning import relearning
        from erasekit.evaluate.scorecard import AVERAGE_GAP, evaluate

        original, draws = self.experiment.original, self.experiment.settings.draws
        card = evaluate(
            self.judged, {ORIGINAL: original, "erased": model}, split=split, draws=draws
        )
        found = {f"{m}_{s}": card.value("erased", m, s) for m, s in (*AVERAGE_GAP, *BESIDE)}
        if split == "test":
            measures = relearning(
                {"erased": model}, self.experiment.task, split=split, draws=draws, **_RELEARNING
            ).measures
            found["relearning"] = next(m.estimate.value for m in measures if m.metric == "area")
        return found


def _reset_peak() -> None:
    """Let the kernel forget the highest memory use so far, where it can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float | None:
    """Highest memory use since `_reset_peak`, in MB; None where it is not told."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return round(int(line.split()[1]) / 1024, 1)
    return None
