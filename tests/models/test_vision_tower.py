"""What the image tower hands to the language model."""

from __future__ import annotations

import torch
from torch.nn import functional


def test_a_token_is_a_place_of_the_tower_with_the_embedding_beside_it(tiny_mllm):
    original, clip = tiny_mllm.original, tiny_mllm.clip.original
    pixels = clip.preprocess(tiny_mllm.task.visual.images[:3])
    tokens = original.model.model.vision_tower(pixels).last_hidden_state
    visual = clip.model.visual
    places = visual.layer3(visual.layer2(visual.layer1(visual.stem(pixels))))
    embedding = functional.normalize(clip.model.encode_image(pixels), dim=1)
    width = places.shape[1]
    assert tokens.shape == (3, places.shape[2] * places.shape[3], width + embedding.shape[1])
    torch.testing.assert_close(tokens[:, 1, :width], places.flatten(2)[:, :, 1])
    for place in range(tokens.shape[1]):
        scaled = tokens[:, place, width:] / embedding.shape[1] ** 0.5
        torch.testing.assert_close(scaled, embedding, atol=1e-5, rtol=1e-4)
