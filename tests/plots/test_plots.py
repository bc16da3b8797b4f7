"""The numbers in the pictures, and that each picture can be drawn."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox
from matplotlib.text import Annotation

from erasekit import plots
from erasekit.data.drawn.captions import prompts
from erasekit.errors import UsageError
from erasekit.evaluate.scorecard import Row, Scorecard
from erasekit.plots import fonts
from erasekit.plots.curves import loss_terms_data
from erasekit.plots.embedding import embedding_shift_data
from erasekit.plots.gallery import retrieval_gallery_data
from erasekit.plots.scores import compare_data, scorecard_bars_data
from erasekit.plots.sheets import concept_sheet_data, contact_sheet_data
from erasekit.plots.similarity import (
    matrix_concepts,
    similarity_distributions_data,
    similarity_matrix_data,
)
from erasekit.plots.style import MODELS, model_mark, term_mark
from erasekit.plots.tradeoff import forget_retain_data


@pytest.fixture(autouse=True)
def close_figures():
    matplotlib.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def models(tiny_experiment, tiny_erasure):
    return {
        "original": tiny_experiment.original,
        "erased": tiny_erasure.model,
        "oracle": tiny_experiment.oracle,
    }


def own_similarity(experiment, clip, concept, row_image):
    """A picture's similarity with a concept's name, computed anew, one at a time."""
    text = clip.encode_texts(prompts(experiment.world.concept(concept))).mean(0)
    image = clip.encode_images(row_image.unsqueeze(0))[0]
    return float(image @ (text / text.norm()))


def drawn(figure):
    """Draw for real: a glyph that no font has, or a layout that fails, warns here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    return figure


# --- every picture can be drawn -------------------------------------------------------


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


# --- captions and fonts ---------------------------------------------------------------


def test_captions_that_no_font_draws_are_told_in_english(tiny_experiment, monkeypatch):
    world, pairs = tiny_experiment.world, tiny_experiment.world.pairs("train")
    latin = frozenset(range(0x20, 0x250))
    monkeypatch.setattr(fonts, "_drawn", lambda: latin)
    data = contact_sheet_data(pairs, world, count=len(pairs))
    assert len(data) == len(pairs)
    for line in data.itertuples():
        names = ", ".join(world.concept(i).phrase for i in pairs.concepts[line.row])
        if line.language == "en":
            assert line.shown == line.caption == pairs.captions[line.row]
        else:
            assert line.shown == f"({line.language}) {names}"
    assert set(data["language"]) > {"en"}


def test_arabic_is_drawn_only_where_text_is_shaped(monkeypatch):
    monkeypatch.setattr(fonts, "shapes_text", lambda: False)
    assert not fonts.can_draw("بطريق")
    assert fonts.can_draw("пингвин") and fonts.can_draw("a penguin")
    monkeypatch.setattr(fonts, "shapes_text", lambda: True)
    assert fonts.can_draw("بطريق")


def test_contact_sheet_of_one_language(tiny_experiment):
    world, pairs = tiny_experiment.world, tiny_experiment.world.pairs("train")
    data = contact_sheet_data(pairs, world, count=3, language="ru")
    assert set(data["language"]) == {"ru"}
    assert list(data["row"]) == [i for i, own in enumerate(pairs.languages) if own == "ru"][:3]


def test_concept_sheet_has_every_concept_once_and_marks_the_holdout(tiny_experiment):
    world, data = tiny_experiment.world, concept_sheet_data(tiny_experiment.world)
    assert list(data["index"]) == list(range(len(world.concepts)))
    assert set(data.loc[data["holdout"], "index"]) == set(world.holdout)


# --- loss terms -----------------------------------------------------------------------


def test_loss_terms_keep_steps_terms_and_checks():
    history = [
        {"step": 0, "forgetting": 2.0, "loss": 2.0},
        {"step": 1, "forgetting": 1.0, "loss": 1.0, "validation_forget": 0.5},
    ]
    data = loss_terms_data(history)
    found = {(r.step, r.kind, r.name): r.value for r in data.itertuples()}
    assert found == {
        (1, "term", "forgetting"): 2.0,
        (2, "term", "forgetting"): 1.0,
        (1, "term", "loss"): 2.0,
        (2, "term", "loss"): 1.0,
        (2, "validation", "forget"): 0.5,
    }


def test_a_single_term_is_drawn_once():
    figure = plots.loss_terms([{"step": i, "forgetting": -i, "loss": -i} for i in range(3)])
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert "forgetting" in labels and "sum (the loss)" not in labels


# --- scorecards -----------------------------------------------------------------------


def card_of(values, margin=0.1):
    rows = [
        Row(model, metric, subset, "pair", value, value - margin, value + margin, 10)
        for (model, metric, subset), value in values.items()
    ]
    return Scorecard({}, {}, rows)


def test_forget_retain_takes_a_scorecard_or_points():
    card = card_of(
        {
            ("original", "top1", "forget"): 0.9,
            ("original", "top1", "retain"): 0.8,
            ("original", "top1", "neighbours"): 0.1,
            ("original", "similarity", "forget"): 0.2,
        }
    )
    line = forget_retain_data(card).loc["original"]
    assert (line["forget"], line["retain"]) == (0.9, 0.8)
    assert line["forget_low"] == pytest.approx(0.8) and line["retain_high"] == pytest.approx(0.9)
    points = forget_retain_data({"F": (0.1, 0.2)}).loc["F"]
    assert (points["forget"], points["retain"]) == (0.1, 0.2) and np.isnan(points["forget_low"])
    assert isinstance(drawn(plots.forget_retain({"F": (0.0, 0.2), "oracle": (0.0, 0.2)})), Figure)


def test_bars_and_comparison_show_the_scorecards_own_numbers(tiny_scorecard):
    for line in scorecard_bars_data(tiny_scorecard).itertuples():
        assert line.value == tiny_scorecard.value(line.model, line.metric, line.subset)
    other = Scorecard(tiny_scorecard.task, {}, tiny_scorecard.rows[::-1])
    data = compare_data({"second": other, "first": tiny_scorecard})
    assert list(dict.fromkeys(data["run"])) == ["second", "first"]
    for line in data.itertuples():
        assert line.value == tiny_scorecard.value(line.model, line.metric, line.subset)
    assert len(data) == 2 * 4 * len(tiny_scorecard.models)


def test_the_height_of_each_bar_is_its_value(tiny_scorecard):
    axes = plots.scorecard_bars(tiny_scorecard).axes[0]
    heights = [bar.get_height() for bars in axes.containers[::2] for bar in bars]
    expected = [
        tiny_scorecard.value(model, "top1", subset)
        for model in tiny_scorecard.models
        for subset in ("forget", "neighbours", "retain")
    ]
    assert heights == pytest.approx(expected)


# --- similarity -----------------------------------------------------------------------


def test_distributions_agree_with_the_scorecard_and_with_a_small_computation(
    tiny_experiment, tiny_scorecard, models
):
    data = similarity_distributions_data(tiny_experiment, models)
    means = data.groupby(["model", "subset"])["similarity"].mean()
    for (model, subset), mean in means.items():
        assert mean == pytest.approx(tiny_scorecard.value(model, "similarity", subset), abs=1e-5)
    assert set(data["subset"]) == {"forget", "neighbours", "retain", "holdout"}

    world, task = tiny_experiment.world, tiny_experiment.task
    singles = world.pairs("test").singles
    row = next(i for i, c in enumerate(singles.concepts) if c[0] in task.forgotten)
    first = data[(data["model"] == "erased") & (data["subset"] == "forget")].iloc[0]
    assert first["concept"] == world.concept(singles.concepts[row][0]).name
    expected = own_similarity(
        tiny_experiment, models["erased"], singles.concepts[row][0], singles.images[row]
    )
    assert first["similarity"] == pytest.approx(expected, abs=1e-4)


def test_matrix_puts_the_forgotten_first_then_their_neighbours(tiny_experiment, tiny_scorecard):
    shown, task = matrix_concepts(tiny_experiment), tiny_experiment.task
    names = [tiny_experiment.world.concept(i).name for i in shown]
    assert tuple(shown[: len(task.forgotten)]) == task.forgotten
    near = tiny_scorecard.task["neighbours"]
    assert names[len(task.forgotten) :][: len(near)] == near
    assert len(set(shown)) == len(shown) and set(shown) <= set(tiny_experiment.world.trained)
    fewest = matrix_concepts(tiny_experiment, most=1)
    assert len(fewest) == len(task.forgotten) + len(near)


def test_matrix_cell_is_the_mean_similarity_of_pictures_with_a_name(tiny_experiment, models):
    tables = similarity_matrix_data(tiny_experiment, models)
    shown = matrix_concepts(tiny_experiment)
    names = [tiny_experiment.world.concept(i).name for i in shown]
    singles = tiny_experiment.world.pairs("test").singles
    assert list(tables) == list(models)
    for table in tables.values():
        assert list(table.index) == list(table.columns) == names
    row, column = 1, 3
    pictures = singles.where(lambda concepts: concepts[0] == shown[row])
    expected = np.mean(
        [
            own_similarity(tiny_experiment, models["erased"], shown[column], image)
            for image in pictures.images
        ]
    )
    assert tables["erased"].iloc[row, column] == pytest.approx(expected, abs=1e-4)


# --- embedding shift ------------------------------------------------------------------


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_shift_has_each_concept_once_a_modality_and_repeats(tiny_experiment, models, method):
    e = tiny_experiment
    args = (e, models["original"], models["erased"], method)
    data = embedding_shift_data(*args)
    assert data.equals(embedding_shift_data(*args))
    for modality in ("picture", "name"):
        assert list(data[data["modality"] == modality]["concept"]) == list(e.world.trained)
    assert set(data.loc[data["forgotten"], "concept"]) == set(e.task.forgotten)


def test_shift_is_one_fit_from_before_to_after(tiny_experiment, models):
    """In PCA, an arrow is the projected difference of the two features, and both ways agree."""
    e, before, after = tiny_experiment, models["original"], models["erased"]
    there = embedding_shift_data(e, before, after, "pca")
    still = embedding_shift_data(e, before, before, "pca")
    assert np.allclose(still[["x0", "y0"]], still[["x1", "y1"]], atol=1e-6)
    assert np.allclose(still["similarity"], 1, atol=1e-5)

    singles = e.world.pairs("test").singles
    centres = []
    for clip in (before, after):
        for i in e.world.trained:
            part = clip.encode_images(singles.where(lambda c, i=i: c[0] == i).images).mean(0)
            centres.append(part / part.norm())
        for i in e.world.trained:
            text = clip.encode_texts(prompts(e.world.concept(i))).mean(0)
            centres.append(text / text.norm())
    features = torch.stack(centres).double().numpy()
    features -= features.mean(0)  # one centre for both models: one fit
    plane = features @ np.linalg.svd(features, full_matrices=False)[2][:2].T
    ends = np.concatenate([there[["x0", "y0"]].to_numpy(), there[["x1", "y1"]].to_numpy()])
    assert np.allclose(np.abs(plane), np.abs(ends), atol=1e-4)


def test_shift_refuses_an_unknown_method(tiny_experiment, models):
    with pytest.raises(UsageError, match="umap"):
        embedding_shift_data(tiny_experiment, models["original"], models["erased"], "umap")


# --- gallery --------------------------------------------------------------------------


def test_gallery_finds_the_nearest_and_marks_exactly_the_right_ones(tiny_experiment, models):
    e = tiny_experiment
    data = retrieval_gallery_data(e, models["original"], models["erased"], queries=3)
    pool = e.world.pairs("test").singles.where(lambda c: c[0] in set(e.world.trained))
    assert list(data.groupby(["query", "when"], sort=False).size()) == [5] * 6
    for line in data.itertuples():
        assert line.right == (pool.concepts[line.row][0] == line.query)
        assert line.shows == e.world.concept(pool.concepts[line.row][0]).name
        assert line.forgotten == (line.query in e.task.forgotten)
    query = int(data["query"].iloc[0])
    expected = [own_similarity(e, models["erased"], query, image) for image in pool.images]
    found = data[(data["query"] == query) & (data["when"] == "after")]
    assert list(found["similarity"]) == pytest.approx(sorted(expected)[::-1][:5], abs=1e-4)
    assert [expected[row] for row in found["row"]] == pytest.approx(
        list(found["similarity"]), abs=1e-4
    )


def test_gallery_asks_for_forgotten_ones_and_a_neighbour(tiny_experiment, tiny_scorecard, models):
    e = tiny_experiment
    data = retrieval_gallery_data(e, models["original"], models["erased"], queries=3)
    asked = list(dict.fromkeys(data["name"]))
    assert asked[:2] == [c.name for c in e.task.forgotten_concepts[:2]]
    assert asked[2] in tiny_scorecard.task["neighbours"]
    named = retrieval_gallery_data(e, models["original"], models["erased"], queries=[asked[2]])
    assert set(named["name"]) == {asked[2]}
    with pytest.raises(UsageError, match="unknown"):
        retrieval_gallery_data(e, models["original"], models["erased"], queries=["appel"])


def test_gallery_frames_follow_the_data(tiny_experiment, models):
    """With names for features, each query must find its own pictures, and only those count."""
    e = tiny_experiment
    world = e.world
    trained = list(world.trained)
    eye = torch.eye(len(world.concepts))
    labels = {}
    singles = world.pairs("test").singles
    for image, concepts in zip(singles.images, singles.concepts, strict=True):
        labels[image.numpy().tobytes()] = concepts[0]
    index_of = {text: c.index for c in world.concepts for text in prompts(c)}
    perfect = SimpleNamespace(
        encode_images=lambda images: torch.stack(
            [eye[labels[image.numpy().tobytes()]] for image in images]
        ),
        encode_texts=lambda texts: torch.stack([eye[index_of[text]] for text in texts]),
    )
    wrong = SimpleNamespace(
        encode_images=perfect.encode_images,
        encode_texts=lambda texts: torch.stack(
            [eye[trained[(index_of[text] + 1) % len(trained)]] for text in texts]
        ),
    )
    data = retrieval_gallery_data(e, perfect, wrong, queries=[world.concept(0).name])
    held = len(singles.where(lambda c: c[0] == 0))
    before = data[data["when"] == "before"]
    assert list(before["right"]) == [rank <= held for rank in before["rank"]]
    assert not data.loc[(data["when"] == "after") & (data["rank"] <= held), "right"].any()


# --- what is drawn is what the data say -----------------------------------------------


def points(axes):
    """Middle and both ends of every error bar, in the order drawn: x, y, low, high."""
    found = []
    for bar in axes.containers:
        if not isinstance(bar, ErrorbarContainer):
            continue
        middle, _, reach = bar.lines
        places = zip(middle.get_xdata(), middle.get_ydata(), strict=True) if middle else []
        ends = [segment for lines in reach for segment in lines.get_segments()]
        found += [(float(x), float(y), ends) for x, y in places]
    return found


def test_bars_reach_from_low_to_high(tiny_scorecard):
    data = scorecard_bars_data(tiny_scorecard)
    figure = plots.scorecard_bars(tiny_scorecard)
    for axes, metric in zip(figure.axes, ("top1", "similarity"), strict=True):
        part = data[data["metric"] == metric]
        bars = [bar for bars in axes.containers if isinstance(bars, BarContainer) for bar in bars]
        assert [bar.get_height() for bar in bars] == pytest.approx(list(part["value"]))
        ends = [
            segment[:, 1]
            for bars in axes.containers
            if isinstance(bars, ErrorbarContainer)
            for segment in bars.lines[2][0].get_segments()
        ]
        expected = part[["low", "high"]].to_numpy().copy()
        expected[:, 0] = np.minimum(expected[:, 0], part["value"])
        expected[:, 1] = np.maximum(expected[:, 1], part["value"])
        assert np.allclose(ends, expected)


def test_a_comparison_has_a_point_for_every_value(tiny_scorecard):
    cards = {"a": tiny_scorecard, "b": card_of({("erased", "top1", "forget"): 0.3})}
    data, figure = compare_data(cards), plots.compare(cards)
    shown = list(dict.fromkeys(zip(data["metric"], data["subset"], strict=True)))
    wanted = [("top1", "forget"), ("top1", "neighbours"), ("top1", "retain")]
    assert set(shown) == {*wanted, ("similarity", "forget")}
    for axes, (metric, subset) in zip(
        figure.axes, [*wanted, ("similarity", "forget")], strict=True
    ):
        part = data[(data["metric"] == metric) & (data["subset"] == subset)]
        assert [x for x, _, _ in points(axes)] == pytest.approx(list(part["value"]))
        lanes = [round(y) for _, y, _ in points(axes)]
        assert lanes == [["a", "b"].index(run) for run in part["run"]]


def test_forgetting_is_drawn_across_and_retaining_up(tiny_scorecard):
    data = forget_retain_data(tiny_scorecard)
    axes = plots.forget_retain(tiny_scorecard).axes[0]
    assert [(x, y) for x, y, _ in points(axes)] == [
        (line.forget, line.retain) for line in data.itertuples()
    ]
    cross = [(line.get_xdata(), line.get_ydata()) for line in axes.lines[:2]]
    oracle = data.loc["oracle"]
    assert set(cross[0][0]) == {oracle["forget"]} and set(cross[1][1]) == {oracle["retain"]}


def test_loss_curves_are_the_history(tiny_erasure):
    data = loss_terms_data(tiny_erasure.history)
    axes = plots.loss_terms(tiny_erasure.history).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    for name, part in data[data["kind"] == "term"].groupby("name"):
        line = lines["sum (the loss)" if name == "loss" else name]
        assert list(line.get_xdata()) == list(part["step"])
        assert list(line.get_ydata()) == list(part["value"])
    checked = [{"step": i, "a": 1.0, "b": 1.0, "loss": 2.0} for i in range(4)]
    checked[3] |= {"validation_forget": 0.25, "validation_retain": 0.75}
    below = plots.loss_terms(checked).axes[1]
    assert {line.get_label(): list(line.get_ydata()) for line in below.lines} == {
        "forget": [0.25],
        "retain": [0.75],
    }


def test_dots_and_medians_are_the_similarities(tiny_experiment, models):
    data = similarity_distributions_data(tiny_experiment, models)
    figure = plots.similarity_distributions(tiny_experiment, models)
    for axes in figure.axes:
        part = data[data["subset"] == axes.get_title(loc="left")]
        medians = [
            line.get_xdata()[0] for line in axes.lines if line.get_linewidth() == pytest.approx(2.4)
        ]
        for place, name in enumerate(models):
            values = part.loc[part["model"] == name, "similarity"]
            dots = np.asarray(axes.collections[place].get_offsets())
            assert np.allclose(dots[:, 0], values)
            assert (np.abs(dots[:, 1] - place) < 0.3).all()
            assert medians[place] == pytest.approx(values.median())


def test_heat_maps_are_the_tables(tiny_experiment, models):
    tables = similarity_matrix_data(tiny_experiment, models)
    figure = plots.similarity_matrix(tiny_experiment, models)
    for axes, (model, table) in zip(figure.axes, tables.items(), strict=False):
        assert axes.get_title(loc="left") == model
        assert np.allclose(axes.images[0].get_array(), table)
        assert [tick.get_text() for tick in axes.get_xticklabels()] == list(table.columns)


def test_arrows_run_from_before_to_after(tiny_experiment, models):
    args = (tiny_experiment, models["original"], models["erased"], "pca")
    data, figure = embedding_shift_data(*args), plots.embedding_shift(*args)
    for axes, modality in zip(figure.axes, ("picture", "name"), strict=True):
        part = data[data["modality"] == modality].sort_values("forgotten")
        arrows = [child for child in axes.get_children() if isinstance(child, Annotation)]
        drawings = [child for child in axes.get_children() if isinstance(child, AnnotationBbox)]
        starts = [tuple(line.get_xydata()[0]) for line in axes.lines]
        assert starts == [arrow.xyann for arrow in arrows]
        assert np.allclose(starts, part[["x0", "y0"]])
        assert np.allclose([arrow.xy for arrow in arrows], part[["x1", "y1"]])
        assert np.allclose([box.xy for box in drawings], part[["x1", "y1"]])
