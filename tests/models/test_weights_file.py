"""A file of weights tells its architecture, its precision, and how large a model can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import open_clip
import pytest
import torch
from hypothesis import given
from safetensors.torch import save_file
from support_clips import assert_equals, config, weights

from erasekit.errors import RunError, UsageError
from erasekit.models.clip import load_clip
from erasekit.models.weights_file import check_size, contents


@pytest.fixture
def one_of_a_kind(architecture: None, tmp_path: Path) -> dict[str, Any]:
    """An architecture without a second form."""
    (tmp_path / "configs" / "alone.json").write_text(
        '{"embed_dim": 24, "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, '
        '"head_width": 8, "patch_size": 8}, "text_cfg": {"context_length": 12, '
        '"vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}}'
    )
    open_clip.add_model_config(tmp_path / "configs")
    return {**config(), "embed_dim": 24}


def test_a_bare_file_is_loaded_as_the_one_architecture_that_it_fits(
    one_of_a_kind: dict[str, Any], tmp_path: Path
) -> None:
    state = {f"module.{k}": v for k, v in weights(one_of_a_kind).items()}
    torch.save({"epoch": 20, "state_dict": state}, tmp_path / "epoch_20.pt")
    assert_equals(load_clip(str(tmp_path / "epoch_20.pt")), one_of_a_kind)


@pytest.mark.usefixtures("architecture")
def test_a_bare_file_that_fits_two_activations_is_asked_about(file: Path) -> None:
    with pytest.raises(UsageError, match=f"write tiny-quickgelu:{file} if .* tiny-gelu:{file} if"):
        load_clip(file)


def test_a_bare_file_that_fits_nothing_or_is_damaged_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"text_projection": torch.zeros(3, 7)}, path)
    with pytest.raises(UsageError, match=f"does not say its architecture: write NAME:{path}"):
        load_clip(path)
    path.write_bytes(b"nothing")
    with pytest.raises(RunError, match=f"weights {path} cannot be loaded"):
        load_clip(path)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_contents_are_told_without_the_weights(tmp_path: Path, name: str) -> None:
    state = {"a": torch.zeros(2, 3), "b": torch.zeros(4)}
    for half in (False, True):
        made = {k: v.half() if half else v for k, v in state.items()}
        (save_file if name.endswith("safetensors") else torch.save)(made, tmp_path / name)
        found = contents(tmp_path / name)
        assert (found.shapes, found.half) == ({"a": (2, 3), "b": (4,)}, half)


@pytest.mark.parametrize("name", ["ViT-B-32", "RN50", "RN50x4", "ViT-B-16-plus-240"])
def test_no_published_architecture_is_taken_for_too_large(tmp_path: Path, name: str) -> None:
    """The bound never exceeds what a model has, so that a whole file is never refused."""
    model: Any = open_clip.get_model_config(name)
    with torch.device("meta"):
        state = open_clip.CLIP(**model).state_dict()
    weights_file = tmp_path / "w.pt"
    with weights_file.open("wb") as file:  # a hole: no space is taken
        file.truncate(sum(value.numel() for value in state.values()))
    check_size({"model_cfg": model}, weights_file, name)


PLACES = [
    ("embed_dim",),
    ("vision_cfg", "width"),
    ("vision_cfg", "layers"),
    ("vision_cfg", "image_size"),
    ("text_cfg", "width"),
    ("text_cfg", "layers"),
    ("text_cfg", "vocab_size"),
    ("text_cfg", "context_length"),
    ("text_cfg", "mlp_ratio"),
]


@given(st.sampled_from(PLACES), st.integers(10**7, 10**30) | st.floats(1e7, allow_nan=False))
def test_one_absurd_size_is_enough(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[str, ...], value: float
) -> None:
    weights_file = tmp_path_factory.getbasetemp() / "small.pt"
    weights_file.write_bytes(b"x" * 1000)
    model = config()
    part = model
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    with pytest.raises(UsageError, match="describes at least"):
        check_size({"model_cfg": model}, weights_file, "model")
