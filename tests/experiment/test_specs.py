"""Parameters that cannot be run are refused before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from erasekit.errors import UsageError
from erasekit.experiment.specs import make_plan
from erasekit.settings import make_settings


@pytest.fixture(scope="module")
def group(tiny_experiment) -> str:
    return f"group={tiny_experiment.world.concepts[0].group}"


def test_what_cannot_be_is_refused(own_parameters, group, tmp_path: Path) -> None:
    def plan(**given: Any) -> None:
        make_plan(make_settings("smoke", **{**own_parameters, "forget": group, **given}))

    with pytest.raises(UsageError, match="there is no such folder"):
        plan(data=f"folder:{tmp_path / 'none'}")
    with pytest.raises(UsageError, match="erasekit-small has no weights: pass train=true"):
        plan(model="erasekit-small")
    with pytest.raises(UsageError, match="is loaded, not trained: leave it out, or give"):
        plan(train=True)
    with pytest.raises(UsageError, match="do not record the language"):
        plan(forget_languages="en")
    with pytest.raises(UsageError, match="unknown rule"):
        plan(forget="wrod=apple")
    with pytest.raises(UsageError, match="oracle_model"):
        make_plan(make_settings("smoke", oracle_model="local-dir:x"))
    with pytest.raises(UsageError, match="skip_bad = 'maybe' must be true or false"):
        plan(skip_bad="maybe")


def test_a_folder_has_a_published_clip_for_its_default(tmp_path: Path) -> None:
    settings = make_settings(data=f"folder:{tmp_path}", forget="cat")
    assert (settings.model, settings.pretrained) == ("ViT-B-32-quickgelu", "openai")
    other = make_settings(data=f"folder:{tmp_path}", forget="cat", model="local-dir:x")
    assert other.pretrained == ""
