"""Result of an audit: every value with its verdict, a report per test, and the file format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from erasekit.audit.names import AUDITED, ORACLE, ORIGINAL
from erasekit.audit.verdict import CANNOT_TELL, LESS, MORE, VERDICTS
from erasekit.checks import read_record
from erasekit.errors import RunError
from erasekit.files import write_json

VERSION = 2


@dataclass(frozen=True)
class AuditRow:
    """One value of one model with its verdict.

    Attributes:
        value, low, high: the value and its 95 % interval over concepts; shares from 0 to 1.
        gap, gap_low, gap_high: value minus the mean of the (other) oracles, with its 95 %
            range; minus the original where the audit has no oracle; None for the reference
            itself.
        margin: gap beyond which a model is accused; None with fewer than two oracles.
        smallest: smallest gap that would have been seen in 90 of 100 cases; None likewise.
        verdict, reason: see `audit.verdict`; None for the oracles.
    """

    test: str
    model: str
    metric: str
    condition: str
    value: float
    low: float
    high: float
    n: int
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    margin: float | None
    smallest: float | None
    verdict: str | None
    reason: str | None


@dataclass(frozen=True)
class TestReport:
    """Findings of one test about the audited model, in words.

    Attributes:
        sees: the smallest gap that the test would have seen, and in what; empty without oracles.
    """

    name: str
    title: str
    question: str
    source: str
    verdict: str
    reason: str
    sees: str
    notes: list[str]
    seconds: float
    __test__ = False  # not a pytest test class


@dataclass(frozen=True)
class Audit:
    """Every row, the report of each test, and the data of the figures.

    Attributes:
        models: hash of each model's weights by name, see `Clip.fingerprint`.
        oracles: name and seed of each oracle.
    """

    task: dict
    models: dict[str, str]
    oracles: list[dict]
    settings: dict
    tests: list[TestReport]
    rows: list[AuditRow]
    details: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def frame(self) -> pd.DataFrame:
        """Return every row as a table."""
        return pd.DataFrame([vars(row) for row in self.rows])

    def report(self, test: str) -> TestReport:
        """Return the report of one test.

        Raises:
            RunError: when the test did not run.
        """
        for found in self.tests:
            if found.name == test:
                return found
        raise RunError(f"the audit has no test '{test}': it did not run")

    def value(self, test: str, metric: str, condition: str, model: str = AUDITED) -> float:
        """Return one value.

        Raises:
            RunError: when the audit has no such row.
        """
        for row in self.rows:
            if (row.test, row.metric, row.condition, row.model) == (test, metric, condition, model):
                return row.value
        raise RunError(f"the audit has no {metric} of {test} under '{condition}' for {model}")

    @property
    def measured(self) -> set[str]:
        """The tests that measured something on the audited model."""
        return {row.test for row in self.rows if row.model == AUDITED}

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict of each test, by name."""
        return {found.name: found.verdict for found in self.tests}

    @property
    def verdict(self) -> str:
        """All verdicts in one line."""
        count = {word: list(self.verdicts.values()).count(word) for word in VERDICTS}
        return "; ".join(f"{word} in {n} of {len(self.tests)}" for word, n in count.items() if n)

    @property
    def conclusion(self) -> str:
        """What the audit found, in one sentence."""
        if len(self.oracles) < 2:
            return "Without two oracles or more, no verdict can be given."
        titles = {
            word: ", ".join(t.title.lower() for t in self.tests if t.verdict == word)
            for word in VERDICTS
        }
        found = [
            f"{amount} in {titles[word]}"
            for word, amount in ((LESS, "too little is forgotten"), (MORE, "too much"))
            if titles[word]
        ]
        if found:
            return f"It is not as models that never saw the forgotten: {'; '.join(found)}."
        blind = list(self.verdicts.values()).count(CANNOT_TELL)
        return (
            "No test tells it from models that never saw the forgotten; "
            f"{blind} of {len(self.tests)} could not tell."
        )

    @property
    def reference(self) -> str:
        """The reference of the gaps: the oracles, or the original if there are none."""
        return ORACLE if self.oracles else ORIGINAL

    def table(self) -> pd.DataFrame:
        """Return one row per test with its verdict and its question."""
        return pd.DataFrame(
            {
                "verdict": [t.verdict for t in self.tests],
                "question": [t.question for t in self.tests],
            },
            index=pd.Index([t.title for t in self.tests], name="test"),
        )

    def as_dict(self) -> dict:
        return {
            "version": VERSION,
            "verdict": self.verdict,
            "task": self.task,
            "models": self.models,
            "oracles": self.oracles,
            "settings": self.settings,
            "tests": [asdict(found) for found in self.tests],
            "rows": [_rounded(asdict(row)) for row in self.rows],
            "details": {
                name: [_rounded(record) for record in records]
                for name, records in self.details.items()
            },
        }

    def save(self, path: Path) -> Path:
        return write_json(path, self.as_dict())

    @classmethod
    def load(cls, path: Path) -> Audit:
        """Read an audit from its file.

        Raises:
            RunError: when the file is missing, damaged or of another version.
        """
        return read_record(path, "an audit", VERSION, cls)


def _rounded(record: Mapping[str, Any]) -> dict[str, Any]:
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in record.items()}
