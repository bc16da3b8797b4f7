"""Every way to name a CLIP, and every way to get the name wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import open_clip
import pytest

from erasekit.errors import UsageError
from erasekit.models.model_name import InFile, InFolder, Named, OnHub, architectures, check_model

pytestmark = pytest.mark.usefixtures("architecture")


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


def test_an_architecture_may_be_said_to_have_no_quickgelu(tmp_path: Path) -> None:
    assert check_model("ViT-B-32-gelu:openai") == Named("ViT-B-32", "openai", plain=True)
    with pytest.raises(UsageError, match="unknown architecture 'roberta-ViT-B-32-gelu'"):
        check_model("roberta-ViT-B-32-gelu:laion2b_s12b_b32k")


def test_a_file_alone_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "epoch_20.pt").touch()
    assert check_model(str(tmp_path / "epoch_20.pt")) == InFile(tmp_path / "epoch_20.pt")
    (tmp_path / "last.ckpt").touch()
    with pytest.raises(
        UsageError, match=r"last.ckpt is not a weights file: supported extensions are"
    ):
        check_model(str(tmp_path / "last.ckpt"))


def test_a_git_lfs_pointer_is_not_taken_for_the_file(tmp_path: Path) -> None:
    path = tmp_path / "open_clip_model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 605157884\n")
    for name in (f"ViT-B-32:{path}", str(path), str(tmp_path), tmp_path):
        with pytest.raises(UsageError, match=f"{path} is a Git LFS pointer.* `git lfs pull`"):
            check_model(name)


def test_the_hubs_cache_of_a_repository_is_looked_through(tmp_path: Path) -> None:
    home = tmp_path / "models--org--name"
    (home / "snapshots" / "abc").mkdir(parents=True)
    assert check_model(home) == InFolder(home / "snapshots" / "abc")
    (home / "snapshots" / "def").mkdir()
    with pytest.raises(UsageError, match="2 snapshots, and does not say which is the main one"):
        check_model(home)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("def\n")
    assert check_model(f"local-dir:{home}") == InFolder(home / "snapshots" / "def")


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
        "from erasekit.models.model_name import architectures, check_model\n"
        "check_model('ViT-B-32:openai')\n"
        "print('torch' in sys.modules, *architectures())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    torch_loaded, *names = done.stdout.split()
    assert torch_loaded == "False"
    assert {*names, "tiny", "tiny-quickgelu"} == set(open_clip.list_models()) == {*architectures()}
