"""A policy: the bounds that a run must keep, written down before anyone looks.

A policy is a YAML file with a ``name``, a ``purpose`` and a list of ``criteria``. Each
criterion has an ``id``, a sentence ``about`` it that a person reads, and a ``source``:

- ``scorecard``: ``metric`` and ``subset`` say which row, ``direction`` which way (the mean
  over directions otherwise). ``compare`` says what is compared with the bound: the
  ``value``, its ``gap`` to the oracle, its ``drop_from_original``, or ``minus_holdout``: how far
  it is above the same model's value on pictures of the same kind that it never saw.
- ``audit``: ``test`` says which test, and alone stands for the verdict of the whole test.
  With ``metric``, and ``condition`` if one is named, every row of it must keep the bound;
  ``compare`` is ``value`` or ``gap``.

One requirement each: ``at_most``, ``at_least``, or, on the audit, ``verdict_in``. Bounds
are in the units of the files: shares from 0 to 1, so that 10 points are 0.10. ``use`` takes
the ``low`` or ``high`` end of the interval in place of the value, ``model`` another model
than the erased one.

Nothing here needs torch but `check_against_audit`, which looks into the audit's tests.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from erasekit.audit.attack_registry import TESTS
from erasekit.errors import UsageError, reason, unknown

SHIPPED = Path(__file__).with_name("policies")

#: What a scorecard has; see `erasekit.evaluate.scorecard.Row`.
METRICS = (
    "top1",
    "top5",
    "top1_among_forgotten",
    "similarity",
    "recall@1",
    "recall@5",
    "recall@10",
    "rank",
    "neighbourhood_kept",
    "membership_auc",
    *("accuracy", "accuracy:name", "rouge_l", "choice", "choice:name"),
)
SUBSETS = ("forget", "neighbours", "retain", "holdout")
DIRECTIONS = (
    *("image_to_text", "text_to_image", "image_to_image", "text_to_text", "pair"),
    *("seen", "told"),
)


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One requirement; see the module for what its keys mean."""

    source: ClassVar[str]
    #: What some keys may be; the others are free text or numbers.
    choices: ClassVar[Mapping[str, Collection[str]]]

    id: str
    about: str
    model: str = "erased"
    compare: str = "value"
    use: str = "value"
    at_most: float | None = None
    at_least: float | None = None

    @property
    def of_forgetting(self) -> bool:
        """Whether it asks if something was forgotten, and not what was kept."""
        return True

    @property
    def has_original(self) -> bool:
        """Whether the original can be held to it too; it gets no verdicts."""
        return not getattr(self, "verdict_in", [])

    def as_dict(self) -> dict[str, Any]:
        """Its keys as they took effect: what `parse_policy` makes the same criterion of."""
        given = {k: v for k, v in dataclasses.asdict(self).items() if v not in (None, [])}
        return {"source": self.source, **given}

    def fault(self) -> str | None:
        """What is wrong with its keys together, in words; None if nothing is."""
        given = [
            name
            for name in ("at_most", "at_least", "verdict_in")
            if getattr(self, name, None) not in (None, [])
        ]
        if len(given) == 1:
            return None
        possible = "at_most, at_least" + (" or verdict_in" if self.source == "audit" else "")
        what = f"{' and '.join(given)} are given" if given else "it has no bound"
        return f"{what}: give one of {possible}"


@dataclass(frozen=True, kw_only=True)
class ScorecardCriterion(Criterion):
    """A requirement on a value of `scorecard.json`."""

    source: ClassVar[str] = "scorecard"
    choices: ClassVar[Mapping[str, Collection[str]]] = {
        "metric": METRICS,
        "subset": SUBSETS,
        "direction": DIRECTIONS,
        "model": ("erased", "original", "control", "oracle"),
        "compare": ("value", "gap", "drop_from_original", "minus_holdout"),
        "use": ("value", "low", "high"),
    }

    metric: str
    subset: str
    direction: str | None = None

    @property
    def of_forgetting(self) -> bool:
        return self.subset == "forget" and self.compare != "drop_from_original"

    def fault(self) -> str | None:
        if self.use != "value" and self.compare != "value":
            return f"use: {self.use} takes compare: value; a {self.compare} here has no interval"
        return super().fault()


@dataclass(frozen=True, kw_only=True)
class AuditCriterion(Criterion):
    """A requirement on a test of `audit.json`: on its verdict, or on its rows."""

    source: ClassVar[str] = "audit"
    choices: ClassVar[Mapping[str, Collection[str]]] = {
        "test": TESTS,
        "model": ("erased", "original", "oracle"),
        "compare": ("value", "gap"),
        "use": ("value", "low", "high"),
    }

    test: str
    metric: str | None = None
    condition: str | None = None
    verdict_in: list[str] = dataclasses.field(default_factory=list)

    def fault(self) -> str | None:
        if self.metric is None and not self.verdict_in:
            return "a bound takes a metric: name one, or give verdict_in for the whole test"
        if self.metric is None and (self.condition is not None or self.model != "erased"):
            return "condition and model take a metric: name one"
        if self.verdict_in and (self.compare, self.use) != ("value", "value"):
            return "compare and use go with at_most and at_least, not with verdict_in"
        return super().fault()


KINDS: dict[str, type[Criterion]] = {
    kind.source: kind for kind in (ScorecardCriterion, AuditCriterion)
}


@dataclass(frozen=True)
class Policy:
    """All criteria of one purpose.

    Attributes:
        name, purpose: for a person.
        criteria: in the order of the file.
        origin: the file, for messages.
        sha256: of the file, so that whoever has it can tell that it is this one.
    """

    name: str
    purpose: str
    criteria: tuple[Criterion, ...]
    origin: str
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "purpose": self.purpose,
            "criteria": [criterion.as_dict() for criterion in self.criteria],
        }


def policies() -> list[dict[str, Any]]:
    """The policies that erasekit ships, by the name that stands for the file."""
    return [
        {"name": path.stem, "title": policy.name, "purpose": policy.purpose}
        for path in sorted(SHIPPED.glob("*.yaml"))
        for policy in [load_policy(path)]
    ]


def load_policy(given: str | Path) -> Policy:
    """Read a policy: the name of a shipped one, or a YAML file.

    Raises:
        UsageError: when there is no such file, or it is not a policy.
    """
    path = _find(given)
    try:
        content = path.read_bytes()
        value = yaml.load(content.decode(), Loader=_Strict)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {reason(error)}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    return parse_policy(value, str(path), hashlib.sha256(content).hexdigest())


def _find(given: str | Path) -> Path:
    path, shipped = Path(given), SHIPPED / f"{given}.yaml"
    if path.name == str(given) and shipped.is_file():
        return shipped
    if not path.exists() and not path.suffix and path.name == str(given):
        names = [file.stem for file in sorted(SHIPPED.glob("*.yaml"))]
        raise unknown("policy", str(given), names, "Or give a YAML file.")
    if not path.is_file():
        raise UsageError(f"{path} is no file: give a policy as YAML, or the name of a shipped one")
    return path


class _Strict(yaml.SafeLoader):
    """YAML in which a key given twice is a fault: the looser bound could be the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"'{key}' is given twice", problem_mark=node.start_mark
                )
        return super().construct_mapping(node, deep)


def parse_policy(value: Any, origin: str, sha256: str) -> Policy:
    """A policy from plain values.

    Args:
        value: what YAML or JSON gave.
        origin: where it comes from, for messages.
        sha256: of that file.

    Raises:
        UsageError: for a key that is missing, unknown, or of the wrong kind.
    """
    if not isinstance(value, dict):
        raise UsageError(f"{origin} is not a policy: it must have name, purpose and criteria")
    _check_keys(value, ("name", "purpose", "criteria"), (), origin)
    name, purpose = (_text(value[key], key, origin) for key in ("name", "purpose"))
    if not isinstance(value["criteria"], list) or not value["criteria"]:
        raise UsageError(f"{origin}: criteria must be a list of one criterion or more")
    criteria: list[Criterion] = []
    for number, entry in enumerate(value["criteria"], 1):
        criterion = _criterion(entry, origin, number)
        if criterion.id in [other.id for other in criteria]:
            raise UsageError(f"{origin}: two criteria have the id '{criterion.id}'")
        criteria.append(criterion)
    return Policy(name, purpose, tuple(criteria), origin, sha256)


def _criterion(value: Any, origin: str, number: int) -> Criterion:
    if not isinstance(value, dict):
        raise UsageError(f"{origin}: criterion {number} must have keys, such as id and source")
    named = value.get("id")
    where = f"{origin}: criterion {repr(named) if isinstance(named, str) else number}"
    if "source" not in value:
        raise UsageError(f"{where}: source is missing: give one of {', '.join(KINDS)}")
    if str(value["source"]) not in KINDS:
        raise UsageError(f"{where}: {unknown('source', value['source'], KINDS)}")
    kind = KINDS[value["source"]]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    required = [
        name
        for name, field in fields.items()
        if field.default is field.default_factory is dataclasses.MISSING
    ]
    _check_keys(value, required, ("source", *fields), where)
    given: dict[str, Any] = {}
    for name, entry in value.items():
        if name in ("at_most", "at_least"):
            given[name] = _number(entry, name, where)
        elif name == "verdict_in":
            if not isinstance(entry, list) or not entry:
                raise UsageError(f"{where}: verdict_in must be a list of verdicts, not {entry!r}")
            given[name] = [_text(word, name, where) for word in entry]
        elif name != "source":
            given[name] = _text(entry, name, where)
            if name in kind.choices and entry not in kind.choices[name]:
                raise UsageError(f"{where}: {unknown(name, entry, kind.choices[name])}")
    criterion = kind(**given)
    if fault := criterion.fault():
        raise UsageError(f"{where}: {fault}")
    return criterion


def _check_keys(
    value: dict, required: tuple[str, ...] | list[str], optional: tuple[str, ...], where: str
) -> None:
    known = dict.fromkeys((*required, *optional))
    for name in value:
        if name not in known:
            raise UsageError(f"{where}: {unknown('key', name, known)}")
    if missing := [name for name in required if name not in value]:
        raise UsageError(f"{where}: {missing[0]} is missing")


def _text(value: Any, name: str, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where}: {name} must be text, not {value!r}")
    return value.strip()


def _number(value: Any, name: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{where}: {name} must be a number such as 0.05, not {value!r}")
    return float(value)


def check_against_audit(policy: Policy) -> None:
    """Check what a policy says of the audit's tests: their metrics, and the verdicts.

    Raises:
        UsageError: for a name that there is not, with the nearest that there is.
    """
    from erasekit.audit.verdict import VERDICTS

    for criterion in policy.criteria:
        if not isinstance(criterion, AuditCriterion):
            continue
        where = f"{policy.origin}: criterion '{criterion.id}'"
        metrics = [metric.name for metric in TESTS[criterion.test].metrics]
        if criterion.metric is not None and criterion.metric not in metrics:
            raise UsageError(f"{where}: {unknown('metric', criterion.metric, metrics)}")
        for word in criterion.verdict_in:
            if word not in VERDICTS:
                raise UsageError(f"{where}: {unknown('verdict', word, VERDICTS)}")
