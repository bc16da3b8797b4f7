"""The audit: run every test on every model, and compare each value with the oracles."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from erasekit.audit.answer_attacks import only_name
from erasekit.audit.attack_registry import TESTS
from erasekit.audit.attacks.over_forgetting import own_names
from erasekit.audit.attacks.picture_leaks import matched_retained
from erasekit.audit.audit_result import Audit, AuditRow, TestReport
from erasekit.audit.base import Estimate, estimate_mean, is_oracle
from erasekit.audit.judging import judge_measures, report_on
from erasekit.audit.names import AUDITED, ORIGINAL
from erasekit.audit.verdict import knows
from erasekit.data.question_task import MllmTask
from erasekit.data.task import ErasureTask
from erasekit.evaluate.answer_scores import score_answers, spread
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.progress import hidden, progress_bar

#: Maximum number of questions about retained things to check that a language model still works.
MOST_ASKED = 200


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
    """Run every test on every model, and judge the results.

    Args:
        models: ``original`` and the audited model under ``erased``; oracles as ``oracle``,
            ``oracle-1``, … Without an oracle, every verdict is "cannot tell" and gaps are to
            the original.
        task: the erasure task.
        tests: names from `attack_registry`, for the models' kind.
        options: options of each test that replace its defaults.
        smoke: whether to use each test's short form.
        oracle_seeds: seeds of the oracles in order, for the record.
    """
    broken = broken_models(models, task, split=split, draws=draws, seed=seed)
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
            judged = judge_measures(test, result, broken, tests=len(tests))
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


def broken_models(
    models: Mapping[str, Any], task: Any, *, split: str = "test", draws: int = DRAWS, seed: int = 0
) -> set[str]:
    """Return the models that no longer name the retained things; this may include the original.

    They name at most half of what the original names, or no more than chance. In a request for
    pictures without names, pictures are matched with their captions instead.
    """
    if isinstance(task, ErasureTask) and not task.named:
        found, chance = matched_retained(models, task, split, draws, seed)
        return _broken(found, chance)
    named = {
        model: _named_retained(asked, task, split, draws, seed) for model, asked in models.items()
    }
    return _broken(named, 0.0 if isinstance(task, MllmTask) else 1 / len(task.world.trained))


def _broken(found: Mapping[str, Estimate], chance: float) -> set[str]:
    """The models that know at most half of what the original knows, or no more than chance."""
    return {
        model
        for model, share in found.items()
        if share.value <= found[ORIGINAL].value / 2 or not knows(share, chance)
    }


def _named_retained(model: Any, task: Any, split: str, draws: int, seed: int) -> Estimate:
    """Estimate the share of the retained things that a model names correctly."""
    if isinstance(task, MllmTask):
        asked = spread(only_name(task.subsets(split)["visual", "retain"]), MOST_ASKED)
        return estimate_mean(score_answers(model, asked)["accuracy"], asked.subjects, draws, seed)
    of = own_names(model, task, split)
    kept = np.isin(of["concept"], task.retained)
    return estimate_mean(of["top1"][kept], of["concept"][kept], draws, seed)


def _plain(options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return options as JSON-serialisable values; a recipe becomes its fields."""
    return {
        test: {k: asdict(v) if is_dataclass(v) else v for k, v in own.items()}  # type: ignore[arg-type]
        for test, own in options.items()
    }
