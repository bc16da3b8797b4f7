"""A tiny architecture that open_clip knows, and a hub on this machine, for one test."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import open_clip
import pytest
from open_clip import factory
from safetensors.torch import save_file
from support_clips import (
    Hub,
    config,
    weights,
)


@pytest.fixture
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
