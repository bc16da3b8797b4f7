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
from safetensors.torch import load_file, save_file
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

from erasekit.errors import RunError, UsageError
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

#: Run where erasekit cannot be imported, with nothing but open_clip.
ALONE = """
import sys
sys.modules["erasekit"] = None
try:
    import erasekit
except ImportError:
    pass
else:
    raise SystemExit("erasekit was imported after all")
import open_clip, torch
folder, texts, picture, out = sys.argv[1], open(sys.argv[2]).read().split("\\n"), *sys.argv[3:]
torch.set_num_threads(int(open(sys.argv[2] + ".threads").read()))
model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}", require_pretrained=True)
model = model.eval().to(memory_format=torch.channels_last)
tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(texts)
pixels = torch.load(picture).to(memory_format=torch.channels_last)
with torch.no_grad():
    torch.save({
        "tokens": tokens,
        "text": model.encode_text(tokens, normalize=True),
        "image": model.encode_image(pixels, normalize=True),
        "mean": open_clip.get_model_preprocess_cfg(model)["mean"],
        "std": open_clip.get_model_preprocess_cfg(model)["std"],
    }, out)
"""


@pytest.fixture
def folder(tiny_experiment, tmp_path: Path) -> Path:
    return tiny_experiment.original.save(tmp_path / "model")


def test_plain_open_clip_reads_the_folder(tiny_experiment, folder: Path, tmp_path: Path) -> None:
    clip = tiny_experiment.original
    test = tiny_experiment.world.pairs("test")
    texts = list(dict.fromkeys(test.captions))[:60]
    pixels = clip.preprocess(test.images[:40])
    (tmp_path / "texts").write_text("\n".join(texts), encoding="utf-8")
    (tmp_path / "texts.threads").write_text(str(torch.get_num_threads()))
    torch.save(pixels, tmp_path / "pixels.pt")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    files = [str(tmp_path / name) for name in ("texts", "pixels.pt", "out.pt")]
    subprocess.run(
        [sys.executable, "-c", ALONE, str(folder), *files],
        check=True,
        cwd=elsewhere,
    )
    found = torch.load(tmp_path / "out.pt")
    assert torch.equal(found["tokens"], clip.tokenizer(texts))
    assert torch.equal(found["text"], clip.encode_texts(texts))
    assert torch.equal(found["image"], clip.encode_images(test.images[:40]))
    assert tuple(found["mean"]) == clip.mean
    assert tuple(found["std"]) == clip.std


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
    with pytest.raises(RunError, match=f"is not an open_clip model folder: {name} is missing"):
        load_clip(folder)


def test_damaged_weights_are_named(folder: Path) -> None:
    path = folder / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(RunError, match="cannot be loaded"):
        load_clip(folder)


def test_weights_of_another_shape_are_named(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS_FILE)
    weights["text_projection"] = weights["text_projection"][:, :-1].clone()
    save_file(weights, folder / WEIGHTS_FILE)
    with pytest.raises(RunError, match="cannot be loaded"):
        load_clip(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"model_cfg": {}}'])
def test_a_damaged_configuration_is_named(folder: Path, text: str) -> None:
    (folder / CONFIG_FILE).write_text(text)
    with pytest.raises(RunError) as error:
        load_clip(folder)
    assert "\n" not in str(error.value)


def test_a_folder_without_its_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(RunError, match="cannot be loaded"):
        load_clip(folder)


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


def test_a_pretrained_tag_that_open_clip_does_not_know_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'openai'"):
        load_clip("ViT-B-32:openia")


def test_a_pretrained_model_that_cannot_be_fetched_is_one_line(monkeypatch) -> None:
    def offline(*_args, **_kwargs):
        raise OSError("no network\nand much more text")

    monkeypatch.setattr("open_clip.download_pretrained", offline)
    with pytest.raises(RunError) as error:
        load_clip("ViT-B-32-quickgelu:openai")
    assert str(error.value) == (
        "the weights ViT-B-32-quickgelu:openai could not be fetched: no network. Without a "
        "network, give a local copy: ViT-B-32-quickgelu:FILE"
    )


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
EACH_ALONE = """
import sys
sys.modules["erasekit"] = None
import json, open_clip, torch
home, texts = sys.argv[1], json.loads(sys.argv[2])
pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
found = {}
for way in sys.argv[3:]:
    name = f"local-dir:{home}/{way}"
    model, _, transform = open_clip.create_model_and_transforms(name, require_pretrained=True)
    tokens = open_clip.get_tokenizer(name)(texts)
    with torch.no_grad():
        found[way] = {
            "tokens": tokens,
            "text": model.eval().encode_text(tokens),
            "image": model.encode_image(pixels),
            "preprocessing": open_clip.get_model_preprocess_cfg(model),
        }
torch.save(found, f"{home}/found")
"""


@pytest.mark.usefixtures("architecture")
def test_whatever_was_loaded_is_saved_so_that_plain_open_clip_reads_it(
    hub: Hub, register: Callable[..., None], tmp_path: Path
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
    }
    home = tmp_path / "saved"
    for way, clip in loaded.items():
        with torch.no_grad():
            clip.model.logit_scale.add_(0.5)  # as an erasure changes it
        clip.save(home / way)
    told = [str(home), json.dumps(TEXTS), *loaded]
    subprocess.run([sys.executable, "-c", EACH_ALONE, *told], check=True)
    found = torch.load(home / "found", weights_only=True)
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    for way, clip in loaded.items():
        mine = found[way]
        with torch.no_grad():
            assert torch.equal(mine["tokens"], clip.tokenizer(TEXTS))
            torch.testing.assert_close(mine["text"], clip.model.encode_text(mine["tokens"]))
            torch.testing.assert_close(mine["image"], clip.model.encode_image(pixels))
        kept = {key: mine["preprocessing"][key] for key in ODD}
        assert json.loads(json.dumps(kept)) == ODD
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
