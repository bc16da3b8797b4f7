"""Policies: bounds that a run must satisfy, defined before the results are known.

A policy is a YAML file with a ``name``, a ``purpose`` and a list of ``criteria``. Each
criterion has an ``id``, a sentence ``about`` it for readers, and a ``source``:

- ``scorecard``: ``metric`` and ``subset`` select the row, ``direction`` the direction (default:
  the mean over directions). ``compare`` selects what is compared with the bound: the
  ``value``, its ``gap`` to the oracle, its ``drop_from_original``, or ``minus_holdout``: the
  difference to the same model's value on pictures of the same kind that it never saw.
- ``audit``: ``test`` selects the test, and without ``metric`` its overall verdict. With
  ``metric``, and optionally ``condition``, every matching row must satisfy the bound;
  ``compare`` is ``value`` or ``gap``.

Each criterion has one requirement: ``at_most``, ``at_least``, or, for the audit, ``verdict_in``.
Bounds are in the units of the files: shares from 0 to 1, so 10 points are 0.10. ``use`` selects
the ``low`` or ``high`` end of the interval instead of the value, ``model`` another model than
the erased one.

The optional ``requests`` are the rules of `erasekit requests`: ``reviewers`` who may decide
(default: everyone), ``own_approval``: whether they may approve what they filed themselves,
``deadline_days``, and ``keep``: rules whose pictures or concepts must never be erased.

Only `check_against_audit`, which uses the audit's tests, needs torch.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from erasekit.audit.attack_registry import TESTS
from erasekit.errors import UsageError, reason, unknown

SHIPPED = Path(__file__).with_name("policies")

#: Metrics of a scorecard; see `erasekit.evaluate.scorecard.Row`.
Metric = Literal[
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
    "accuracy",
    "accuracy:name",
    "rouge_l",
    "choice",
    "choice:name",
]
Subset = Literal["forget", "neighbours", "retain", "holdout"]
Direction = Literal[
    "image_to_text", "text_to_image", "image_to_image", "text_to_text", "pair", "seen", "told"
]
METRICS, SUBSETS, DIRECTIONS = map(get_args, (Metric, Subset, Direction))
BOUNDS = ("at_most", "at_least", "verdict_in")


def _known_test(name: str) -> str:
    if name not in TESTS:
        raise unknown("test", name, TESTS)
    return name


Text = Annotated[str, Field(min_length=1)]
Test = Annotated[Text, AfterValidator(_known_test)]


class _Written(BaseModel):
    """Base of the models of a policy file: no unknown keys, no type conversion, no blank texts."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, str_strip_whitespace=True, allow_inf_nan=False
    )

    def as_dict(self) -> dict[str, Any]:
        """Return the effective keys; `parse_policy` restores an equal object from them."""
        return self.model_dump(exclude_none=True)


class _Criterion(_Written):
    """One requirement; the module explains its keys."""

    id: Text
    about: Text
    use: Literal["value", "low", "high"] = "value"
    at_most: float | None = None
    at_least: float | None = None

    @property
    def of_forgetting(self) -> bool:
        """Whether it is about forgetting, not about retention."""
        return True

    @property
    def has_original(self) -> bool:
        """Whether it can also be checked for the original, which gets no verdicts."""
        return not getattr(self, "verdict_in", None)

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        possible = [name for name in BOUNDS if name in type(self).model_fields]
        given = [name for name in possible if getattr(self, name) is not None]
        if len(given) != 1:
            what = f"{' and '.join(given)} are given" if given else "it has no bound"
            raise ValueError(f"{what}: give one of {', '.join(possible)}")
        return self


class ScorecardCriterion(_Criterion):
    """A requirement on a value of `scorecard.json`."""

    source: Literal["scorecard"]
    metric: Metric
    subset: Subset
    direction: Direction | None = None
    model: Literal["erased", "original", "control", "oracle"] = "erased"
    compare: Literal["value", "gap", "drop_from_original", "minus_holdout"] = "value"

    @property
    def of_forgetting(self) -> bool:
        return self.subset == "forget" and self.compare != "drop_from_original"

    @model_validator(mode="after")
    def _use_has_an_interval(self) -> Self:
        if self.use != "value" and self.compare != "value":
            raise ValueError(
                f"use: {self.use} takes compare: value; a {self.compare} here has no interval"
            )
        return self


class AuditCriterion(_Criterion):
    """A requirement on the verdict or the rows of a test in `audit.json`."""

    source: Literal["audit"]
    test: Test
    metric: Text | None = None
    condition: Text | None = None
    model: Literal["erased", "original", "oracle"] = "erased"
    compare: Literal["value", "gap"] = "value"
    verdict_in: Annotated[list[Text], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _keys_go_together(self) -> Self:
        if self.metric is None and self.verdict_in is None:
            raise ValueError(
                "a bound takes a metric: name one, or give verdict_in for the whole test"
            )
        if self.metric is None and (self.condition is not None or self.model != "erased"):
            raise ValueError("condition and model take a metric: name one")
        if self.verdict_in and (self.compare, self.use) != ("value", "value"):
            raise ValueError("compare and use go with at_most and at_least, not with verdict_in")
        return self


Criterion = ScorecardCriterion | AuditCriterion
_KINDS = {"scorecard": ScorecardCriterion, "audit": AuditCriterion}


class RequestRules(_Written):
    """Who may decide about requests, until when, and what is never erased."""

    reviewers: list[Text] | None = None
    own_approval: bool = False
    deadline_days: Annotated[int, Field(ge=1)] = 30
    keep: list[Text] = []


class _File(_Written):
    """The content of a policy file."""

    name: Text
    purpose: Text
    requests: RequestRules | None = None
    criteria: Annotated[
        list[Annotated[Criterion, Field(discriminator="source")]], Field(min_length=1)
    ]

    @model_validator(mode="after")
    def _one_of_each_id(self) -> Self:
        ids = [criterion.id for criterion in self.criteria]
        for name in ids:
            if ids.count(name) > 1:
                raise ValueError(f"two criteria have the id '{name}'")
        return self


class Policy(_File):
    """A policy: all criteria for one purpose.

    Attributes:
        name, purpose: for readers.
        criteria: criteria in the order of the file.
        origin: the file, for messages.
        sha256: hash of the file, to identify it.
    """

    origin: str = Field(exclude=True)
    sha256: str = Field(exclude=True)


def policies() -> list[dict[str, Any]]:
    """List the policies that erasekit ships, by name."""
    return [
        {"name": path.stem, "title": policy.name, "purpose": policy.purpose}
        for path in sorted(SHIPPED.glob("*.yaml"))
        for policy in [load_policy(path)]
    ]


def load_policy(given: str | Path) -> Policy:
    """Read a policy: the name of a shipped one, or a YAML file.

    Raises:
        UsageError: when the file does not exist, or is not a policy.
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
        raise UsageError(
            f"{path} is not a file: give a policy as YAML, or the name of a shipped one"
        )
    return path


class _Strict(yaml.SafeLoader):
    """YAML loader that rejects duplicate keys: the last one could be a looser bound."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"'{key}' is given twice", problem_mark=node.start_mark
                )
        return super().construct_mapping(node, deep)


def parse_policy(value: Any, origin: str, sha256: str) -> Policy:
    """Parse a policy from plain values.

    Args:
        value: parsed YAML or JSON.
        origin: its source, for messages.
        sha256: hash of the file.

    Raises:
        UsageError: for a missing or unknown key, or a value of the wrong type.
    """
    try:
        written = _File.model_validate(value)
    except ValidationError as error:
        # An unknown key first: it often explains a missing one.
        faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
        raise UsageError(f"{origin}{_fault(value, faults[0])}") from None
    return Policy(**dict(written), origin=origin, sha256=sha256)


_WANTED = {
    "criteria": "a list of one criterion or more",
    "verdict_in": "a list of verdicts",
    "at_most": "a number such as 0.05",
    "at_least": "a number such as 0.05",
    "own_approval": "true or false",
    "deadline_days": "a whole number of days, at least 1",
    "reviewers": "a list of names",
    "keep": "a list of rules",
}


def _fault(value: Any, fault: Mapping[str, Any]) -> str:
    """Describe an error of pydantic: the place, the value, and the requirement."""
    kind, place, given = fault["type"], fault["loc"], fault["input"]
    where, model = "", _File
    if place[:1] == ("requests",):
        where, model, place = ": requests", RequestRules, place[1:2]
    elif len(place) > 1:
        entry = value["criteria"][place[1]]
        named = entry.get("id") if isinstance(entry, dict) else None
        where = f": criterion {repr(named) if isinstance(named, str) else place[1] + 1}"
        model, place = _KINDS.get(place[2] if place[2:] else "", _File), place[3:]
    name = str(place[0]) if place else ""
    if kind == "union_tag_not_found":
        words: Any = f"source is missing: give one of {', '.join(_KINDS)}"
    elif kind == "union_tag_invalid":
        words = unknown("source", given["source"], _KINDS)
    elif kind == "value_error":
        words = fault["ctx"]["error"]
    elif not name and where:
        known = "reviewers" if model is RequestRules else "id and source"
        return f"{where} must have keys, such as {known}"
    elif not name:
        return " is not a policy: it must have name, purpose and criteria"
    elif kind in ("extra_forbidden", "invalid_key"):
        words = unknown("key", name, model.model_fields)
    elif kind == "missing":
        words = f"{name} is missing"
    elif kind == "literal_error":
        words = unknown(name, given, re.findall("'([^']+)'", fault["ctx"]["expected"]))
    else:
        words = f"{name} must be {_WANTED.get(name, 'text')}, not {given!r}"
    return f"{where}: {words}"


def check_against_audit(policy: Policy) -> None:
    """Check the tests, metrics and verdicts in a policy against those of the audit.

    Raises:
        UsageError: for an unknown name; suggests the nearest known one.
    """
    from erasekit.audit.verdict import VERDICTS

    for criterion in policy.criteria:
        if not isinstance(criterion, AuditCriterion):
            continue
        where = f"{policy.origin}: criterion '{criterion.id}'"
        metrics = [metric.name for metric in TESTS[criterion.test].metrics]
        if criterion.metric is not None and criterion.metric not in metrics:
            raise UsageError(f"{where}: {unknown('metric', criterion.metric, metrics)}")
        for word in criterion.verdict_in or ():
            if word not in VERDICTS:
                raise UsageError(f"{where}: {unknown('verdict', word, VERDICTS)}")
