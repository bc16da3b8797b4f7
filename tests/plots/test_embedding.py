"""Embedding shift: one fit, and arrows from before to after."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.offsetbox import AnnotationBbox
from matplotlib.text import Annotation

from erasekit import plots
from erasekit.data.drawn.captions import prompts
from erasekit.errors import UsageError
from erasekit.plots.embedding import embedding_shift_data


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
