"""Models on disk: open_clip reads them alone, and damage is named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from support import fingerprint
from support_clips import (
    ODD,
    TEXTS,
    Hub,
    config,
    folder_of,
    own_words,
    publish,
)

from erasekit.errors import RunError
from erasekit.models.clip import (
    CONFIG_FILE,
    MEAN,
    STD,
    WEIGHTS_FILE,
    Clip,
    build_model,
    load_clip,
    normalise,
    read_config,
    remembering,
    with_random_weights,
)


@pytest.fixture
def folder(tiny_experiment, tmp_path: Path) -> Path:
    return tiny_experiment.original.save(tmp_path / "model")


def test_the_pooled_token_is_the_end_token(tiny_experiment) -> None:
    clip = tiny_experiment.original
    tokens = clip.tokenizer(list(tiny_experiment.world.pairs("train").captions))
    end = clip.model.vocab_size - 1
    assert int(tokens.max()) == end
    assert bool(((tokens == end).sum(1) == 1).all())  # each caption ends, none is cut
    last = tokens.argmax(1)
    after = torch.arange(tokens.shape[1]) > last.unsqueeze(1)
    assert bool((tokens[after] == 0).all())


def test_saving_and_loading_keeps_every_bit(tiny_experiment, folder: Path) -> None:
    assert fingerprint(load_clip(folder).model) == fingerprint(tiny_experiment.original.model)
    assert not load_clip(folder).model.training


def test_a_copy_has_weights_of_its_own(tiny_experiment) -> None:
    clip = tiny_experiment.original
    before = fingerprint(clip.model)
    copied = clip.copy()
    with torch.no_grad():
        for parameter in copied.model.parameters():
            parameter.add_(1)
    assert fingerprint(clip.model) == before


def test_features_are_normalised_and_free_of_the_batch(tiny_experiment) -> None:
    clip, pairs = tiny_experiment.original, tiny_experiment.world.pairs("test")
    image = clip.encode_images(pairs.images[:20])
    torch.testing.assert_close(image.norm(dim=1), torch.ones(20))
    torch.testing.assert_close(clip.encode_images(pairs.images[:20], batch=3), image)
    text = clip.encode_texts([*pairs.captions[:9], *pairs.captions[:9]])
    assert torch.equal(text[:9], text[9:])
    torch.testing.assert_close(clip.encode_texts(pairs.captions[:9], batch=2), text[:9])
    assert len(clip.encode_images(pairs.images[:0])) == len(clip.encode_texts([])) == 0


def test_preprocessing_is_open_clips() -> None:
    images = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8)
    found = normalise(images, MEAN, STD)
    for channel in range(3):
        expected = (images[:, channel] / 255 - MEAN[channel]) / STD[channel]
        torch.testing.assert_close(found[:, channel], expected)


def test_the_seed_decides_the_first_weights() -> None:
    config = read_config("erasekit-small")
    one, two, other = (fingerprint(build_model(config, seed)) for seed in (0, 0, 1))
    assert one == two != other


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
def test_a_folder_without_a_model_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(
        RunError, match=f"is not a model folder of open_clip or transformers: {name} is missing"
    ):
        load_clip(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"model_cfg": {}}'])
def test_a_damaged_configuration_is_named(folder: Path, text: str) -> None:
    (folder / CONFIG_FILE).write_text(text)
    with pytest.raises(RunError) as error:
        load_clip(folder)
    assert "\n" not in str(error.value)


def test_the_saved_configuration_is_open_clips_own(folder: Path) -> None:
    config = json.loads((folder / CONFIG_FILE).read_text())
    assert set(config) == {"model_cfg", "preprocess_cfg"}
    assert config["model_cfg"]["text_cfg"]["hf_tokenizer_name"]
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [CONFIG_FILE, WEIGHTS_FILE, "tokenizer.json", "tokenizer_config.json"]
    )
    shutil.rmtree(folder)
    with pytest.raises(RunError):
        load_clip(folder)


def test_pictures_of_another_size_are_resized_to_what_the_model_reads(tiny_experiment) -> None:
    clip = tiny_experiment.original
    pictures = tiny_experiment.world.pairs("test").images[:3]
    larger = torch.nn.functional.interpolate(pictures.float(), size=96, mode="bilinear")
    read = clip.preprocess(larger.round().to(torch.uint8))
    assert read.shape == (3, 3, 48, 48)
    # Twice the size and back again is nearly the picture itself.
    assert (read - clip.preprocess(pictures)).abs().mean() < 0.15
    assert torch.equal(clip.preprocess(pictures), normalise(pictures, clip.mean, clip.std))


def test_random_weights_are_of_the_same_shape_and_other_values(tiny_experiment) -> None:
    clip = tiny_experiment.original
    fresh = with_random_weights(clip, seed=3)
    shapes = {k: v.shape for k, v in clip.model.state_dict().items()}
    assert {k: v.shape for k, v in fresh.model.state_dict().items()} == shapes
    assert fresh.fingerprint() != clip.fingerprint()
    assert fresh.fingerprint() == with_random_weights(clip, seed=3).fingerprint()
    assert not fresh.model.training


def test_a_text_is_read_once():
    asked = []

    def tokenizer(texts):
        asked.append(texts)
        return torch.tensor([[len(text), ord(text[0])] for text in texts])

    tokens = remembering(tokenizer)
    assert tokens(["fox", "owl", "fox"]).tolist() == [[3, 102], [3, 111], [3, 102]]
    assert tokens(["ant", "owl"]).tolist() == [[3, 97], [3, 111]]
    assert asked == [["fox", "owl"], ["ant"]]


#: Run where erasekit cannot be imported, with nothing but open_clip.
ALONE = """
import sys
sys.modules["erasekit"] = None
import json, open_clip, torch
home, texts = sys.argv[1], json.loads(sys.argv[2])
torch.set_num_threads(int(sys.argv[3]))
found = {}
for way in sys.argv[4:]:
    name = f"local-dir:{home}/{way}"
    model, _, transform = open_clip.create_model_and_transforms(name, require_pretrained=True)
    model = model.eval().to(memory_format=torch.channels_last)
    tokens = open_clip.get_tokenizer(name)(texts)
    pixels = torch.load(f"{home}/{way}.pt").to(memory_format=torch.channels_last)
    with torch.no_grad():
        found[way] = {
            "tokens": tokens,
            "text": model.encode_text(tokens),
            "image": model.encode_image(pixels),
            "preprocessing": open_clip.get_model_preprocess_cfg(model),
        }
torch.save(found, f"{home}/found")
"""


@pytest.mark.usefixtures("architecture")
def test_whatever_was_loaded_is_saved_so_that_plain_open_clip_reads_it(
    hub: Hub, register: Callable[..., None], tiny_experiment, tmp_path: Path
) -> None:
    quick = config(quick=True)
    publish(hub, "timm/tiny.openai", quick)
    published = {"hf_hub": "timm/tiny.openai/", "quick_gelu": True, **ODD}
    register("tiny-quickgelu", "openai", **published)
    publish(hub, "org/model", quick)
    publish(hub, "org/worded", own_words(tmp_path / "words"))
    loaded = {
        "tag": load_clip("tiny-quickgelu:openai"),
        "hub": load_clip("hf-hub:org/model"),
        "hub-words": load_clip("hf-hub:org/worded"),
        "folder": load_clip(folder_of(tmp_path / "a", quick)),
        "folder-words": load_clip(folder_of(tmp_path / "b", own_words(tmp_path / "b"))),
        "trained": tiny_experiment.original.copy(),
    }
    home, pixels = tmp_path / "saved", {}
    for way, clip in loaded.items():
        with torch.no_grad():
            clip.model.logit_scale.add_(0.5)  # as an erasure changes it
        clip.save(home / way)
        pictures = torch.randint(0, 256, (2, 3, 48, 48), dtype=torch.uint8)
        pixels[way] = clip.preprocess(pictures)
        torch.save(pixels[way], home / f"{way}.pt")
    told = [str(home), json.dumps(TEXTS), str(torch.get_num_threads()), *loaded]
    subprocess.run([sys.executable, "-c", ALONE, *told], check=True, cwd=home)
    found = torch.load(home / "found", weights_only=True)
    for way, clip in loaded.items():
        mine = found[way]
        with torch.no_grad():
            assert torch.equal(mine["tokens"], clip.tokenizer(TEXTS))
            assert torch.equal(mine["text"], clip.model.encode_text(mine["tokens"]))
            assert torch.equal(mine["image"], clip.model.encode_image(pixels[way]))
        kept = {key: mine["preprocessing"][key] for key in ODD}
        assert (tuple(kept["mean"]), tuple(kept["std"])) == (clip.mean, clip.std)
        assert way == "trained" or json.loads(json.dumps(kept)) == ODD
        again = load_clip(home / way)
        assert again.fingerprint() == clip.fingerprint()
        assert again.config == clip.config
        assert (again.mean, again.std) == (clip.mean, clip.std)
        assert torch.equal(again.tokenizer(TEXTS), clip.tokenizer(TEXTS))


@pytest.mark.usefixtures("architecture")
def test_a_model_built_by_hand_is_not_saved(tmp_path: Path) -> None:
    clip = Clip(open_clip.CLIP(**config()), lambda texts: torch.zeros(1), None, (0.0,), (1.0,))
    with pytest.raises(RunError, match="no configuration to save"):
        clip.save(tmp_path / "m")


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.usefixtures("architecture")
def test_pictures_are_resized_as_the_models_preprocessing_says(
    tmp_path: Path, interpolation: str
) -> None:
    """Square pictures: then all of open_clip's ways to resize are one."""
    folder = folder_of(tmp_path / "m", config())
    said = {"model_cfg": config(), "preprocess_cfg": {**ODD, "interpolation": interpolation}}
    (folder / CONFIG_FILE).write_text(json.dumps(said))
    clip = load_clip(folder)
    pictures = torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8)
    found = clip.preprocess(pictures)
    for mode in ("shortest", "longest", "squash"):
        wanted = {**ODD, "interpolation": interpolation, "resize_mode": mode}
        transform = image_transform_v2(PreprocessCfg(size=16, **wanted), is_train=False)
        for picture, mine in zip(pictures, found, strict=True):
            theirs = transform(Image.fromarray(np.moveaxis(picture.numpy(), 0, 2)))
            # A step of 1/255 in rounding, divided by the least deviation.
            assert (mine - theirs).abs().max() < 2.01 / 255 / 0.4
