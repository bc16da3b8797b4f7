"""The small LLaVA as it is built."""

from __future__ import annotations

import torch


def test_the_processor_prepares_pictures_as_the_clip_does(tiny_mllm, some_questions):
    inputs = tiny_mllm.original.encode(some_questions).inputs
    pictures = some_questions.images[[q.image for q in some_questions.visual]]
    expected = tiny_mllm.clip.original.preprocess(pictures)
    torch.testing.assert_close(inputs["pixel_values"], expected, atol=1e-5, rtol=1e-5)
