"""CLIPErase's published experiments run again, each beside the control that the paper lacks.

`reproduction.yaml` says what is reported, what is left open and what is taken instead. Where data
or weights are absent a stand-in takes their place (`runs.stand_ins`): the same code on small
drawings, whose numbers are comparable with nothing.

The published set-up was never run where this was built: neither data nor weights could be fetched
there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from erasekit.data.folder.check import read_folder
from erasekit.data.folder.selection import parse_rule, select
from erasekit.data.published.cc12m import INDEX
from erasekit.data.published.common import PAIRS
from erasekit.data.worlds import SPLITS
from erasekit.errors import UsageError, unknown
from erasekit.evaluate.retrieval import DIRECTIONS
from erasekit.experiment.clip_experiment import load
from erasekit.files import read_json
from erasekit.frames import records
from erasekit.models.model_name import Named, OnHub, check_model
from erasekit.runs.provenance import provenance
from erasekit.runs.run_folder import PROVENANCE, RunFolder, describe, run_erase
from erasekit.settings import PROFILES, Settings, make_settings
from erasekit.tutorial.stand_ins import GROUP, stand_in

#: The models of a reproduction; the last one is the fine-tune alone.
MODELS = ("original", "erased", "control")
SUBSETS = ("forget", "retain")
METRICS = ("top1", "recall@1", "recall@5", "recall@10")
#: The profile that is the published set-up; in any other stand-ins run throughout.
PAPER = "paper"
# Of a run: how it is computed, and not what.
_FREE = ("threads", "device", "precision")
_MARKED = re.compile(r"(\d+(?:\.\d+)?) \(2nd\)")


@dataclass(frozen=True)
class Published:
    """One published experiment.

    Attributes:
        name: also of its data's folder.
        script: of ``data_scripts/``, which writes that folder.
        forget: the rule.
        settings: in place of the profile's.
        metric, direction: our measure that is held against the reported one.
        measured: why it is this one.
        reported: in points, by model and subset, from secondary notes.
        tolerance: in points, by subset; None where none can be stated.
        why_tolerance: its reason.
    """

    name: str
    title: str
    script: str
    forget: str
    settings: Mapping[str, Any]
    metric: str
    direction: str
    measured: str
    reported: Mapping[tuple[str, str], float]
    tolerance: Mapping[str, float | None]
    why_tolerance: str


@dataclass(frozen=True)
class Prepared:
    """An experiment that is ready to run.

    Attributes:
        settings: with the first seed.
        absent: why a stand-in runs; empty for the published set-up.
    """

    published: Published
    settings: Settings
    absent: str = ""

    @property
    def title(self) -> str:
        return f"{self.published.title} (stand-in)" if self.absent else self.published.title

    @property
    def folder(self) -> str:
        """Name of the folder with its runs: a stand-in's never take the others' place."""
        return f"{self.published.name}-stand-in" if self.absent else self.published.name


@dataclass(frozen=True)
class Reproduced:
    """An experiment with its whole runs, one a seed."""

    prepared: Prepared
    runs: Sequence[RunFolder] = field(default_factory=list)


# What the file says


@lru_cache(maxsize=1)
def published() -> dict[str, Published]:
    """The experiments by name, checked whole.

    Raises:
        UsageError: as `read_experiments`.
    """
    return read_experiments(_file())


def left_open() -> pd.DataFrame:
    """What the paper did and what it left open: a line a choice, columns reported and here."""
    rows = [_exactly(line, ("asks", "said", "here"), "open") for line in _file()["open"]]
    frame = pd.DataFrame(rows).set_index("asks")
    return frame.rename(columns={"said": "reported"}).rename_axis(None)


@lru_cache(maxsize=1)
def _file() -> dict[str, Any]:
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def read_experiments(value: Mapping[str, Any]) -> dict[str, Published]:
    """See `published`.

    Raises:
        UsageError: for what is missing or unknown, a value without its mark (2nd), a rule or a
            setting that does not exist.
    """
    value = _exactly(value, ("open", "experiments"), "reproduction")
    return {name: _published(name, one) for name, one in value["experiments"].items()}


def _published(name: str, value: Mapping[str, Any]) -> Published:
    keys = ("title", "script", "forget", "settings", "measure", "reported", "tolerance")
    value = _exactly(value, keys, name)
    parse_rule(value["forget"])
    make_settings(PAPER, data="folder:.", forget=value["forget"], **value["settings"])
    measure = _exactly(value["measure"], ("metric", "direction", "because"), f"{name}, measure")
    for kind, known in (("metric", METRICS), ("direction", DIRECTIONS)):
        if measure[kind] not in known:
            raise unknown(f"{kind} of {name}", measure[kind], known)
    tolerance = _exactly(value["tolerance"], (*SUBSETS, "because"), f"{name}, tolerance")
    for subset in SUBSETS:
        points = tolerance[subset]
        if points is not None and not (isinstance(points, float) and points > 0):
            raise UsageError(f"{name}: tolerance of {subset} = {points!r}: points above 0, or null")
    return Published(
        name=name,
        title=value["title"],
        script=value["script"],
        forget=value["forget"],
        settings=value["settings"],
        metric=measure["metric"],
        direction=measure["direction"],
        measured=measure["because"],
        reported=_reported(name, value["reported"]),
        tolerance={subset: tolerance[subset] for subset in SUBSETS},
        why_tolerance=tolerance["because"],
    )


def _reported(name: str, value: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    points = {}
    for model, by_subset in value.items():
        if model not in MODELS:
            raise unknown(f"model of {name}", model, MODELS)
        for subset, told in _exactly(by_subset, SUBSETS, f"{name}, {model}").items():
            marked = _MARKED.fullmatch(str(told))
            if marked is None:
                raise UsageError(
                    f"{name}, {model}, {subset} = {told!r}: a reported value is known from "
                    "secondary notes alone, and must say so, as in '12.34 (2nd)'"
                )
            points[model, subset] = float(marked[1])
    return points


def _exactly(value: Any, keys: Sequence[str], place: str) -> Mapping[str, Any]:
    """`value`, if it is a mapping with these keys and no other."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{place}: {value!r} must be a mapping with {', '.join(keys)}")
    for key in value:
        if key not in keys:
            raise unknown(f"key of {place}", key, keys)
    for key in keys:
        if key not in value:
            raise UsageError(f"{place}: '{key}' is missing")
    return value


# What is there


def data_here(folder: Path | str) -> bool:
    """Whether a script of ``data_scripts/`` has written its folder whole."""
    return any((Path(folder).expanduser() / name).is_file() for name in (PAIRS, INDEX))


def weights_here(model: str, pretrained: str = "") -> bool:
    """Whether a CLIP's weights are on this disk, so that nothing would be fetched.

    Raises:
        UsageError: for a name that nobody knows.
    """
    match check_model(model, pretrained or None):
        case OnHub(repository):
            return _in_hub_cache(repository)
        case Named(architecture, str(tag)):
            import open_clip

            told = open_clip.get_pretrained_cfg(architecture, tag)
            if hub := told.get("hf_hub"):
                return _in_hub_cache("/".join(hub.split("/")[:2]))
            url = told.get("url", "")
            return bool(url) and (Path("~/.cache/clip").expanduser() / Path(url).name).is_file()
    return True  # a folder or a file, which the check has found


def _in_hub_cache(repository: str) -> bool:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, local_files_only=True))
    except LocalEntryNotFoundError:
        return False
    return any(path.suffix in (".safetensors", ".bin", ".pt") for path in folder.iterdir())


def why_absent(one: Published, profile: str, data: Path | str, model: str = "") -> str:
    """Why the published set-up cannot run, in a sentence; empty if it can.

    Args:
        profile: of the notebook.
        data: the folder that holds the data sets' folders.
        model: named by the user, who wants it fetched if need be; empty for the experiment's.
    """
    if profile != PAPER:
        return f"profile {profile} is for small stand-ins"
    folder = Path(data) / one.name
    if not data_here(folder):
        return f"{folder} is not there: data_scripts/{one.script} writes it"
    usual = {**PROFILES[PAPER], **one.settings}
    if not model and not weights_here(usual["model"], usual["pretrained"]):
        name = f"{usual['model']}:{usual['pretrained']}"
        return f"the weights of {name} are not here: model={name} fetches them"
    return ""


# Running


def prepare(
    profile: str,
    *,
    data: Path | str = "data",
    forget: str = "",
    model: str = "",
    **given: Any,
) -> list[Prepared]:
    """Every experiment with its settings: the published set-up, or a stand-in and why.

    Args:
        profile: ``paper``; in others stand-ins run throughout.
        data: the folder that holds ``cifar100/``, ``flickr30k/`` and ``cc12m/``.
        forget: a rule in place of the experiments' own.
        model: a CLIP in place of the experiments' own.
        given: any other parameter, in place of each experiment's own.

    Raises:
        UsageError: for parameters that do not fit, and a model that nobody knows.
        RunError: when the cache cannot be written.
    """
    small = "default" if profile == PAPER else profile
    if model:
        check_model(model)
    prepared, embedded = [], None
    for one in published().values():
        absent = why_absent(one, profile, data, model)
        if absent:
            embedded = embedded or load(small, forget=GROUP, **given)
            values = stand_in(embedded, one.name)
            # It shows that the way is sound, which half of the steps do as well.
            values["steps"] = max(1, values["steps"] // 2)
        else:
            values = {"data": f"folder:{Path(data) / one.name}", "forget": one.forget}
            values |= {**one.settings, **({"model": model, "pretrained": ""} if model else {})}
        asked = {**given, **({"forget": forget} if forget else {})}
        settings = make_settings(small if absent else PAPER, **{**values, **asked})
        prepared.append(Prepared(one, settings, absent))
    return prepared


def reproduce(
    prepared: Prepared, out: Path | str, seeds: int = 1, *, progress: bool = True
) -> Reproduced:
    """Run an experiment, erased and control, over seeds.

    A run that is whole is taken as it is, and one that was interrupted goes on. A stand-in's,
    which costs seconds, is made again if its parameters or erasekit's code were others.

    Args:
        out: receives the run folders, ``NAME/seed-N``.
        seeds: how many, from the settings' own on.

    Raises:
        UsageError: for a folder with a run of other parameters.
        RunError: when a run cannot go on; what was reached is kept.
    """
    if seeds < 1:
        raise UsageError(f"seeds = {seeds}: must be at least 1")
    runs = []
    for seed in range(prepared.settings.seed, prepared.settings.seed + seeds):
        settings = dataclasses.replace(prepared.settings, seed=seed)
        path = Path(out) / prepared.folder / f"seed-{seed}"
        taken = _whole(path, settings, bool(prepared.absent))
        runs.append(
            taken
            or run_erase(
                settings, path, oracle=False, overwrite=bool(prepared.absent), progress=progress
            )
        )
    return Reproduced(prepared, runs)


def _whole(path: Path, settings: Settings, again: bool) -> RunFolder | None:
    """The whole run that is there; None if there is none, or it had better be made again."""
    run = RunFolder(path)
    if not run.whole:
        return None
    wanted, there = describe(settings, oracle=False), run.params
    others = [k for k in wanted if k not in _FREE and there.get(k) != wanted[k]]
    if again and (others or read_json(path / PROVENANCE).get("code") != provenance()["code"]):
        return None
    if others:
        raise UsageError(
            f"{path} holds a run of other parameters ({others[0]} is {there.get(others[0])!r} "
            "there): give another folder as out, or those parameters"
        )
    return run


# What came out


def splits_table(prepared: Sequence[Prepared]) -> pd.DataFrame:
    """A line a data set and split: pairs to forget and to retain, and how many pictures."""
    lines = {}
    for each in prepared:
        pairs = read_folder(each.settings.data, progress=False)
        gone = select(pairs, each.settings.forget)
        for code, split in enumerate(SPLITS):
            mine = pairs.split.codes == code
            lines[each.title, split] = {
                "pictures": len(np.unique(pairs.picture[mine])),
                "forget": int((mine & gone).sum()),
                "retain": int((mine & ~gone).sum()),
            }
    return pd.DataFrame.from_dict(lines, orient="index")


def setup_table(results: Sequence[Reproduced]) -> pd.DataFrame:
    """A line a data set: what ran there, for how many steps and seeds, and on what."""
    lines = {}
    for each in results:
        run, settings = each.runs[0], each.prepared.settings
        record = read_json(run.path / PROVENANCE)
        device = record["device"]
        lines[each.prepared.title] = {
            "set-up": each.prepared.absent or "as published",
            "model": "small" if each.prepared.absent else settings.model,
            "forget": settings.forget,
            "steps": run.scorecard.cost["erased"]["steps"],
            "seeds": len(each.runs),
            "ran on": record["processor"] if device == "cpu" else device,
        }
    return pd.DataFrame.from_dict(lines, orient="index")


def numbers(results: Sequence[Reproduced]) -> pd.DataFrame:
    """Reported against ours, in points.

    Returns:
        indexed by (name, model, subset); columns title, measure, comparable, reported, ours (the
        mean over seeds), deviation (of a sample), seeds, difference, tolerance, within. What is
        not known, or not comparable, is missing.
    """
    lines = {}
    for each in results:
        one, comparable = each.prepared.published, not each.prepared.absent
        cards = [run.scorecard for run in each.runs]
        for model in MODELS:
            for subset in SUBSETS:
                found = 100 * np.array(
                    [card.value(model, one.metric, subset, one.direction) for card in cards]
                )
                reported = one.reported.get((model, subset), np.nan)
                difference = found.mean() - reported if comparable else np.nan
                known = comparable and not np.isnan(difference)
                tolerance = one.tolerance[subset] if known else None
                lines[one.name, model, subset] = {
                    "title": each.prepared.title,
                    "measure": f"{one.metric} {one.direction.replace('_', ' ')}",
                    "comparable": comparable,
                    "reported": reported,
                    "ours": found.mean(),
                    "deviation": found.std(ddof=1) if len(found) > 1 else np.nan,
                    "seeds": len(found),
                    "difference": difference,
                    "tolerance": np.nan if tolerance is None else tolerance,
                    "within": None if tolerance is None else bool(abs(difference) <= tolerance),
                }
    frame = pd.DataFrame.from_dict(lines, orient="index")
    return frame.rename_axis(["name", "model", "subset"])


def table(found: pd.DataFrame) -> pd.DataFrame:
    """`numbers` as a person reads them: a line a data set, model and subset; cells are text."""
    lines = {}
    for line in records(found.reset_index()):
        within = {True: "yes", False: "no"}.get(line.within, "")
        spread = "" if np.isnan(line.deviation) else f" ± {line.deviation:.2f}"
        lines[line.title, line.model, line.subset] = {
            "measure": line.measure,
            "reported": "" if np.isnan(line.reported) else f"{line.reported:.2f} (2nd)",
            "ours": f"{line.ours:.2f}{spread}",
            "seeds": line.seeds,
            "difference": "" if np.isnan(line.difference) else f"{line.difference:+.2f}",
            "tolerance": "" if np.isnan(line.tolerance) else f"± {line.tolerance:g}",
            "within tolerance": within if line.comparable else "not comparable: a stand-in",
        }
    return pd.DataFrame.from_dict(lines, orient="index")


def reasons_table() -> pd.DataFrame:
    """A line a data set: which of our measures is held against the paper's, and the tolerance."""
    lines = {
        one.title: {
            "measure": f"{one.metric} {one.direction.replace('_', ' ')}",
            "why this one": one.measured,
            "tolerance": one.why_tolerance,
        }
        for one in published().values()
    }
    return pd.DataFrame.from_dict(lines, orient="index")


def values(found: pd.DataFrame) -> dict[str, float]:
    """Ours in points by ``name_subset_model``; ``name_retain_gain_model`` over the original."""
    ours: dict[Any, float] = found["ours"].to_dict()
    told = {f"{name}_{subset}_{model}": x for (name, model, subset), x in ours.items()}
    for name, model, subset in ours:
        if model != "original" and subset == "retain":
            gain = ours[name, model, subset] - ours[name, "original", subset]
            told[f"{name}_retain_gain_{model}"] = gain
    return told
