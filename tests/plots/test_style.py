"""The one look: it leaves the reader's own alone, and no model is told by colour alone."""

from __future__ import annotations

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from support_plots import drawn

from erasekit import plots
from erasekit.plots.style import MODELS, model_mark, term_mark


def test_every_picture_is_a_figure(tiny_experiment, tiny_erasure, tiny_scorecard, models):
    plt.close("all")  # what another file of tests left open is not counted
    e, before, after = tiny_experiment, models["original"], models["erased"]
    pairs = e.world.pairs("train")
    figures = [
        plots.contact_sheet(pairs, e.world),
        plots.contact_sheet(pairs.scenes, e.world, rows=1, columns=4),
        plots.concept_sheet(e.world),
        plots.loss_terms(tiny_erasure.history, "title"),
        plots.forget_retain(tiny_scorecard),
        plots.scorecard_bars(tiny_scorecard),
        plots.compare({"a": tiny_scorecard, "b": tiny_scorecard}),
        plots.similarity_distributions(e, models),
        plots.similarity_matrix(e, models),
        plots.similarity_matrix(e, {"original": before}),
        plots.embedding_shift(e, before, after),
        plots.embedding_shift(e, before, after, method="pca"),
        plots.retrieval_gallery(e, before, after),
    ]
    assert all(isinstance(drawn(figure), Figure) for figure in figures)
    assert len({id(figure) for figure in figures}) == len(figures) == len(plt.get_fignums())


def test_drawing_leaves_the_readers_settings_alone(tiny_scorecard):
    with matplotlib.rc_context({"font.size": 7.5, "axes.grid": False, "figure.dpi": 61}):
        before = dict(matplotlib.rcParams)
        plots.scorecard_bars(tiny_scorecard)
        changed = [name for name, value in before.items() if matplotlib.rcParams[name] != value]
    assert not changed


def test_models_are_told_apart_without_colour():
    for look in ("marker", "hatch", "colour"):
        assert len({getattr(mark, look) for mark in MODELS.values()}) == len(MODELS)
    names = ["original", "F", "F + R", "F + R + C"]
    assert len({model_mark(n, names).marker for n in names}) == len(names)
    terms = ["forgetting", "retention", "consistency", "loss", "other", "another"]
    assert len({str(term_mark(n, terms).dash) + term_mark(n, terms).colour for n in terms}) == 6
