"""What the leaderboard runs: kinds of models, tasks and search space, read and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from erasekit.errors import UsageError, unknown
from erasekit.leaderboard.trial import CONTROL, Trial, parts
from erasekit.settings import Settings, make_settings
from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.method import Method
from erasekit.unlearn.registry import get_method, methods_of


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
class Kind:
    """One kind of model on the leaderboard.

    Attributes:
        name: as methods name the kinds of model that they are made for.
        bench: module and class that make a result.
        space: file of the trials.
        task_field: under which name a record holds the task.
        references: what is tested beside the methods.
    """

    name: str
    bench: tuple[str, str]
    space: str
    task_field: str
    references: tuple[str, ...]

    @property
    def methods(self) -> Mapping[str, type[Method]]:
        """Every method by its name."""
        return methods_of(self.name)

    def written(self, trial: Trial) -> Trial:
        """A trial as the records of this kind write it."""
        return {"options": {}, **trial} if self.name == "clip" else trial

    def method(self, name: str) -> type[Method]:
        """A method by its name.

        Raises:
            UsageError: for one that does not exist, or is made for another kind of model.
        """
        method = get_method(name)
        method.check_kind(self.name)
        return method


CLIP = Kind(
    name="clip",
    bench=("erasekit.leaderboard.clip_bench", "ClipBench"),
    space="search_space.yaml",
    task_field="task",
    references=("original", "oracle-0", "oracle-1", "oracle-2", CONTROL),
)
LANGUAGE = Kind(
    name="language",
    bench=("erasekit.leaderboard.answer_bench", "AnswerBench"),
    space="search_space_multimodal.yaml",
    task_field="forget",
    references=("original", "oracle", CONTROL),
)


@cache
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


def task_of(kind: Kind, profile: str, name: str) -> Task:
    """A task by its name; of a language model it is what must be forgotten."""
    return tasks_of(profile)[name] if kind == CLIP else Task(name, name, (name,))


@cache
def search_space(kind: Kind = CLIP) -> dict[str, tuple[Trial, ...]]:
    """The trials of the methods that have any, equally many for each; checked whole.

    Raises:
        UsageError: when the file names what does not exist, or budgets differ.
    """
    text = Path(__file__).with_name(kind.space).read_text(encoding="utf-8")
    return read_search_space(yaml.safe_load(text), kind)


def read_search_space(value: Mapping[str, Any], kind: Kind = CLIP) -> dict[str, tuple[Trial, ...]]:
    """See `search_space`."""
    space: dict[str, tuple[Trial, ...]] = {}
    for name, trials in value["methods"].items():
        method = kind.method(name)
        if len(trials) != value["trials"]:
            raise UsageError(
                f"search space: {name} has {len(trials)} trials, and the budget of each method "
                f"is {value['trials']}"
            )
        for trial in trials:
            options, fields = parts(trial)
            EraseSpec().with_fields(**fields)
            method.build(options, kind.name)
        space[name] = tuple(map(kind.written, trials))
    return space


def trials_of(kind: Kind, method: str) -> tuple[Trial, ...]:
    """What is tried of a method: its trials, or its defaults once if it has none."""
    return search_space(kind).get(method, (kind.written({}),))


def untuned(kind: Kind, methods: Iterable[str]) -> list[str]:
    """A paragraph that names the methods without trials; none where there are none."""
    names = [name for name in methods if name not in search_space(kind)]
    if not names:
        return []
    whose = "its" if len(names) == 1 else "their"
    return [f"Not tuned, but tested with {whose} defaults: {', '.join(names)}."]


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


def pick_methods(wanted: Sequence[str], kind: Kind = CLIP) -> list[str]:
    """Methods by name without the control, which always runs; ``all`` for every one.

    Raises:
        UsageError: for a method that does not exist, or has no trials to tune it by.
    """
    names = list(kind.methods) if list(wanted) == ["all"] else list(dict.fromkeys(wanted))
    for name in names:
        kind.method(name)
    return [name for name in names if name != CONTROL]


def settings_of(
    profile: str, task: Task, seed: int, kind: Kind = CLIP, threads: int = 1
) -> Settings:
    """The settings of one task's experiment."""
    return make_settings(profile, kind=kind.name, forget=task.forget, seed=seed, threads=threads)
