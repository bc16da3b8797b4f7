"""Similarities against a small computation, one picture at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support_plots import own_similarity

from erasekit import plots
from erasekit.evaluate.subsets import make_subsets
from erasekit.plots import similarity
from erasekit.plots.similarity import (
    matrix_concepts,
    similarity_distributions_data,
    similarity_matrix_data,
)


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


def test_matrix_of_a_folder_without_test_pictures_of_the_neighbours(tiny_experiment, monkeypatch):
    whole = make_subsets(tiny_experiment.original, tiny_experiment.task)
    concepts = {name: of for name, of in whole.concepts.items() if name != "neighbours"}
    monkeypatch.setattr(similarity, "make_subsets", lambda *_: replace(whole, concepts=concepts))
    assert set(matrix_concepts(tiny_experiment)) == {*concepts["forget"], *concepts["retain"]}


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
