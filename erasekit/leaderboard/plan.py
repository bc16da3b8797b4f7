"""What the benchmark runs: tasks and search space, read from their files and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from erasekit.errors import UsageError, unknown
from erasekit.settings import Settings, make_settings
from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.registry import get_method, methods_of

CONTROL = "fine_tune"


@dataclass(frozen=True)
class Task:
    """One thing to ask of every method.

    Attributes:
        title: in words.
        requests: each an erasure; several are carried out one after another.
        scenes_only: the forget set holds scenes, and no picture of the concept alone.
    """

    name: str
    title: str
    requests: tuple[str, ...]
    scenes_only: bool = False

    @property
    def forget(self) -> str:
        """Everything that is gone in the end."""
        return ", ".join(self.requests)


@dataclass(frozen=True)
class Trial:
    """One candidate of a method's settings.

    Attributes:
        options: of the method, in place of its defaults.
        spec: fields of `EraseSpec`, in place of the profile's.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"options": dict(self.options), **self.spec}


@lru_cache(maxsize=1)
def _tasks() -> dict[str, dict[str, Task]]:
    text = Path(__file__).with_name("tasks.yaml").read_text(encoding="utf-8")
    return {
        profile: {
            name: Task(name, one["title"], tuple(one["requests"]), one.get("scenes_only", False))
            for name, one in tasks.items()
        }
        for profile, tasks in yaml.safe_load(text).items()
    }


def tasks_of(profile: str) -> dict[str, Task]:
    """The tasks of a profile by name.

    Raises:
        UsageError: for a profile that has none.
    """
    tasks = _tasks()
    if profile not in tasks:
        raise UsageError(f"profile '{profile}' has no benchmark: choose from {', '.join(tasks)}")
    return tasks[profile]


@lru_cache(maxsize=1)
def search_space() -> dict[str, tuple[Trial, ...]]:
    """The trials of each method that is tuned, equally many for each; checked whole.

    Raises:
        UsageError: when the file names what does not exist, or budgets differ.
    """
    text = Path(__file__).with_name("search_space.yaml").read_text(encoding="utf-8")
    value = yaml.safe_load(text)
    return read_search_space(value)


def read_search_space(value: Mapping[str, Any]) -> dict[str, tuple[Trial, ...]]:
    """See `search_space`."""
    space: dict[str, tuple[Trial, ...]] = {}
    for name, entries in value["methods"].items():
        method = get_method(name)
        if len(entries) != value["trials"]:
            raise UsageError(
                f"search space: {name} has {len(entries)} trials, and the budget of each method "
                f"is {value['trials']}"
            )
        trials = []
        for entry in entries:
            spec = {k: v for k, v in entry.items() if k != "options"}
            for key in spec:
                if key not in EraseSpec.__dataclass_fields__:
                    raise unknown(f"field of {name}'s trial", key, EraseSpec.__dataclass_fields__)
            EraseSpec(**spec)
            options = dict(entry.get("options", {}))
            method.build(options, "clip")
            trials.append(Trial(options, spec))
        space[name] = tuple(trials)
    return space


def pick_tasks(profile: str, wanted: Sequence[str]) -> list[Task]:
    """Tasks by name; ``all`` for every one.

    Raises:
        UsageError: for a task that the profile does not have.
    """
    tasks = tasks_of(profile)
    if list(wanted) == ["all"]:
        return list(tasks.values())
    for name in wanted:
        if name not in tasks:
            raise unknown("task", name, tasks)
    return [tasks[name] for name in dict.fromkeys(wanted)]


def pick_methods(wanted: Sequence[str]) -> list[str]:
    """Methods by name without the control, which always runs; ``all`` for all that have trials.

    Raises:
        UsageError: for a method that does not exist, or has no trials to tune it by.
    """
    tuned = search_space()
    if list(wanted) == ["all"]:
        return [name for name in methods_of("clip") if name in tuned]
    names = [name for name in dict.fromkeys(wanted) if name != CONTROL]
    for name in names:
        get_method(name).check_kind("clip")
        if name not in tuned:
            raise UsageError(f"{name} has no trials: add some to leaderboard/search_space.yaml")
    return names


def settings_of(profile: str, task: Task, seed: int) -> Settings:
    """The settings of one task's experiment."""
    return make_settings(profile, forget=task.forget, seed=seed, threads=1)


#: What the tuning takes for the oracle, which no method may see: nothing is known of the
#: forgotten, a member is not told from a stranger, and all else is as in the original. A filter
#: that hides the forgotten names reaches exactly this, without forgetting anything.
EXPECTED = {("top1", "forget"): 0.0, ("membership_auc", "forget"): 0.5}


def expected_gap(
    metrics: Mapping[str, float], original: Mapping[str, float], average: Sequence[tuple[str, str]]
) -> float:
    """Mean distance, in points, from what retraining is expected to give.

    Args:
        metrics, original: by ``metric_subset``, of the erased and of the original model.
        average: the measures of the average gap.
    """
    distances = []
    for metric, subset in average:
        name = f"{metric}_{subset}"
        expected = EXPECTED.get((metric, subset), original[name])
        distances.append(abs(metrics[name] - expected))
    found = 100 * sum(distances) / len(distances)
    return found if math.isfinite(found) else math.inf
