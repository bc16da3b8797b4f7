"""What the pictures of an audit show, held against its rows."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from erasekit.audit.audit_result import Audit, AuditRow, TestReport
from erasekit.audit.judging import MEAN
from erasekit.audit.verdict import AS_THE_ORACLE, CANNOT_TELL, LESS, MORE
from erasekit.errors import RunError
from erasekit.plots import audit as plots

MODELS = ("original", "erased", "oracle", "oracle-1")


def rows(test: str, metric: str, condition: str, verdict: str, gap: float | None) -> list[AuditRow]:
    """A row for each model; the erased model's has the verdict and the gap."""
    return [
        AuditRow(
            test,
            model,
            metric,
            condition,
            value=0.1 * place,
            low=0.1 * place - 0.05,
            high=0.1 * place + 0.05,
            n=20,
            gap=gap if model == "erased" else None,
            gap_low=None if gap is None or model != "erased" else gap - 0.02,
            gap_high=None if gap is None or model != "erased" else gap + 0.02,
            margin=None if gap is None else 0.04,
            verdict=None if model.startswith("oracle") else verdict,
            reason="because" if not model.startswith("oracle") else None,
        )
        for place, model in enumerate(MODELS)
    ]


def report(test: str, verdict: str) -> TestReport:
    return TestReport(test, test.title(), "Is it?", "nobody", verdict, "because", [], 1.0)


@pytest.fixture
def made() -> Audit:
    details = {
        "relearning": [
            {"model": m, "k": k, "step": s, "accuracy": 0.1 * s, "low": 0.0, "high": 0.2 * s}
            for m in MODELS
            for k in (1, 4)
            for s in (0, 2, 4)
        ],
        "probes": [
            {
                "tower": tower,
                "layer": layer,
                "model": model,
                "subset": subset,
                "probe": probe,
                "accuracy": 0.5 if subset == "forget" else 0.9,
            }
            for tower in ("image", "text")
            for layer in ("layer2", "layer1", "output")
            for model in MODELS
            for subset in ("forget", "retain")
            for probe in ("linear", "knn")
        ],
        "language_leaks": [
            {
                "model": m,
                "concept": c,
                "language": language,
                "top1": None if (c, language) == ("pear", "ru") else 0.25,
                "known": 1.0,
                "in_forget_set": True,
            }
            for m in MODELS
            for c in ("pear", "apple")
            for language in ("en", "ru")
        ],
        "over_forgetting": [
            {"concept": "taco", "group": "food", "original": 1.0, "erased": 0.5, "oracle": 0.9}
        ],
    }
    return Audit(
        task={},
        models={},
        oracles=[{"model": "oracle", "seed": 0}],
        settings={},
        tests=[
            report("prompt_leaks", LESS),
            report("relearning", AS_THE_ORACLE),
            report("membership", CANNOT_TELL),
            report("probes", MORE),
            report("language_leaks", CANNOT_TELL),
            report("over_forgetting", MORE),
        ],
        rows=[
            *rows("prompt_leaks", "top1", "upper case", LESS, 0.3),
            *rows("prompt_leaks", "top1", "paraphrase", LESS, 0.5),
            *rows("prompt_leaks", "similarity", "paraphrase", AS_THE_ORACLE, 0.9),
            *rows("relearning", "area", "k=1", AS_THE_ORACLE, 0.09),
            *rows("relearning", "area", MEAN, AS_THE_ORACLE, 0.01),
            *rows("membership", "attack_auc", "both", CANNOT_TELL, 0.8),
            *rows("membership", "auc", "loss", CANNOT_TELL, 0.1),
            *rows("probes", "linear_image", "output", MORE, -0.2),
            *rows("language_leaks", "top1", "en", CANNOT_TELL, None),
            *rows("over_forgetting", "similarity", "retain", MORE, -0.4),
        ],
        details=details,
    )


def test_each_test_is_shown_by_the_value_that_decides_its_verdict(made: Audit):
    data = plots.audit_verdicts_data(made).set_index("test")
    assert data.loc["prompt_leaks", "gap"] == pytest.approx(50), "the gravest of the leaks"
    assert "paraphrase" in str(data.loc["prompt_leaks", "what"])
    assert data.loc["relearning", "gap"] == pytest.approx(1), "the mean acquits"
    assert data.loc["membership", "gap"] == pytest.approx(10), (
        "what is only reported decides nothing"
    )
    assert math.isnan(data.loc["language_leaks", "gap"]), "no oracle, no gap"
    assert data.loc["probes", "low"] < data.loc["probes", "gap"] < data.loc["probes", "high"]
    assert data.loc["probes", "margin"] == pytest.approx(4)


def test_the_values_of_a_test_are_its_rows(made: Audit):
    data = plots.audit_values_data(made, "prompt_leaks")
    assert len(data) == 3 * len(MODELS)
    assert set(data.loc[data["model"] == "erased", "verdict"]) == {LESS, AS_THE_ORACLE}
    with pytest.raises(RunError, match="did not run"):
        plots.audit_values(made, "compression")


def test_layers_stay_in_their_order_and_the_retained_are_left_out(made: Audit):
    tables = plots.readable_layers_data(made)
    assert list(tables) == ["image", "text"]
    assert list(tables["image"].index) == ["layer2", "layer1", "output"]
    assert list(tables["image"].columns) == list(MODELS)
    assert (tables["image"] == 0.5).all(axis=None)


def test_a_name_that_the_original_does_not_know_is_missing(made: Audit):
    tables = plots.language_map_data(made)
    assert list(tables) == ["original", "erased", "oracle"]
    table = tables["erased"]
    assert list(table.index) == ["pear", "apple"]
    assert np.isnan(table.loc["pear", "ru"])
    assert table.loc["apple", "ru"] == 0.25


def test_every_picture_is_drawn_and_says_what_it_must(made: Audit):
    figures = plots.audit_figures(made)
    assert {
        "audit_verdicts",
        "audit_relearning_curves",
        "audit_readable_layers",
        "audit_language_map",
        "audit_collateral",
    } <= set(figures)
    words = {text.get_text() for text in figures["audit_verdicts"].axes[0].texts}
    assert {"less forgotten", "over-forgetting", "as the oracle", "cannot tell"} <= words
    curves = figures["audit_relearning_curves"]
    assert [axes.get_title(loc="left") for axes in curves.axes] == ["1 pair", "4 pairs"]
    assert all(len(axes.lines) == len(MODELS) for axes in curves.axes)
    cells = [text.get_text() for text in figures["audit_language_map"].axes[1].texts]
    assert cells == ["25", "–", "25", "25"]
    assert isinstance(plots.collateral_data(made), pd.DataFrame)
    for figure in figures.values():
        figure.canvas.draw()
        plt.close(figure)


def test_an_audit_without_oracles_is_drawn_too_and_says_what_its_gaps_are_to(made: Audit):
    alone = [
        AuditRow(**{**vars(row), "margin": None})
        for row in made.rows
        if not row.model.startswith("oracle")
    ]
    bare = Audit({}, {}, [], {}, made.tests[:1], alone)
    figures = plots.audit_figures(bare)
    assert set(figures) == {"audit_verdicts", "audit_values_prompt_leaks"}
    assert "no oracle" in figures["audit_verdicts"].axes[0].get_xlabel()
    assert "than by the oracle" in plots.audit_verdicts(made).axes[0].get_xlabel()
    (legend,) = figures["audit_values_prompt_leaks"].legends
    assert [text.get_text() for text in legend.get_texts()] == ["original", "erased"]
    for figure in figures.values():
        figure.canvas.draw()
        plt.close(figure)


def values_of(axes) -> list[float]:
    """Where each point stands across, in the order drawn."""
    bars = [bar for bar in axes.containers if isinstance(bar, ErrorbarContainer)]
    return [float(bar.lines[0].get_xdata()[0]) for bar in bars]


def test_gaps_and_margins_are_drawn_where_they_lie(made: Audit):
    data = plots.audit_verdicts_data(made)
    axes = plots.audit_verdicts(made).axes[0]
    assert values_of(axes) == pytest.approx(list(data["gap"].dropna()))
    ends = [
        segment[:, 0]
        for bar in axes.containers
        if isinstance(bar, ErrorbarContainer)
        for segment in bar.lines[2][0].get_segments()
    ]
    assert np.allclose(ends, data[["low", "high"]].dropna())
    bands = [(patch.get_x(), patch.get_width()) for patch in axes.patches]
    assert np.allclose(bands, [(-margin, 2 * margin) for margin in data["margin"].dropna()])
    plt.close("all")


def test_the_values_of_a_test_are_drawn_with_the_oracles_range_and_mean(made: Audit):
    figure = plots.audit_values(made, "prompt_leaks")
    data = plots.audit_values_data(made, "prompt_leaks")
    for axes, metric in zip(figure.axes, ("top1", "similarity"), strict=True):
        part = data[data["metric"] == metric]
        expected = []
        for _, of in part.groupby("condition", sort=False):
            by_model = of.set_index("model")["value"]
            oracles = by_model[[name for name in by_model.index if name.startswith("oracle")]]
            expected += [oracles.mean(), by_model["original"], by_model["erased"]]
        assert values_of(axes) == pytest.approx(expected)
        for patch in axes.patches:
            assert (patch.get_x(), patch.get_width()) == pytest.approx((0.2, 0.1))
    plt.close("all")


def test_curves_maps_and_losses_are_the_details(made: Audit):
    figures = plots.audit_figures(made)
    curves = plots.relearning_curves_data(made)
    for axes, k in zip(figures["audit_relearning_curves"].axes, (1, 4), strict=True):
        for line, model in zip(axes.lines, MODELS, strict=True):
            own = curves[(curves["k"] == k) & (curves["model"] == model)]
            assert list(line.get_xdata()) == list(own["step"])
            assert list(line.get_ydata()) == list(own["accuracy"])
    for name, tables in (
        ("audit_readable_layers", plots.readable_layers_data(made)),
        ("audit_language_map", plots.language_map_data(made)),
    ):
        for axes, table in zip(figures[name].axes, tables.values(), strict=True):
            shown = np.ma.filled(axes.images[0].get_array(), np.nan)
            assert np.allclose(shown, 100 * table.to_numpy(), equal_nan=True)
    lost = plots.collateral_data(made).iloc[0]
    axes = figures["audit_collateral"].axes[0]
    assert values_of(axes) == [lost["original"], lost["oracle"], lost["erased"]]
    assert list(axes.lines[0].get_xdata()) == [lost["original"], lost["erased"]]
    plt.close("all")
