"""Fixtures that all tests share: one cache, one tiny experiment, one smoke experiment.

Tests never read or fill the user's model cache. Set ERASEKIT_TEST_CACHE to a folder to
keep the trained models between test sessions; entries are named by the hash of the
code that made them, so that a kept one is never stale.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings
from support_tiny import TINY, TINY_LANGUAGE

import erasekit  # before torch: it sets how threads wait, without which two processes crawl

# The same examples every time, so that a red run is repeated by whoever mends it. The night
# searches further: pytest --hypothesis-profile=default.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def test_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The model cache of this test session."""
    kept = os.environ.get("ERASEKIT_TEST_CACHE")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ERASEKIT_CACHE", str(folder))
        patch.setenv("ERASEKIT_PROGRESS", "0")
        yield folder


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty model cache for one test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ERASEKIT_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """Parameters for `erasekit.load("smoke", **tiny)`: the models learn nothing in it."""
    return dict(TINY)


@pytest.fixture(scope="session")
def tiny_experiment():
    return erasekit.load("smoke", progress=False, **TINY)


@pytest.fixture(scope="session")
def tiny_erasure(tiny_experiment):
    return tiny_experiment.erase()


@pytest.fixture(scope="session")
def tiny_scorecard(tiny_experiment, tiny_erasure):
    control = tiny_experiment.control(tiny_erasure.steps)
    return tiny_experiment.evaluate({"erased": tiny_erasure, "control": control})


@pytest.fixture(scope="session")
def own_folder(tiny_experiment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny world's pairs as a user's own folder."""
    from erasekit.data.folder.writer import write_world

    return write_world(tiny_experiment.world, tmp_path_factory.mktemp("own")).parent


@pytest.fixture(scope="session")
def own_parameters(tiny_experiment, own_folder: Path) -> dict[str, Any]:
    """Parameters that erase in that folder, from the tiny original."""
    return {
        "data": f"folder:{own_folder}",
        "model": f"local-dir:{tiny_experiment.original_folder}",
        "templates": "a picture of {}|{}",
        **{
            name: TINY[name]
            for name in ("forget_batch", "retain_batch", "steps", "draws", "threads")
        },
    }


@pytest.fixture(scope="session")
def tiny_mllm():
    """A LLaVA that learns nothing, on a CLIP that learns nothing: quick to make, and whole."""
    from erasekit.models.llava_spec import LlavaSpec

    found = erasekit.load("smoke", kind="language", progress=False, **TINY_LANGUAGE)
    found.spec = LlavaSpec(width=32, layers=1, heads=4, steps=3, visual_batch=8, text_batch=4)
    return found


@pytest.fixture(scope="session")
def smoke_experiment():
    """The smoke profile: its two models really learn, in half a minute a model."""
    return erasekit.load("smoke", threads=1, progress=False)


@pytest.fixture(scope="session")
def smoke_erasure(smoke_experiment):
    return smoke_experiment.erase()


@pytest.fixture(scope="session")
def smoke_control(smoke_experiment, smoke_erasure):
    return smoke_experiment.control(smoke_erasure.steps)


@pytest.fixture(scope="session")
def smoke_scorecard(smoke_experiment, smoke_erasure, smoke_control):
    return smoke_experiment.evaluate({"erased": smoke_erasure, "control": smoke_control})


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "default: trains models of minutes; ERASEKIT_TEST_DEFAULT=1 runs it"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The notebooks come first: they take longest, and the other files fill the time.

    Tests that train for minutes run only when asked for, and nightly.
    """
    items.sort(key=lambda item: item.path.name != "test_notebooks.py")
    if os.environ.get("ERASEKIT_TEST_DEFAULT") == "1":
        return
    skip = pytest.mark.skip(reason="trains for minutes: set ERASEKIT_TEST_DEFAULT=1 to run it")
    for item in items:
        if item.get_closest_marker("default"):
            item.add_marker(skip)


def run_once(folders: pytest.TempPathFactory, name: str, **parameters: Any) -> Path:
    """A copy of a run folder that one of the session's processes makes for all of them."""
    from erasekit.runs.erasing import run_erase
    from erasekit.runs.run_folder import RunFolder
    from erasekit.settings import make_settings

    own = folders.getbasetemp()
    made = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / f"run-{name}"
    with FileLock(f"{made}.lock"):
        if not RunFolder(made).whole:
            run_erase(make_settings("smoke", **parameters), made, progress=False)
    return Path(shutil.copytree(made, folders.mktemp("runs") / name))


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run folder of the tiny world. Read it, or copy it to change it."""
    return run_once(tmp_path_factory, "whole", **TINY)


@pytest.fixture(scope="session")
def language_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run folder of a tiny language model. Read it, or copy it to change it."""
    return run_once(tmp_path_factory, "language", kind="language", **TINY_LANGUAGE)


@pytest.fixture(scope="session")
def some_questions(tiny_mllm):
    """Six visual and four text questions."""
    from erasekit.data.question_list import Questions

    task = tiny_mllm.task
    return Questions(task.visual.items[:6] + task.text.items[:4], task.visual.images)
