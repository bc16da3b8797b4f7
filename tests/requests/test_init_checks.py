"""Settings that cannot erase anything are refused when a registry is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from support_tiny import TINY

from erasekit.errors import UsageError
from erasekit.requests.init_checks import check_settings
from erasekit.settings import make_settings


def test_settings_that_make_versions_are_taken(own_parameters: dict) -> None:
    check_settings(make_settings("smoke", **TINY))
    check_settings(make_settings("smoke", **own_parameters))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"method": "delte"}, "did you mean 'delete'"),
        ({"options": {"forgeting": 1.0}}, "unknown option of cliperase"),
        ({"model": "local-dir:none"}, "none does not exist"),
        ({"data": "folder:none"}, "there is no such folder"),
        ({"trackers": "papper"}, "papper"),
        ({"device": "cuda"}, "device 'cuda' was asked for, but there is none here"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_every_run_would_fail_with_is_refused(changed: dict, words: str) -> None:
    import torch

    if changed.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UsageError, match=words):
        check_settings(replace(make_settings("smoke", **TINY), **changed))


def test_a_method_that_needs_held_out_concepts_is_refused_on_a_folder(own_parameters: dict) -> None:
    given = {**own_parameters, "method": "never_seen"}
    with pytest.raises(UsageError, match="give --option level=shuffled"):
        check_settings(make_settings("smoke", **given))
    check_settings(make_settings("smoke", **given, options={"level": "shuffled"}))


def test_a_folder_of_which_nothing_could_be_kept_is_refused(
    tmp_path: Path, own_parameters: dict
) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    (tmp_path / "captions.csv").write_text("image,caption\na.png,one\na.png,two\n")
    given = {**own_parameters, "data": f"folder:{tmp_path}"}
    with pytest.raises(UsageError, match="has one picture only"):
        check_settings(make_settings("smoke", **given))
