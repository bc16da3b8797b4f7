"""An activation that is not that of the weights is refused, whoever says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import open_clip
import pytest
from support_clips import (
    Hub,
    assert_equals,
    config,
    folder_of,
    publish,
    transformers_config,
)

from erasekit.errors import UsageError
from erasekit.models.clip import load_clip
from erasekit.models.model_name import check_model

pytestmark = pytest.mark.usefixtures("architecture")


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


@pytest.mark.parametrize("quick", [True, False])
def test_a_folder_that_contradicts_itself_is_refused(tmp_path: Path, quick: bool) -> None:
    right, wrong = ("quick_gelu", "gelu") if quick else ("gelu", "quick_gelu")
    agreeing = folder_of(tmp_path / "a", config(quick), config=transformers_config(right))
    assert_equals(load_clip(agreeing), config(quick))
    torn = folder_of(tmp_path / "b", config(quick), config=transformers_config(wrong))
    expected = "tiny" if quick else "tiny-quickgelu"
    with pytest.raises(UsageError, match=f"which is the architecture {expected}$"):
        load_clip(torn)


def test_a_repository_on_open_clips_list_must_have_its_activation(
    hub: Hub, register: Callable[..., None]
) -> None:
    publish(hub, "timm/tiny.openai", config())
    register("tiny-quickgelu", "openai", hf_hub="timm/tiny.openai/", quick_gelu=True)
    with pytest.raises(UsageError, match=r"list of pretrained models says .* with QuickGELU"):
        load_clip("hf-hub:timm/tiny.openai")
