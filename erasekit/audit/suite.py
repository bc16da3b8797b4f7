"""The audit: every test on every model, each value judged against the oracles."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from erasekit.audit.attack_registry import TESTS
from erasekit.audit.audit_result import Audit, AuditRow, TestReport
from erasekit.audit.base import is_oracle
from erasekit.audit.judging import judge_measures, report_on
from erasekit.audit.names import AUDITED
from erasekit.data.question_task import MllmTask
from erasekit.data.task import ErasureTask
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.progress import hidden, progress_bar


def audit(
    models: Mapping[str, Any],
    task: ErasureTask | MllmTask,
    *,
    tests: Sequence[str],
    options: Mapping[str, Mapping[str, Any]] | None = None,
    smoke: bool = False,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
    oracle_seeds: Sequence[int] = (),
    progress: bool = True,
) -> Audit:
    """Ask every test of every model, and judge what comes out.

    Args:
        models: ``original`` and the audited model under ``erased``; oracles as ``oracle``,
            ``oracle-1``, … Without one, every verdict is "cannot tell" and gaps are to the
            original.
        task: what was to be forgotten.
        tests: names of `attack_registry`, of the models' kind.
        options: by test, what replaces its own defaults.
        smoke: take each test's short form.
        oracle_seeds: of the oracles in their order, to be written down.
    """
    found: list[TestReport] = []
    rows: list[AuditRow] = []
    details: dict[str, list[dict[str, Any]]] = {}
    with hidden(not progress), progress_bar("audit", "test", len(tests)) as bar:
        for name in tests:
            bar.set_postfix_str(name)
            test = TESTS[name]
            own = {**(test.smoke if smoke else {}), **(options or {}).get(name, {})}
            started = time.perf_counter()
            result = test.run(models, task, split=split, draws=draws, seed=seed, **own)
            seconds = round(time.perf_counter() - started, 2)
            judged = judge_measures(test, result)
            rows += judged
            details[name] = result.details
            found.append(report_on(AUDITED, test, result, judged, seconds))
            bar.update()
    oracles = [model for model in models if is_oracle(model)]
    return Audit(
        task={**task.describe(), "split": split},
        models={name: model.fingerprint() for name, model in models.items()},
        oracles=[
            {"model": model, "seed": own}
            for model, own in zip(oracles, oracle_seeds or [None] * len(oracles), strict=True)
        ],
        settings={"smoke": smoke, "draws": draws, "seed": seed, "options": _plain(options or {})},
        tests=found,
        rows=rows,
        details=details,
    )


def _plain(options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Options as JSON holds them: a recipe as its fields."""
    return {
        test: {k: asdict(v) if is_dataclass(v) else v for k, v in own.items()}  # type: ignore[arg-type]
        for test, own in options.items()
    }
