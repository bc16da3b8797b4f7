"""Captions read up to their ends have the features that open_clip gives them."""

from __future__ import annotations

import copy
from typing import Any, cast

import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from erasekit.models.encode_text import encode_text

CONTEXT, WORDS = 12, 40
TEXT: dict[str, Any] = {
    "context_length": CONTEXT,
    "vocab_size": WORDS,
    "width": 16,
    "heads": 2,
    "layers": 2,
}
VISION: Any = {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16}


def model(**text: object) -> Any:
    torch.manual_seed(0)
    made: Any = open_clip.CLIP(8, vision_cfg=VISION, text_cfg=cast(Any, {**TEXT, **text}))
    torch.nn.init.normal_(made.positional_embedding)  # so that a shifted text is another text
    return made.double()


def tokens_of(lengths: list[int], seed: int = 0) -> torch.Tensor:
    """Random captions of the given numbers of words, ended and padded."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.zeros(len(lengths), CONTEXT, dtype=torch.long)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = torch.randint(1, WORDS - 1, (length,), generator=generator)
        row[length] = WORDS - 1
    return rows


@given(st.lists(st.integers(0, CONTEXT - 1), min_size=1, max_size=60), st.booleans())
@settings(max_examples=25, deadline=None)
def test_every_caption_has_the_features_of_open_clip(lengths: list[int], normalize: bool) -> None:
    clip, tokens = model(), tokens_of(lengths)
    expected = clip.encode_text(tokens, normalize=normalize)
    torch.testing.assert_close(encode_text(clip, tokens, normalize=normalize), expected)


def test_gradients_are_those_of_open_clip() -> None:
    tokens = tokens_of([*range(CONTEXT)] * 6)
    weights = torch.randn(len(tokens), 8, dtype=torch.double)
    ours, theirs = model(), model()
    (encode_text(ours, tokens) * weights).sum().backward()
    (theirs.encode_text(tokens) * weights).sum().backward()
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, msg=name)


def test_short_captions_cost_less() -> None:
    """The transformer reads the words of each caption and not its padding."""
    clip, read = model(), []
    clip.transformer.register_forward_pre_hook(lambda _, args: read.append(args[0].shape[:2]))
    encode_text(clip, tokens_of([2] * 48 + [11] * 16))
    assert [tuple(shape) for shape in read] == [(48, 3), (16, 12)]


@pytest.mark.parametrize(
    "text",
    [{"no_causal_mask": True}, {"pool_type": "last"}, {"pool_type": "first"}],
    ids=["sees both ways", "pools last", "pools first"],
)
def test_other_towers_read_the_padding(text: dict[str, object]) -> None:
    clip, tokens = model(**text), tokens_of([2, 5, 7])
    torch.testing.assert_close(encode_text(clip, tokens), clip.encode_text(tokens))


def test_a_class_that_reads_otherwise_is_asked_itself() -> None:
    class Reversed(open_clip.CLIP):
        def encode_text(self, text, normalize=False):
            return super().encode_text(text.flip(1), normalize)

    clip = copy.deepcopy(model())
    clip.__class__ = Reversed
    tokens = tokens_of([2, 5, 7])
    assert torch.equal(encode_text(clip, tokens), clip.encode_text(tokens))
