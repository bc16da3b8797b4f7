"""Pictures of multimodal language models: the numbers in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from erasekit.data.question_list import Question, Questions
from erasekit.plots import language as plots

SCORES = pd.DataFrame(
    [
        (model, mode, subset, kind, value)
        for model, shift in (("original", 0.0), ("oracle", 0.1))
        for mode, subset, kind, value in (
            ("visual", "forget", "recognition", 0.8 - shift),
            ("visual", "forget", "all", 0.7 - shift),
            ("visual", "retain", "recognition", 0.9 - shift),
            ("visual", "retain", "all", 0.85 - shift),
            ("text", "forget", "all", 1.0 - shift),
        )
    ],
    columns=["model", "mode", "subset", "kind", "value"],
).assign(metric="exact_match")


def test_seen_and_known_shows_recognition_and_all_words():
    data = plots.seen_and_known_data(SCORES, "recognition")
    assert list(data.index) == ["original", "oracle"]
    assert data.loc["original", ("visual", "forget")] == 0.8
    assert data.loc["oracle", ("text", "forget")] == pytest.approx(0.9)
    figure = plots.seen_and_known(SCORES)
    assert isinstance(figure, Figure) and len(figure.axes) == 2


def test_the_gallery_ticks_what_is_right():
    asked = Questions(
        tuple(Question("what is this?", name, "name", (name,), i) for i, name in enumerate("ab")),
        torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
    )
    said = {"original": ["a", "c"], "oracle": ["c", "b"]}
    data = plots.answers_gallery_data(asked, said)
    assert list(data["right"]) == [True, False, False, True]
    words = [
        text.get_text() for axes in plots.answers_gallery(asked, said).axes for text in axes.texts
    ]
    assert words == ["✓ a", "✗ c", "✗ c", "✓ b"]


def test_the_mask_is_shown_layer_by_layer():
    mask = {
        "model.vision_tower.visual.layer1.0.conv1.weight": 0.2,
        "model.vision_tower.visual.layer1.0.conv2.weight": 0.4,
        "model.vision_tower.visual.conv1.weight": 0.1,
        "model.multi_modal_projector.linear_1.weight": 0.5,
        "model.language_model.layers.0.self_attn.q_proj.weight": 0.3,
        "model.language_model.embed_tokens.weight": 0.0,
    }
    data = plots.mask_map_data(mask).set_index("layer")
    assert data.loc["layer1", "share"] == pytest.approx(0.3)
    assert data.loc["block 1 attention", "module"] == "language"
    assert data.loc["projector linear_1", "module"] == "projector"
    assert isinstance(plots.mask_map(mask), Figure)


def test_cells_and_bars_are_the_data():
    data = plots.seen_and_known_data(SCORES, "recognition")
    for axes, mode in zip(plots.seen_and_known(SCORES).axes, ("visual", "text"), strict=True):
        shown = axes.collections[0].get_array().reshape(len(data), -1)
        assert np.allclose(shown, 100 * data[mode])
    mask = {"model.multi_modal_projector.linear_1.weight": 0.5, "vision_tower.conv1": 0.25}
    bars = plots.mask_map(mask).axes[0].patches
    assert [bar.get_width() for bar in bars] == list(plots.mask_map_data(mask)["share"])
