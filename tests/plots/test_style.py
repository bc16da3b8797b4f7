"""The one look: it leaves the reader's own alone, and no model is told by colour alone."""

from __future__ import annotations

from pkgutil import iter_modules

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from support_plots import drawn

from erasekit import plots
from erasekit.plots.style import METHODS, MODELS, label_points, model_mark, term_mark
from erasekit.unlearn import methods

METHODS_OF_THE_KIT = [module.name for module in iter_modules(methods.__path__)]


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
    assert len({model_mark(n, [*names, "never_seen"]).marker for n in [*names, "never_seen"]}) == 5
    terms = ["forgetting", "retention", "consistency", "loss", "other", "another"]
    assert len({str(term_mark(n, terms).dash) + term_mark(n, terms).colour for n in terms}) == 6


def test_each_method_has_one_look_and_erased_that_of_cliperase():
    assert set(METHODS) <= set(METHODS_OF_THE_KIT)
    assert METHODS["cliperase"] == MODELS["erased"] and METHODS["fine_tune"] == MODELS["control"]
    looks = [(m.colour, m.marker) for m in {**MODELS, **METHODS}.values()]
    assert len(set(looks)) == len(looks) - 2, "no other two look alike"
    assert model_mark("npo", ("cliperase", "npo")) == model_mark("npo")


def test_texts_beside_points_cover_no_text_point_or_bar():
    figure, axes = plt.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    labels = [("control", 0.97, 0.5), ("original", 0.97, 0.5), ("oracle", 0.9, 0.5)]
    bar = (0.6, 0.5, 1.0, 0.5)
    label_points(axes, labels, ["black"] * 3, [bar])
    boxes = [text.get_window_extent() for text in axes.texts]
    for place, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[:place])
        assert axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 + 2
        low, high = axes.transData.inverted().transform(box)[:, 1]
        assert high < 0.5 or low > 0.5, "the bar runs through it"
    plt.close(figure)
