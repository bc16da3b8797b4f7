"""Small random CLIPs in the published formats, and a hub on this machine."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from support import fingerprint

from erasekit.models.clip import CONFIG_FILE, WEIGHTS_FILE, Clip
from erasekit.models.tokenizer import save_tokenizer, train_tokenizer

TEXTS = ["a photo of a red cat", "two dogs", "", "ein Hund im Schnee 42"]


COMMIT = "0" * 40


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


def own_words(folder: Path) -> dict[str, Any]:
    """A tokenizer of its own in a folder; the configuration of a model that has it."""
    known = train_tokenizer(TEXTS, 400)
    folder.mkdir(exist_ok=True)
    save_tokenizer(known, folder, 12)
    return config(vocab_size=known.get_vocab_size(), hf_tokenizer_name=str(folder))
