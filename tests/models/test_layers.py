"""Layers are open_clip's own, read where the tower pools, and no hook stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from torch import nn

from erasekit.audit.attacks.probes import probes
from erasekit.models.clip import MEAN, STD, Clip
from erasekit.models.layers import image_layers, text_layers

VISION = {"image_size": 48, "layers": 6, "width": 32, "head_width": 16, "patch_size": 16}
TEXT = {"context_length": 6, "vocab_size": 50, "width": 32, "heads": 2, "layers": 2}


def _tokenize(texts: list[str]) -> torch.Tensor:
    """Six ids from 1 to 48 a text, with the end-of-text id 49 at another place in each."""
    ids = [[1 + (7 * i + sum(map(ord, text))) % 48 for i in range(6)] for text in texts]
    for row, text in enumerate(texts):
        ids[row][2 + len(text) % 4] = 49
    return torch.tensor(ids)


@pytest.fixture(scope="module", params=[open_clip.CLIP, open_clip.CustomTextCLIP])
def transformer(request) -> Clip:
    """A CLIP of open_clip's transformers, of either class, with random weights."""
    torch.manual_seed(0)
    model = request.param(16, VISION, TEXT).eval().requires_grad_(False)
    return Clip(model, _tokenize, Path(), MEAN, STD)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (5, 3, 48, 48), generator=generator, dtype=torch.uint8)


def test_a_resnet_is_read_stage_by_stage(tiny_experiment, images):
    clip = tiny_experiment.original
    found = image_layers(clip, images, batch=2)
    assert list(found) == ["layer1", "layer2", "layer3", "layer4", "output"]
    tower = clip.model.visual
    state = tower.stem(clip.preprocess(images))
    for name in list(found)[:-1]:
        state = getattr(tower, name)(state)
        np.testing.assert_allclose(found[name], state.mean((2, 3)), atol=1e-5)
    np.testing.assert_allclose(found["output"], clip.encode_images(images), atol=1e-5)


def test_some_blocks_of_a_vision_transformer_are_read(transformer, images):
    found = image_layers(transformer, images, batch=2)
    assert list(found) == ["block2", "block3", "block4", "block6", "output"]
    own = transformer.model.forward_intermediates(
        image=transformer.preprocess(images), image_output_fmt="NLC", image_output_extra_tokens=True
    )
    for name in list(found)[:-1]:
        block = int(name.removeprefix("block")) - 1
        tokens = torch.cat(
            [own["image_intermediates_prefix"][block], own["image_intermediates"][block]], dim=1
        )
        np.testing.assert_allclose(found[name], tokens.mean(1), atol=1e-5)
    np.testing.assert_allclose(found["output"], own["image_features"], atol=1e-5)


def test_text_is_read_where_the_tower_pools(transformer):
    texts = ["a", "bc", "def", "ghij", "klmno"]
    found = text_layers(transformer, texts, batch=2)
    assert list(found) == ["block1", "block2", "output"]
    tokens = _tokenize(texts)
    own = transformer.model.forward_intermediates(text=tokens)
    ends = [row.index(49) for row in tokens.tolist()]
    for block, name in enumerate(("block1", "block2")):
        expected = own["text_intermediates"][block][range(5), ends]
        np.testing.assert_allclose(found[name], expected, atol=1e-5)
    np.testing.assert_allclose(found["output"], own["text_features"], atol=1e-5)


class _Bag(nn.Module):
    """A text tower of no kind that is known."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.embedding(tokens).mean(1)


def test_of_an_unknown_tower_only_the_output_is_read(tiny_experiment, images):
    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(16, VISION, TEXT)
    model.visual, model.text = nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 16)), _Bag()
    clip = Clip(model.eval().requires_grad_(False), _tokenize, Path(), MEAN, STD)
    assert list(image_layers(clip, images)) == ["output"]
    assert list(text_layers(clip, ["a", "b"])) == ["output"]
    found = probes({"original": clip}, tiny_experiment.task, draws=5)
    assert {m.condition for m in found.measures} == {"output"}
    assert ["image" in note for note in found.notes] == [True, False]


def test_no_hook_is_left_behind(tiny_experiment, images):
    clip = tiny_experiment.original
    image_layers(clip, images)
    text_layers(clip, ["a banana"])
    assert not any(module._forward_hooks for module in clip.model.modules())
