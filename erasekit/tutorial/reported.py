"""What the paper on CLIPErase reports and leaves open: `reproduction.yaml`, read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from erasekit.data.folder.selection import parse_rule
from erasekit.errors import UsageError, unknown
from erasekit.evaluate.retrieval import DIRECTIONS
from erasekit.settings import make_settings
from erasekit.tutorial.wording import readable

#: The models of a reproduction; the last one is the fine-tune alone.
MODELS = ("original", "erased", "control")
SUBSETS = ("forget", "retain")
METRICS = ("top1", "recall@1", "recall@5", "recall@10")
#: The profile that is the published set-up; in any other stand-ins run throughout.
PAPER = "paper"
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


def reasons_table() -> pd.DataFrame:
    """A line a data set: what the paper reports, our measure for it, and the tolerance."""
    lines = {}
    for one in published().values():
        lines[one.title] = {
            "reported for erased (2nd)": ", ".join(
                f"{subset} {one.reported['erased', subset]:g}" for subset in SUBSETS
            ),
            "our measure": readable(
                f"{one.metric} {one.direction.replace('_', ' ')}: {one.measured}"
            ),
            "tolerance": one.why_tolerance,
        }
    return pd.DataFrame.from_dict(lines, orient="index")


@lru_cache(maxsize=1)
def _file() -> dict[str, Any]:
    text = Path(__file__).with_name("reproduction.yaml").read_text(encoding="utf-8")
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
