"""Every way to name a CLIP, on small random weights in the published formats; never on real ones.

A tiny architecture stands in for open_clip's, and a server on this machine for the hub.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file
from support_clips import (
    ODD,
    Hub,
    assert_equals,
    config,
    folder_of,
    own_words,
    publish,
    transformers_config,
    weights,
)

from erasekit.errors import ErasekitError, RunError, UsageError
from erasekit.models.clip import CONFIG_FILE, WEIGHTS_FILE, load_clip

pytestmark = pytest.mark.usefixtures("architecture")


def plain(state: dict[str, torch.Tensor]) -> Any:
    return state


def as_trainer(state: dict[str, torch.Tensor]) -> Any:
    """A checkpoint of open_clip's trainer on several devices."""
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()
    optimizer.step()
    named = {f"module.{k}": v for k, v in state.items()}
    return {
        "epoch": 20,
        "name": "2024_01_01-model_tiny-lr_0.0005",
        "state_dict": named,
        "optimizer": optimizer.state_dict(),
        "scaler": torch.amp.GradScaler("cpu").state_dict(),
    }


def as_openai(state: dict[str, torch.Tensor]) -> Any:
    """OpenAI's form: the model's sizes among its weights."""
    sizes = {"input_resolution": 16, "context_length": 12, "vocab_size": 49408}
    return {**state, **{name: torch.tensor(value) for name, value in sizes.items()}}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("w.safetensors", plain),
        ("w.pt", plain),
        ("w.bin", plain),
        ("epoch_20.pt", as_trainer),
    ],
)
def test_a_file_of_weights_is_read_in_every_published_form(
    tmp_path: Path, name: str, form: Callable[..., Any]
) -> None:
    path = tmp_path / name
    state = form(weights(config()))
    (save_file if path.suffix == ".safetensors" else torch.save)(state, path)
    assert_equals(load_clip(f"tiny:{path}"), config())
    assert_equals(load_clip("tiny", pretrained=str(path)), config())


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_openais_form_is_read_and_asks_for_quickgelu(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    state = as_openai(weights(config()))
    (save_file if path.suffix == ".safetensors" else torch.save)(state, path)
    assert_equals(load_clip(f"tiny-quickgelu:{path}"), config(quick=True))
    with pytest.raises(UsageError, match=rf"with QuickGELU: use tiny-quickgelu:{path}$"):
        load_clip(f"tiny:{path}")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("form", [torch.float16, torch.bfloat16])
def test_half_precision_weights_become_full_once_their_activation_is_said(
    tmp_path: Path, name: str, form: torch.dtype
) -> None:
    path = tmp_path / name
    state = {k: v.to(form) for k, v in weights(config()).items()}
    (save_file if path.suffix == ".safetensors" else torch.save)(state, path)
    said = (
        f"write tiny-quickgelu:{path} if it was (as OpenAI's models were), or tiny-gelu:{path} if"
    )
    for asked in (f"tiny:{path}", str(path)):
        with pytest.raises(UsageError) as error:
            load_clip(asked)
        assert said in str(error.value)
    for asked, quick in (("tiny-gelu", False), ("tiny-quickgelu", True)):
        model = load_clip(f"{asked}:{path}").model
        assert {v.dtype for v in model.state_dict().values()} == {torch.float32}
        assert all(torch.equal(model.state_dict()[k], v.float()) for k, v in state.items())
        expected = open_clip.CLIP(**config(quick))
        expected.load_state_dict(state)
        pixels = torch.ones(1, 3, 16, 16)
        with torch.no_grad():
            torch.testing.assert_close(model.visual(pixels), expected.eval().visual(pixels))


def test_a_half_precision_file_under_a_published_name_is_not_asked_about(
    tmp_path: Path, register: Callable[..., None]
) -> None:
    register("tiny", "one", url="https://example.org/known.pt")
    torch.save({k: v.half() for k, v in weights(config()).items()}, tmp_path / "known.pt")
    load_clip(f"tiny:{tmp_path / 'known.pt'}")
    load_clip(tmp_path / "known.pt")


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("where", ["file", "folder"])
def test_a_pickle_is_never_unpickled(tmp_path: Path, where: str) -> None:
    mark = tmp_path / "ran"
    trap = pickle.dumps({"state_dict": Trap(mark)})
    if where == "file":
        (tmp_path / "w.pt").write_bytes(trap)
        name = f"tiny:{tmp_path / 'w.pt'}"
    else:
        name = str(tmp_path)
        (tmp_path / CONFIG_FILE).write_text(json.dumps({"model_cfg": config()}))
        (tmp_path / "open_clip_pytorch_model.bin").write_bytes(trap)
    with pytest.raises(RunError, match="could run any code: save the weights alone") as error:
        load_clip(name)
    assert "\n" not in str(error.value)
    assert not mark.exists()
    pickle.loads(trap)
    assert mark.exists()  # the trap does spring


def test_torchscript_is_code_and_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    with pytest.raises(RunError, match=r"TorchScript") as error:
        load_clip(f"tiny:{path}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "missing", "nothing"])
def test_damaged_weights_are_one_line(tmp_path: Path, file: Path, damage: str) -> None:
    state = load_file(file)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "other":
        state["text_projection"] = state["text_projection"][:, :-1].clone()
        save_file(state, file)
    elif damage == "missing":
        del state["text_projection"]
        save_file(state, file)
    else:
        save_file({}, file)
    with pytest.raises(RunError, match=f"model tiny:{file} cannot be loaded: ") as error:
        load_clip(f"tiny:{file}")
    assert "\n" not in str(error.value)


def test_a_file_is_read_with_the_preprocessing_that_its_architecture_wants(
    file: Path, register: Callable[..., None]
) -> None:
    assert load_clip(f"tiny:{file}").mean == open_clip.OPENAI_DATASET_MEAN
    register("tiny", "one", url="", **ODD)
    register("tiny", "two", url="", **ODD)
    clip = load_clip(f"tiny:{file}")
    assert (clip.mean, clip.std) == (tuple(ODD["mean"]), tuple(ODD["std"]))
    register("tiny", "three", url="", **{**ODD, "mean": (0.0, 0.0, 0.0)})  # no longer of one mind
    assert load_clip(f"tiny:{file}").mean == open_clip.OPENAI_DATASET_MEAN


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ViT-B-32-quickgelu:openia", "did you mean 'openai'?"),
        ("tiny:openai", "no pretrained weights of tiny: give tiny:FILE"),
    ],
)
def test_an_unknown_tag_is_refused(name: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        load_clip(name)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "name", ["open_clip_pytorch_model.bin", "open_clip_pytorch_model.safetensors", "own.pth"]
)
def test_a_folder_may_hold_its_weights_under_any_published_name(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path / "m", config())
    (folder / WEIGHTS_FILE).unlink()
    save = save_file if name.endswith("safetensors") else torch.save
    save(weights(config(), seed=3), folder / name)
    assert_equals(load_clip(f"local-dir:{folder}"), config(), seed=3)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("", "embed_dim", 99_999_999),
        ("text_cfg", "vocab_size", 10**12),
        ("vision_cfg", "layers", [1, 10**9]),
        ("vision_cfg", "width", 10**6),
    ],
)
def test_a_model_larger_than_its_weights_is_refused_before_any_memory_is_taken(
    tmp_path: Path, part: str, name: str, value: Any
) -> None:
    cfg = config()
    save_file(weights(cfg), tmp_path / WEIGHTS_FILE)
    (cfg[part] if part else cfg)[name] = value
    (tmp_path / CONFIG_FILE).write_text(json.dumps({"model_cfg": cfg}))
    with pytest.raises(UsageError, match=r"describes at least [\d,]+ weights, and open_clip_model"):
        load_clip(tmp_path)


@pytest.mark.parametrize(
    ("part", "name", "value"), [("", "embed_dim", "8"), ("text_cfg", "context_length", -1)]
)
def test_a_size_that_is_none_is_refused(tmp_path: Path, part: str, name: str, value: Any) -> None:
    cfg = config()
    save_file(weights(cfg), tmp_path / WEIGHTS_FILE)
    (cfg[part] if part else cfg)[name] = value
    (tmp_path / CONFIG_FILE).write_text(json.dumps({"model_cfg": cfg}))
    with pytest.raises(ErasekitError, match=r"cannot be loaded|describes"):
        load_clip(tmp_path)


def test_a_hub_cache_folder_is_the_model_of_its_main_snapshot(tmp_path: Path) -> None:
    """As the hub's client lays it out: links from a snapshot to blobs."""
    home = tmp_path / "models--org--name"
    plain = folder_of(tmp_path / "plain", config())
    snapshot = home / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (home / "blobs").mkdir()
    for number, path in enumerate(sorted(plain.iterdir())):
        path.rename(home / "blobs" / str(number))
        (snapshot / path.name).symlink_to(Path("../../blobs") / str(number))
    for place in (home, snapshot, f"local-dir:{home}"):
        assert_equals(load_clip(place), config())


def test_two_files_of_weights_are_not_guessed_between(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m", config())
    (folder / WEIGHTS_FILE).rename(folder / "a.safetensors")
    shutil.copy(folder / "a.safetensors", folder / "b.safetensors")
    with pytest.raises(RunError, match=r"several files of weights \(a.safetensors, b.safeten"):
        load_clip(folder)


def test_a_vocabulary_of_another_size_is_an_unknown_tokenizer(tmp_path: Path) -> None:
    cfg = config(vocab_size=300)
    with pytest.raises(RunError, match="has 300 words, and its configuration names no tokenizer"):
        load_clip(folder_of(tmp_path / "m", cfg))


def test_a_tokenizer_of_more_words_than_the_model_is_refused(tmp_path: Path) -> None:
    cfg = own_words(tmp_path / "m")
    cfg["text_cfg"]["vocab_size"] = 50
    with pytest.raises(RunError, match="has 50 words, and its tokenizer writes number"):
        load_clip(folder_of(tmp_path / "m", cfg))


@pytest.mark.parametrize("kind", ["CLIPTokenizer", "T5TokenizerFast", "PreTrainedTokenizerFast"])
def test_a_tokenizer_without_its_vocabulary_is_refused(tmp_path: Path, kind: str) -> None:
    """transformers makes an empty one of some kinds, which reads every word alike."""
    cfg = own_words(tmp_path / "m")
    (tmp_path / "m" / "tokenizer.json").unlink()
    said = json.dumps({"tokenizer_class": kind})
    (tmp_path / "m" / "tokenizer_config.json").write_text(said)
    with pytest.raises(RunError, match=r"cannot be loaded: .*tokenizer") as error:
        load_clip(folder_of(tmp_path / "m", cfg))
    assert "\n" not in str(error.value)


def test_a_tokenizer_brings_no_code(tmp_path: Path) -> None:
    """Neither because its own files ask for it, nor because the configuration allows it."""
    folder, mark = tmp_path / "m", tmp_path / "ran"
    cfg = own_words(folder)
    cfg["text_cfg"]["tokenizer_kwargs"] = {"trust_remote_code": True}
    folder_of(folder, cfg)
    asked = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(asked))
    (folder / "own.py").write_text(f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n")
    with pytest.raises(ErasekitError, match="tokenizer"):
        load_clip(folder)
    assert not mark.exists()


def test_a_tokenizer_that_is_not_here_is_named(hub: Hub, file: Path, tmp_path: Path) -> None:
    named = {**config(), "text_cfg": {**config()["text_cfg"], "hf_tokenizer_name": "org/words"}}
    (tmp_path / "configs" / "worded.json").write_text(json.dumps(named))
    open_clip.add_model_config(tmp_path / "configs")
    with pytest.raises(RunError, match="its tokenizer 'org/words' could not be fetched") as error:
        load_clip(f"worded:{file}")
    assert "\n" not in str(error.value)
    assert "local-dir:PATH" in str(error.value)


def test_a_tag_is_fetched_and_cached(hub: Hub, register: Callable[..., None]) -> None:
    publish(hub, "timm/tiny.openai", config(quick=True))
    published = {"hf_hub": "timm/tiny.openai/", "quick_gelu": True, **ODD}
    register("tiny-quickgelu", "openai", **published)
    clip = load_clip("tiny-quickgelu:openai")
    assert_equals(clip, config(quick=True))
    assert (clip.mean, clip.std) == (tuple(ODD["mean"]), tuple(ODD["std"]))
    hub.files.clear()
    assert_equals(load_clip("tiny-quickgelu:openai"), config(quick=True))


def test_a_model_on_the_hub_is_fetched(hub: Hub) -> None:
    publish(hub, "org/model", config(quick=True))
    clip = load_clip("hf-hub:org/model")
    assert_equals(clip, config(quick=True))
    assert clip.folder is None
    assert (clip.mean, clip.std) == (tuple(ODD["mean"]), tuple(ODD["std"]))


def test_older_repositories_hold_a_bin(hub: Hub, tmp_path: Path) -> None:
    torch.save(weights(config(), seed=5), tmp_path / "w.bin")
    older = {"open_clip_pytorch_model.bin": (tmp_path / "w.bin").read_bytes()}
    publish(hub, "org/model", config(), **{WEIGHTS_FILE: None, **older})
    assert_equals(load_clip("hf-hub:org/model"), config(), seed=5)


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({CONFIG_FILE: None}, RunError, "its repository has no open_clip_config.json"),
        ({WEIGHTS_FILE: None}, RunError, "the weights of hf-hub:org/model could not be fetched"),
        ({CONFIG_FILE: b"{}"}, RunError, "has no model_cfg with vision_cfg and text_cfg"),
        ({CONFIG_FILE: b"{"}, RunError, "it is not valid JSON"),
        (
            {"config.json": json.dumps(transformers_config("quick_gelu")).encode()},
            UsageError,
            "which is the architecture tiny-quickgelu",
        ),
    ],
)
def test_what_a_repository_lacks_is_named(
    hub: Hub, more: dict[str, Any], error: type[Exception], words: str
) -> None:
    publish(hub, "org/model", config(), **{"notes.txt": b"x", **more})
    with pytest.raises(error) as found:
        load_clip("hf-hub:org/model")
    assert words in str(found.value)
    assert "\n" not in str(found.value)


def test_a_repository_that_is_not_there_is_named(hub: Hub) -> None:
    with pytest.raises(RunError, match="no such repository, or it is private or gated"):
        load_clip("hf-hub:org/model")


@pytest.mark.parametrize(
    ("name", "instead"),
    [("tiny-quickgelu:openai", "tiny-quickgelu:FILE"), ("hf-hub:org/model", "local-dir:PATH")],
)
def test_without_a_network_it_says_so_and_what_to_give(
    hub: Hub, register: Callable[..., None], name: str, instead: str
) -> None:
    register("tiny-quickgelu", "openai", hf_hub="timm/tiny.openai/", quick_gelu=True)
    hub.shutdown()
    hub.server_close()
    with pytest.raises(RunError, match=f"could not be fetched: .*local copy: {instead}$") as error:
        load_clip(name)
    assert "\n" not in str(error.value)
