"""Every way to name a CLIP, on small random weights in the published formats; never on real ones.

A tiny architecture stands in for open_clip's, and a server on this machine for the hub.
"""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip import factory
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import load_file, save_file
from support import fingerprint

from erasekit.errors import ErasekitError, RunError, UsageError
from erasekit.models.clip import CONFIG_FILE, WEIGHTS_FILE, Clip, load_clip
from erasekit.models.pretrained import InFolder, Named, OnHub, architectures, check_model
from erasekit.models.tokenizer import save_tokenizer, train_tokenizer

TEXTS = ["a photo of a red cat", "two dogs", "", "ein Hund im Schnee 42"]
COMMIT = "0" * 40
#: Preprocessing that no default has, so that a lost one is seen.
ODD = {
    "mean": [0.1, 0.2, 0.3],
    "std": [0.4, 0.5, 0.6],
    "interpolation": "bilinear",
    "resize_mode": "squash",
}


def config(quick: bool = False, **text: Any) -> dict[str, Any]:
    """An open_clip configuration of a few thousand weights beside its vocabulary."""
    tower = {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8}
    words = {"context_length": 12, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}
    quickly = {"quick_gelu": True} if quick else {}
    return {"embed_dim": 8, **quickly, "vision_cfg": tower, "text_cfg": {**words, **text}}


def weights(cfg: dict[str, Any], seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    plain = {**cfg, "text_cfg": {**cfg["text_cfg"]}}
    plain["text_cfg"].pop("hf_tokenizer_name", None)
    return open_clip.CLIP(**plain).state_dict()


@pytest.fixture(autouse=True)
def architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Register `tiny` and `tiny-quickgelu` with open_clip, for one test."""
    monkeypatch.setattr(factory, "_MODEL_CONFIG_PATHS", list(factory._MODEL_CONFIG_PATHS))
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", dict(factory._MODEL_CONFIGS))
    home = tmp_path / "configs"
    home.mkdir()
    for name, quick in (("tiny", False), ("tiny-quickgelu", True)):
        (home / f"{name}.json").write_text(json.dumps(config(quick)))
    open_clip.add_model_config(home)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a pretrained tag on open_clip's list, for one test."""
    from open_clip import pretrained

    def add(name: str, tag: str, **published: Any) -> None:
        tags = {**pretrained._PRETRAINED.get(name, {}), tag: published}
        monkeypatch.setitem(pretrained._PRETRAINED, name, tags)

    return add


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_file(weights(config()), path)
    return path


class Hub(ThreadingHTTPServer):
    """What a client of the hub asks of it, for files given as {"ORG/NAME/FILE": bytes}."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[str, bytes] = {}


class _Answer(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        hub = self.server
        assert isinstance(hub, Hub)
        org, name, *_, file = self.path.strip("/").split("/")
        content = hub.files.get(f"{org}/{name}/{file}")
        if content is None:
            known = any(path.startswith(f"{org}/{name}/") for path in hub.files)
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("ETag", f'"{abs(hash(content)):x}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_GET = do_HEAD  # noqa: N815 - the base class finds it by this name

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on loopback with an empty cache; it holds nothing until a test fills it."""
    from huggingface_hub import constants

    server = Hub()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    place = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        place + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "ENDPOINT", place)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    # A client of the hub waits longer and longer between its tries.
    hasty = SimpleNamespace(**{**vars(time), "sleep": lambda seconds: None})
    monkeypatch.setattr("huggingface_hub.utils._http.time", hasty)
    yield server
    server.shutdown()
    server.server_close()


def publish(hub: Hub, repository: str, cfg: dict[str, Any], **more: Any) -> None:
    """Put a model on the hub as open_clip publishes it."""
    from safetensors.torch import save

    files = {
        CONFIG_FILE: json.dumps({"model_cfg": cfg, "preprocess_cfg": ODD}).encode(),
        WEIGHTS_FILE: save(weights(cfg)),
    }
    for name, content in {**files, **more}.items():
        if content is not None:
            hub.files[f"{repository}/{name}"] = content


def assert_equals(clip: Clip, cfg: dict[str, Any], seed: int = 0) -> None:
    """That the model is the one of these weights, and computes what plain open_clip does."""
    expected = open_clip.CLIP(**cfg)
    expected.load_state_dict(weights(cfg, seed))
    expected.eval()
    assert fingerprint(clip.model) == fingerprint(expected)
    tokens = open_clip.SimpleTokenizer(context_length=12)(TEXTS)
    assert torch.equal(clip.tokenizer(TEXTS), tokens)
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():  # the activation shows here alone
        torch.testing.assert_close(clip.model.encode_text(tokens), expected.encode_text(tokens))
        torch.testing.assert_close(clip.model.encode_image(pixels), expected.encode_image(pixels))


# --- a file of weights --------------------------------------------------------------------------


def plain(state: dict[str, torch.Tensor]) -> Any:
    return state


def as_laion(state: dict[str, torch.Tensor]) -> Any:
    """A checkpoint of a training on several devices."""
    return {"epoch": 32, "name": "run", "state_dict": {f"module.{k}": v for k, v in state.items()}}


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
        ("w.pt", as_laion),
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


def test_half_precision_weights_become_full(tmp_path: Path) -> None:
    state = {k: v.half() for k, v in weights(config()).items()}
    torch.save(state, tmp_path / "w.pt")
    found = load_clip(f"tiny:{tmp_path / 'w.pt'}").model.state_dict()
    assert {v.dtype for v in found.values()} == {torch.float32}
    assert all(torch.equal(found[k], v.float()) for k, v in state.items())


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


# --- names --------------------------------------------------------------------------------------


def test_names_are_read() -> None:
    assert check_model("ViT-B-32-quickgelu:openai") == Named("ViT-B-32-quickgelu", "openai")
    assert check_model("ViT-B-32-quickgelu", "openai") == Named("ViT-B-32-quickgelu", "openai")
    assert check_model("ViT-B/32:openai") == Named("ViT-B-32", "openai")
    assert check_model("hf-hub:laion/CLIP-x_1.0") == OnHub("laion/CLIP-x_1.0")
    assert check_model(Path("anything")) == InFolder(Path("anything"))


def test_a_folder_is_named_with_or_without_its_prefix(tmp_path: Path) -> None:
    assert check_model(str(tmp_path)) == check_model(f"local-dir:{tmp_path}") == InFolder(tmp_path)


def test_a_file_in_reach_does_not_hide_a_tag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("openai").touch()
    assert check_model("ViT-B-32:openai") == Named("ViT-B-32", "openai")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("ViT-B-23:openai",), "unknown architecture 'ViT-B-23': did you mean 'ViT-B-32'?"),
        (("ViT-B-23",), "unknown model 'ViT-B-23': did you mean 'ViT-B-32'?"),
        (("runs/nothing",), "runs/nothing does not exist: give an open_clip model folder"),
        (("ViT-B-32",), "without weights: write ViT-B-32:TAG"),
        (("ViT-B-32:",), "without weights: write ViT-B-32:TAG"),
        (("ViT-B-32:no/w.pt",), "no/w.pt does not exist"),
        (("ViT-B-32:w.pt",), "w.pt does not exist"),
        (("ViT-B-32", "w.safetensors"), "w.safetensors does not exist"),
        (("ViT-B-32:openai", "openai"), "names its weights already"),
        (("hf-hub:laion/x", "openai"), "brings its own weights"),
        (("hf-hub:laion",), "write hf-hub:ORG/NAME"),
        (("hf-hub:a/../b",), "write hf-hub:ORG/NAME"),
        (("local-dir:",), "name is empty"),
        (("local-dir:nothing",), "nothing does not exist"),
        (("",), "name is empty"),
    ],
)
def test_a_wrong_name_is_told_with_what_to_write(
    given: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        check_model(*given)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_names_are_checked_without_torch() -> None:
    code = (
        "import sys\n"
        "from erasekit.models.pretrained import architectures, check_model\n"
        "check_model('ViT-B-32:openai')\n"
        "print('torch' in sys.modules, *architectures())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    torch_loaded, *names = done.stdout.split()
    assert torch_loaded == "False"
    assert {*names, "tiny", "tiny-quickgelu"} == set(open_clip.list_models()) == {*architectures()}


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


# --- QuickGELU ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ViT-B-32:openai", "with QuickGELU: use ViT-B-32-quickgelu:openai"),
        ("ViT-L-14:dfn2b", "with QuickGELU: use ViT-L-14-quickgelu:dfn2b"),
        (
            "ViT-B-32-quickgelu:laion2b_s34b_b79k",
            "without QuickGELU: use ViT-B-32:laion2b_s34b_b79k",
        ),
    ],
)
def test_a_tag_into_the_wrong_activation_names_the_right_architecture(
    name: str, words: str
) -> None:
    with pytest.raises(UsageError, match=f"{words}$"):
        load_clip(name)


def test_without_an_architecture_of_the_right_activation_it_says_so(
    file: Path, register: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "configs" / "alone.json").write_text(json.dumps(config()))
    open_clip.add_model_config(tmp_path / "configs")
    register("alone", "quick", url="", quick_gelu=True)
    with pytest.raises(UsageError, match="open_clip has no alone-quickgelu: give a local-dir:"):
        load_clip("alone:quick")


def test_every_tag_of_open_clips_list_is_either_right_or_has_a_right_architecture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Held against open_clip's own table; no weights are fetched."""
    monkeypatch.setattr(open_clip, "download_pretrained", lambda cfg: "fetched.pt")
    from erasekit.models.pretrained import locate

    right = wrong = 0
    for name, tag in open_clip.list_pretrained():
        quick = bool(open_clip.get_pretrained_cfg(name, tag).get("quick_gelu"))
        built = bool(open_clip.get_model_config(name).get("quick_gelu"))
        try:
            found = locate(check_model(f"{name}:{tag}"))
        except UsageError as error:
            wrong += 1
            assert quick != built
            mended = str(error).rsplit("use ", 1)[1]
            locate(check_model(mended))
        else:
            right += 1
            assert quick == built or name == "roberta-ViT-B-32"  # see the code
            assert found.config["preprocess_cfg"]["mean"]
    assert right > 100
    assert wrong > 20


def test_a_file_under_a_published_name_is_known_by_it(tmp_path: Path) -> None:
    url = open_clip.get_pretrained_url("RN50-quickgelu", "yfcc15m")
    path = tmp_path / url.rsplit("/", 1)[1]
    path.touch()
    with pytest.raises(UsageError, match=f"use RN50-quickgelu:{path}$"):
        load_clip(f"RN50:{path}")


def folder_of(path: Path, cfg: dict[str, Any], **more: Any) -> Path:
    path.mkdir(exist_ok=True)
    content = {"model_cfg": cfg, "preprocess_cfg": ODD}
    (path / CONFIG_FILE).write_text(json.dumps(content))
    save_file(weights(cfg), path / WEIGHTS_FILE)
    for name, value in more.items():
        (path / f"{name}.json").write_text(json.dumps(value))
    return path


def transformers_config(activation: str) -> dict[str, Any]:
    tower = {"hidden_act": activation}
    return {"model_type": "clip", "text_config": tower, "vision_config": tower}


@pytest.mark.parametrize("quick", [True, False])
def test_a_folder_that_contradicts_itself_is_refused(tmp_path: Path, quick: bool) -> None:
    right, wrong = ("quick_gelu", "gelu") if quick else ("gelu", "quick_gelu")
    agreeing = folder_of(tmp_path / "a", config(quick), config=transformers_config(right))
    assert_equals(load_clip(agreeing), config(quick))
    torn = folder_of(tmp_path / "b", config(quick), config=transformers_config(wrong))
    expected = "tiny" if quick else "tiny-quickgelu"
    with pytest.raises(UsageError, match=f"which is the architecture {expected}$"):
        load_clip(torn)


# --- a folder -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["open_clip_pytorch_model.bin", "open_clip_pytorch_model.safetensors", "own.pth"]
)
def test_a_folder_may_hold_its_weights_under_any_published_name(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path / "m", config())
    (folder / WEIGHTS_FILE).unlink()
    save = save_file if name.endswith("safetensors") else torch.save
    save(weights(config(), seed=3), folder / name)
    assert_equals(load_clip(f"local-dir:{folder}"), config(), seed=3)


def test_two_files_of_weights_are_not_guessed_between(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m", config())
    (folder / WEIGHTS_FILE).rename(folder / "a.safetensors")
    shutil.copy(folder / "a.safetensors", folder / "b.safetensors")
    with pytest.raises(RunError, match=r"several files of weights \(a.safetensors, b.safeten"):
        load_clip(folder)


# --- tokenizers ---------------------------------------------------------------------------------


def own_words(folder: Path) -> dict[str, Any]:
    """A tokenizer of its own in a folder; the configuration of a model that has it."""
    known = train_tokenizer(TEXTS, 400)
    folder.mkdir(exist_ok=True)
    save_tokenizer(known, folder, 12)
    return config(vocab_size=known.get_vocab_size(), hf_tokenizer_name=str(folder))


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


# --- the hub ------------------------------------------------------------------------------------


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


def test_a_repository_on_open_clips_list_must_have_its_activation(
    hub: Hub, register: Callable[..., None]
) -> None:
    publish(hub, "timm/tiny.openai", config())
    register("tiny-quickgelu", "openai", hf_hub="timm/tiny.openai/", quick_gelu=True)
    with pytest.raises(UsageError, match=r"list of pretrained models says .* with QuickGELU"):
        load_clip("hf-hub:timm/tiny.openai")


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


# --- saving -------------------------------------------------------------------------------------

#: Run where erasekit cannot be imported, with nothing but open_clip.
ALONE = """
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
    subprocess.run([sys.executable, "-c", ALONE, *told], check=True)
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


def test_a_model_built_by_hand_is_not_saved(tmp_path: Path) -> None:
    clip = Clip(open_clip.CLIP(**config()), lambda texts: torch.zeros(1), None, (0.0,), (1.0,))
    with pytest.raises(RunError, match="no configuration to save"):
        clip.save(tmp_path / "m")


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
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
