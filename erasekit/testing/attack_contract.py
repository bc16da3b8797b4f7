"""The contract of audit tests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from erasekit.testing.tiny import tiny_experiment

if TYPE_CHECKING:
    from erasekit.audit.base import AuditTest, Result


def check_attack(test: AuditTest, **options: Any) -> None:
    """Check that an audit test treats all models equally and is reproducible.

    A test describes itself, returns finite numbers with the same metrics and conditions for every
    model, the same numbers for two copies of a model and for the same seed, and changes no model.

    Args:
        test: the test.
        options: its options, instead of those of its smoke profile.

    Raises:
        AssertionError: for a violation; says how to fix it.
    """
    from erasekit.audit.names import AUDITED, ORACLE, ORIGINAL
    from erasekit.audit.suite import judge_measures

    name = test.name
    for field in ("name", "title", "source", "metrics"):
        assert getattr(test, field), f"{name}: give it a {field}"
    assert test.question.endswith("?"), f"{name}: its question must be one, with a question mark"
    experiment = tiny_experiment(test.kind)
    oracle = experiment.oracle
    models = {ORIGINAL: experiment.original, AUDITED: oracle, ORACLE: oracle}
    before = {who: model.fingerprint() for who, model in models.items()}
    given = {"split": "test", "draws": 20, "seed": 0, **test.smoke, **options}
    result, again = (test.run(models, experiment.task, **given) for _ in range(2))
    assert result.measures, f"{name}: measures nothing"
    changed = [who for who, model in models.items() if model.fingerprint() != before[who]]
    assert not changed, f"{name}: changes the model {changed[:1]}: attack `clip.copy()`"
    declared = {metric.name for metric in test.metrics}
    for measure in result.measures:
        assert measure.metric in declared, (
            f"{name}: declare the metric {measure.metric} in its TEST"
        )
        place = f"{name}: {measure.metric} {measure.condition} of {measure.model}".replace(
            "  ", " "
        )
        assert math.isfinite(measure.estimate.value), f"{place} is {measure.estimate.value}"
        assert all(map(math.isfinite, measure.estimate.replicates)), (
            f"{place}: not all draws finite"
        )
    values = _values(result)
    assert values == _values(again), f"{name}: the same seed gives other numbers: use it"
    kinds = {model: [kind for who, *kind in values if who == model] for model in models}
    assert kinds[ORIGINAL] and kinds[AUDITED] == kinds[ORACLE], (
        f"{name}: does not measure every model under the same conditions"
    )
    for row in judge_measures(test, result):
        if (
            row.model == AUDITED
            and row.gap is not None
            and test.metric(row.metric).sense != "reported"
        ):
            assert row.gap == 0, (
                f"{name}: {row.metric} {row.condition} of one model twice differs by {row.gap}: "
                "draw from `seed` for each model anew"
            )


def _values(result: Result) -> dict[tuple[str, str, str], float]:
    return {(m.model, m.metric, m.condition): m.estimate.value for m in result.measures}
