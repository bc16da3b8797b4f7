"""Training a LLaVA leaves its tower alone."""

from __future__ import annotations

import torch


def test_training_leaves_the_tower_bit_identical(tiny_mllm):
    own = tiny_mllm.clip.original.model.visual.state_dict()
    inside = tiny_mllm.original.model.model.vision_tower.visual.state_dict()
    assert own.keys() == inside.keys()
    assert all(torch.equal(own[name], inside[name]) for name in own)


def test_the_oracle_stands_on_the_oracles_tower_and_saw_nothing_forgotten(tiny_mllm):
    own = tiny_mllm.clip.oracle.model.visual.state_dict()
    inside = tiny_mllm.oracle.model.model.vision_tower.visual.state_dict()
    assert all(torch.equal(own[name], inside[name]) for name in own)
    assert not len(tiny_mllm.task.retain.about_any(tiny_mllm.task.forgotten))
    assert len(tiny_mllm.task.text.about_any(tiny_mllm.task.forgotten)), "it is told of them"
