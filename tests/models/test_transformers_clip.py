"""A `CLIPModel` of transformers computes the same when open_clip's form of it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from support_clips import TEXTS
from transformers import CLIPConfig, CLIPModel

from erasekit.errors import ErasekitError, UsageError
from erasekit.models.clip import load_clip

TOWER = {"hidden_size": 16, "intermediate_size": 48, "num_hidden_layers": 2}
VISION = {**TOWER, "num_attention_heads": 2, "image_size": 16, "patch_size": 8}
PIXELS = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=["quick_gelu", "gelu"])
def published(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[CLIPModel, Path]:
    act = {"hidden_act": request.param}
    text = {**TOWER, **act, "num_attention_heads": 4, "max_position_embeddings": 12}
    vision = {**VISION, **act}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).eval()
    with torch.no_grad():
        for value in model.parameters():  # biases begin at 0, and gains at 1
            value.add_(torch.randn_like(value) * 0.1)
    return model, save(model, tmp_path / "m")


def save(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    pictures = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "resample": 2}
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    return folder


def edit(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_it_computes_the_same(published: tuple[CLIPModel, Path]) -> None:
    theirs, folder = published
    clip = load_clip(folder)
    tokens = open_clip.SimpleTokenizer(context_length=12)(TEXTS)
    assert torch.equal(clip.tokenizer(TEXTS), tokens)
    with torch.no_grad():
        found = theirs(input_ids=tokens, pixel_values=PIXELS)
        image = clip.model.encode_image(PIXELS, normalize=True)
        text = clip.model.encode_text(tokens, normalize=True)
    torch.testing.assert_close(image, found.image_embeds)
    torch.testing.assert_close(text, found.text_embeds)
    assert torch.equal(clip.model.logit_scale, theirs.logit_scale)
    assert (clip.mean, clip.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert clip.interpolation.value == "bilinear"


def test_it_is_saved_as_an_open_clip_folder(
    published: tuple[CLIPModel, Path], tmp_path: Path
) -> None:
    clip = load_clip(published[1])
    again = load_clip(clip.save(tmp_path / "saved"))
    assert again.fingerprint() == clip.fingerprint()
    assert (again.mean, again.interpolation) == (clip.mean, clip.interpolation)
    with torch.no_grad():
        torch.testing.assert_close(again.model.visual(PIXELS), clip.model.visual(PIXELS))
    plain = open_clip.create_model(f"local-dir:{tmp_path / 'saved'}")
    assert plain.state_dict().keys() == clip.model.state_dict().keys()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "siglip"}, "is a transformers model of type siglip: give a CLIPModel"),
        (
            {"vision_config": {**VISION, "hidden_act": "gelu_new"}},
            "no CLIP with hidden_act",
        ),
        ({"projection_dim": 99_999_999}, "describes at least 3,"),
        ({"projection_dim": "many"}, "many"),
        ({"vision_config": {**VISION, "num_attention_heads": 0}}, "cannot be loaded"),
    ],
)
def test_what_open_clip_has_no_form_of_is_one_line(
    published: tuple[CLIPModel, Path], change: dict[str, Any], words: str
) -> None:
    edit(published[1], **change)
    with pytest.raises(ErasekitError) as error:
        load_clip(published[1])
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_another_vocabulary_and_weights_in_parts_are_refused(
    published: tuple[CLIPModel, Path],
) -> None:
    folder = published[1]
    (folder / "vocab.json").write_text(json.dumps(open_clip.SimpleTokenizer().encoder))
    load_clip(folder)
    (folder / "vocab.json").write_text(json.dumps({"a": 0, "b": 1}))
    with pytest.raises(UsageError, match=r"vocab.json is not CLIP's vocabulary"):
        load_clip(folder)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(UsageError, match=r"without model.safetensors or pytorch_model.bin"):
        load_clip(folder)
