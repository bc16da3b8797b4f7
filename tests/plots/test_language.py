"""Pictures of multimodal language models: the numbers in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from erasekit.data.question_list import Question, Questions
from erasekit.evaluate.scorecard import Row, Scorecard
from erasekit.plots import language as plots

SCORES = Scorecard(
    {},
    {},
    [
        Row(model, metric, subset, direction, value - shift, 0.0, 1.0, 9)
        for model, shift in (("original", 0.0), ("oracle", 0.1))
        for direction, subset, metric, value in (
            ("seen", "forget", "accuracy:name", 0.8),
            ("seen", "forget", "accuracy", 0.7),
            ("seen", "retain", "accuracy:name", 0.9),
            ("seen", "retain", "accuracy", 0.85),
            ("told", "forget", "accuracy", 1.0),
        )
    ],
)


def test_seen_and_known_shows_recognition_and_all_words():
    data = plots.seen_and_known_data(SCORES)
    assert list(data.index) == ["original", "oracle"]
    assert data.loc["original", ("seen", "forget")] == 0.8
    assert data.loc["oracle", ("told", "forget")] == pytest.approx(0.9)
    figure = plots.seen_and_known(SCORES)
    assert isinstance(figure, Figure) and len(figure.axes) == 2


class Says:
    """A model with these answers."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    def answer(self, questions: Questions) -> list[str]:
        return self.answers


def test_the_gallery_ticks_what_is_right():
    asked = Questions(
        tuple(Question("what is this?", name, "name", (name,), i) for i, name in enumerate("ab")),
        torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
    )
    models = {"original": Says("a", "c"), "oracle": Says("c", "b")}
    data = plots.answers_gallery_data(asked, models)
    assert list(data["right"]) == [True, False, False, True]
    words = [
        text.get_text() for axes in plots.answers_gallery(asked, models).axes for text in axes.texts
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
    assert data.loc["tower, stage 1", "share"] == pytest.approx(0.3)
    assert data.loc["block 1, attention", "module"] == "language"
    assert data.loc["projector, layer 1", "module"] == "projector"
    assert isinstance(plots.mask_map(mask), Figure)


def test_cells_and_bars_are_the_data():
    data = plots.seen_and_known_data(SCORES)
    for axes, mode in zip(plots.seen_and_known(SCORES).axes, ("seen", "told"), strict=True):
        shown = axes.collections[0].get_array().reshape(len(data), -1)
        assert np.allclose(shown, 100 * data[mode])
    mask = {"model.multi_modal_projector.linear_1.weight": 0.5, "vision_tower.conv1": 0.25}
    bars = plots.mask_map(mask).axes[0].patches
    assert [bar.get_width() for bar in bars] == list(plots.mask_map_data(mask)["share"])


def test_the_diagram_marks_what_changes():
    words = [text.get_text() for text in plots.parts_diagram({"vision": "exchanged"}).axes[0].texts]
    assert words.count("unchanged") == 2 and words.count("exchanged") == 1
