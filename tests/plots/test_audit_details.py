"""What single tests of an audit found, in pictures."""

from __future__ import annotations

import numpy as np
import pytest
from support_plots import AUDITED_MODELS, drawn, made_audit, points

from erasekit.audit.audit_result import Audit, AuditRow
from erasekit.plots.audit import audit_verdicts
from erasekit.plots.audit_details import (
    audit_figures,
    collateral_data,
    language_map_data,
    readable_layers_data,
    relearning_curves_data,
)


@pytest.fixture
def made() -> Audit:
    return made_audit()


def test_layers_stay_in_their_order_and_the_retained_are_left_out(made: Audit):
    tables = readable_layers_data(made)
    assert list(tables) == ["image", "text"]
    assert list(tables["image"].index) == ["layer2", "layer1", "output"]
    assert list(tables["image"].columns) == list(AUDITED_MODELS)
    assert (tables["image"] == 0.5).all(axis=None)


def test_a_name_that_the_original_does_not_know_is_missing(made: Audit):
    tables = language_map_data(made)
    assert list(tables) == ["original", "erased", "oracle"]
    table = tables["erased"]
    assert list(table.index) == ["pear", "apple"]
    assert np.isnan(table.loc["pear", "ru"])
    assert table.loc["apple", "ru"] == 0.25


def test_every_picture_is_drawn_and_says_what_it_must(made: Audit):
    figures = audit_figures(made)
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
    assert all(len(axes.lines) == len(AUDITED_MODELS) for axes in curves.axes)
    cells = [text.get_text() for text in figures["audit_language_map"].axes[1].texts]
    assert cells == ["25", "–", "25", "25"]
    for figure in figures.values():
        drawn(figure)


def test_an_audit_without_oracles_is_drawn_too_and_says_what_its_gaps_are_to(made: Audit):
    alone = [
        AuditRow(**{**vars(row), "margin": None, "smallest": None})
        for row in made.rows
        if not row.model.startswith("oracle")
    ]
    bare = Audit({}, {}, [], {}, made.tests[:1], alone)
    figures = audit_figures(bare)
    assert set(figures) == {"audit_verdicts", "audit_values_prompt_leaks"}
    assert "no oracle" in figures["audit_verdicts"].axes[0].get_xlabel()
    assert "than the oracle" in audit_verdicts(made).axes[0].get_xlabel()
    (legend,) = figures["audit_values_prompt_leaks"].legends
    assert [text.get_text() for text in legend.get_texts()] == ["original", "erased"]
    for figure in figures.values():
        drawn(figure)


def test_curves_maps_and_losses_are_the_details(made: Audit):
    figures = audit_figures(made)
    curves = relearning_curves_data(made)
    for axes, k in zip(figures["audit_relearning_curves"].axes, (1, 4), strict=True):
        for line, model in zip(axes.lines, AUDITED_MODELS, strict=True):
            own = curves[(curves["k"] == k) & (curves["model"] == model)]
            assert list(line.get_xdata()) == list(own["step"])
            assert list(line.get_ydata()) == list(own["accuracy"])
    for name, tables in (
        ("audit_readable_layers", readable_layers_data(made)),
        ("audit_language_map", language_map_data(made)),
    ):
        for axes, table in zip(figures[name].axes, tables.values(), strict=True):
            shown = np.ma.filled(axes.images[0].get_array(), np.nan)
            assert np.allclose(shown, 100 * table.to_numpy(), equal_nan=True)
    lost = collateral_data(made).iloc[0]
    axes = figures["audit_collateral"].axes[0]
    assert [x for x, *_ in points(axes)] == [lost["original"], lost["oracle"], lost["erased"]]
    assert list(axes.lines[0].get_xdata()) == [lost["original"], lost["erased"]]
