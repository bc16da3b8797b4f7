"""Manifest of a run folder: detects files that changed since erasekit wrote them.

`manifest.json` holds the sha256 of each input and output file of a run. It is written last, and
marks the run as complete. `provenance.json` repeats parameters and task, so that a changed entry
can be named, and the sha256 of the request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from erasekit.checks import read_record
from erasekit.errors import RunError, UsageError, reason
from erasekit.files import read_json, sha256_file, sha256_json, write_json
from erasekit.text import shown

if TYPE_CHECKING:
    from erasekit.experiment.base_experiment import BaseExperiment

MANIFEST = "manifest.json"
VERSION = 1
PARAMS = "params.json"
PROVENANCE = "provenance.json"
HISTORY = "history.csv"
SCORECARD = "scorecard.json"
MODEL = "model"
FIGURES = "figures"
#: The forget request, if it is a rule or a list of pictures.
REQUEST = "request.json"
AUDIT = "audit.json"
_EVIDENCE = {PARAMS, REQUEST, PROVENANCE, HISTORY, MODEL, FIGURES, SCORECARD, AUDIT}


@dataclass(frozen=True)
class _Manifest:
    files: dict[str, str]


def covered_files(folder: Path, counts: Callable[[PurePath], bool]) -> dict[str, str]:
    """Return the sha256 of each file below `folder` by relative path, except hidden files.

    Args:
        counts: whether to include a file, given its path in the folder.

    Raises:
        UsageError: for a link.
        RunError: when a file cannot be read.
    """
    hashes = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if any(part[0] == "." for part in name.parts) or not counts(name):
            continue
        if file.is_symlink():
            raise UsageError(f"{file} is a link, which may lead anywhere: put a copy there")
        if file.is_file():
            try:
                hashes[name.as_posix()] = sha256_file(file)
            except OSError as error:
                raise RunError(f"cannot read {file}: {reason(error)}") from error
    return hashes


def changes(recorded: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Return the status of each file that differs: changed, missing or added."""
    return {
        name: "missing" if name not in now else "changed" if name in recorded else "added"
        for name in sorted(recorded.keys() | now.keys())
        if recorded.get(name) != now.get(name)
    }


def write_manifest(folder: Path) -> None:
    write_json(folder / MANIFEST, {"version": VERSION, "files": covered_files(folder, _counts)})


def read_manifest(folder: Path) -> dict[str, str]:
    """Read the recorded sha256 of each file.

    Raises:
        RunError: when the manifest is damaged.
    """
    return read_record(folder / MANIFEST, "a manifest", VERSION, _Manifest).files


def check_files(folder: Path) -> None:
    """Compare a complete run with its manifest, and its records with each other.

    Raises:
        UsageError: for a link, or a file that differs (names the first one and the difference).
        RunError: when a file cannot be read.
    """
    for name, what in changes(read_manifest(folder), covered_files(folder, _counts)).items():
        differs = _contradiction(folder, name) if what == "changed" else ""
        mend = "remove it" if what == "added" else "put it back as it was, or erase again"
        told = f" ({differs})" if differs else ""
        raise UsageError(f"{folder / name}: {what} since the run was made{told}: {mend}")
    for name in (PROVENANCE, PARAMS, SCORECARD, REQUEST):
        if differs := _contradiction(folder, name):
            raise UsageError(
                f"{folder / name} is not of this run ({differs}): "
                "put it back as it was, or erase again"
            )


def check_models(folder: Path, experiment: BaseExperiment, models: Mapping[str, Any]) -> None:
    """Refuse to evaluate a run if its task or its models are not the recorded ones.

    Args:
        experiment: the experiment as rebuilt from the parameters of the run.
        models: models by name that are evaluated with the erased one.

    Raises:
        UsageError: for a difference; names it.
    """
    made = read_json(folder / PROVENANCE)
    task = json.loads(json.dumps(experiment.task.describe()))
    if differs := difference(task, made["task"], PROVENANCE):
        raise UsageError(
            f"the data of {folder} are not what they were ({differs}): "
            "put them back as they were, or erase again"
        )
    for name, clip in models.items():
        if clip.fingerprint() != made["models"].get(name):
            raise UsageError(
                f"the {name} model that {folder / PARAMS} makes here is not the one in "
                f"{PROVENANCE}: use the machine, cache and version that made the run, or "
                f"give {folder / MODEL} as --model"
            )


def placeless(params: Mapping[str, Any]) -> dict[str, Any]:
    """Replace each path in the parameters by a hash, so that they can be published."""

    def kept(value: Any) -> Any:
        if isinstance(value, Mapping):
            return placeless(value)
        is_path = isinstance(value, str) and ("/" in value or "\\" in value)
        return sha256_json(value) if is_path else value

    return {name: kept(value) for name, value in params.items()}


def difference(there: Mapping[str, Any], wanted: Mapping[str, Any], where: str) -> str:
    """Describe the first two entries that differ; empty if there are none.

    Args:
        where: source of the other values, for the text.
    """
    old, new = ({**p, **p.get("options", {}), "options": None} for p in (there, wanted))
    names = [name for name in {**new, **old} if old.get(name) != new.get(name)]
    said = [
        f"{name} is {shown(repr(old.get(name)))} there, {shown(repr(new.get(name)))} in {where}"
        for name in names[:2]
    ]
    return "; ".join(said) + (f"; and {len(names) - 2} more" if len(names) > 2 else "")


def _counts(name: PurePath) -> bool:
    return name.parts[0] in _EVIDENCE


def _contradiction(folder: Path, name: str) -> str:
    """Describe the entry of a file that contradicts `provenance.json`; empty if there is none."""
    try:
        made = read_json(folder / PROVENANCE)
        if name == PROVENANCE:
            whole = all(isinstance(made[key], dict) for key in ("models", "parameters", "task"))
            return "" if whole else "it is damaged"
        if name == PARAMS:
            return difference(placeless(read_json(folder / name)), made["parameters"], PROVENANCE)
        if name == SCORECARD:
            task = read_json(folder / name)["task"]
            return difference(
                {key: task.get(key) for key in made["task"]}, made["task"], PROVENANCE
            )
        if name == REQUEST:
            asked = sha256_json(read_json(folder / name)) if (folder / name).exists() else None
            right = asked == made.get("request", asked)  # earlier versions did not write it
            return "" if right else f"its sha256 is not the one in {PROVENANCE}"
    except (RunError, KeyError, TypeError, AttributeError):
        return f"it or {PROVENANCE} is damaged"
    return ""
