"""Cut and sorted rows give open_clip's own features and gradients; other towers get whole rows."""

from __future__ import annotations

import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from erasekit.models import text_features
from erasekit.models.text_features import encode_text

VISION = {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16}
TEXT = {"context_length": 12, "vocab_size": 50, "width": 16, "heads": 2, "layers": 2}
END = 49


def made(kind: type, **text: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return kind(8, VISION, {**TEXT, **text}).double().eval()


MODELS = {
    "argmax": made(open_clip.CLIP),
    "eos": made(open_clip.CLIP, pool_type="eos", eos_id=END),
    "custom": made(open_clip.CustomTextCLIP),
    "custom-eos": made(open_clip.CustomTextCLIP, pool_type="eos", eos_id=END),
}


def rows(lengths: list[int], seed: int = 0) -> torch.Tensor:
    """Token ids whose end token is at each length's last place, and other ids after it."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, END, (len(lengths), 12), generator=generator)
    tokens[torch.arange(len(lengths)), torch.tensor(lengths) - 1] = END
    return tokens


def reached(model: torch.nn.Module, tokens: torch.Tensor) -> list[tuple[int, ...]]:
    """Shapes of the token ids that the model embeds."""
    seen: list[tuple[int, ...]] = []
    tower = getattr(model, "text", model)
    hook = tower.token_embedding.register_forward_hook(
        lambda _module, args, _made: seen.append(tuple(args[0].shape))
    )
    try:
        encode_text(model, tokens)
    finally:
        hook.remove()
    return seen


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=9),
    least=st.integers(1, 9),
    kind=st.sampled_from(sorted(MODELS)),
    normalize=st.booleans(),
)
def test_features_and_gradients_are_those_of_the_whole_rows(lengths, least, kind, normalize):
    model, tokens = MODELS[kind], rows(lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_features, "LEAST_ROWS", least)
        own = encode_text(model, tokens, normalize)
    whole = model.encode_text(tokens, normalize=normalize)
    torch.testing.assert_close(own, whole)
    weights = [p for n, p in model.named_parameters() if "visual" not in n and "logit" not in n]
    direction = torch.randn_like(whole)
    for mine, theirs in zip(
        torch.autograd.grad((own * direction).sum(), weights, retain_graph=True),
        torch.autograd.grad((whole * direction).sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


def test_what_follows_the_longest_row_of_a_piece_is_not_computed(monkeypatch):
    monkeypatch.setattr(text_features, "LEAST_ROWS", 2)
    assert reached(MODELS["argmax"], rows([9, 3, 5, 4, 2, 3])) == [(2, 3), (2, 4), (2, 9)]
    assert reached(MODELS["argmax"], rows([9, 3])) == [(2, 9)]


def test_a_tower_that_reads_on_after_the_end_gets_whole_rows():
    for model in (
        made(open_clip.CustomTextCLIP, no_causal_mask=True),
        made(open_clip.CLIP, pool_type="last"),
        made(open_clip.CustomTextCLIP, embed_cls=True),
    ):
        tokens = rows([3, 5])
        assert reached(model, tokens) == [(2, 12)]
        assert torch.equal(encode_text(model, tokens), model.encode_text(tokens))


def test_the_model_is_as_before_and_no_row_is_no_error():
    model = MODELS["custom"]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    mask = model.text.attn_mask
    assert encode_text(model, rows([4, 2])).shape == (2, 8)
    assert encode_text(model, torch.zeros(0, 12, dtype=torch.long)).shape == (0, 8)
    assert model.text.attn_mask is mask
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
