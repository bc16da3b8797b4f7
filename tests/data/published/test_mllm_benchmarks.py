"""Parts of a benchmark, from a folder or from the hub."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from support_mllm_benchmarks import (
    BLUE,
    PERSON,
    RED,
    person,
    shown,
    write,
    write_clear,
    write_person,
)

from erasekit.data.published.clear import read_clear
from erasekit.data.published.mllm_benchmarks import read_benchmark
from erasekit.data.published.mllmu import mllmu_people, read_mllmu_bench
from erasekit.errors import RunError, UsageError


def test_the_parts_of_mllmu_bench_are_the_published_folders(tmp_path: Path) -> None:
    for subset, number in [
        ("forget_5", "1"),
        ("retain_95", "2"),
        ("forget_10", "3"),
        ("retain_90", "4"),
        ("Retain_Set", "5"),
    ]:
        write_person(tmp_path, subset, number=number)
    write(tmp_path / "Test_Set", [person(number) for number in "1234"], PERSON)
    found = read_benchmark(f"mllmu:{tmp_path}")
    assert {part: {q.about for q in qs} for part, qs in found.items()} == {
        "forget": {("1",)},
        "test": {("1",)},  # the forgotten people alone, though the folder holds all
        "retain": {("2",)},
        "real": {("5",)},
    }
    other = read_benchmark(f"mllmu:{tmp_path}", ["retain", "test"], percent=10)
    assert list(other) == ["retain", "test"]
    assert {q.about for part in other.values() for q in part} == {("4",), ("3",)}
    assert mllmu_people(tmp_path, "Test_Set") == {"1", "2", "3", "4"}


@pytest.mark.parametrize("percent", [1, 5, 10])
def test_the_parts_of_clear_are_the_published_folders(tmp_path: Path, percent: int) -> None:
    write_clear(tmp_path)
    found = read_benchmark(f"clear:{tmp_path}", percent=percent)
    assert {part: [q.kind for q in qs] for part, qs in found.items()} == {
        "forget": ["caption", "question", "question"],
        "test": ["caption", "paraphrase", "name"],
        "retain": ["caption", "question", "question"],
        "real": ["name", "question", "question"],
    }
    # Two folders as one: the second's pictures come after the first's.
    assert [q.image for q in found["real"]] == [0, 1, None]
    assert shown(found["real"]) == [RED, BLUE, None]
    for part, folder in [("forget", f"forget{percent:02}+tofu"), ("test", "_perturbed")]:
        assert folder in found[part].images.places[0]
    assert f"retain{100 - percent}+tofu" in found["retain"].images.places[0]


def test_what_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    write_person(tmp_path)
    cases = [
        (lambda: read_mllmu_bench(tmp_path, "forget5"), "did you mean 'forget_5'"),
        (lambda: read_mllmu_bench(tmp_path, "../forget_5"), "unknown subset of MLLMMU"),
        (lambda: read_mllmu_bench(tmp_path, "ft_Data"), "unknown subset of MLLMMU"),
        (lambda: read_clear(tmp_path, "real_face"), "did you mean 'real_faces'"),
        (lambda: read_mllmu_bench(tmp_path, "Full_Set"), "unknown subset in .*: known: forget_5"),
        (lambda: read_clear(tmp_path, "full"), "known: none. Get it from the data set therem"),
        (lambda: read_clear(tmp_path / "nowhere", "full"), "nowhere is not a folder"),
        (lambda: read_benchmark("mlmu:x"), "unknown benchmark 'mlmu': did you mean 'mllmu'"),
        (lambda: read_benchmark("clear"), "say where clear lies: clear:FOLDER"),
        (lambda: read_benchmark("clear:x", percent=15), "no forget set of 15 .*known: 1, 5, 10"),
        (lambda: read_benchmark("clear:x", ["forgot"]), "did you mean 'forget'"),
    ]
    for ask, said in cases:
        with pytest.raises(UsageError, match=said):
            ask()
    (tmp_path / "retain_95").mkdir()
    with pytest.raises(UsageError, match="retain_95 has no parquet file"):
        read_mllmu_bench(tmp_path, "retain_95")


def test_the_hub_is_asked_for_the_folders_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clear(tmp_path)
    write_person(tmp_path)
    write_person(tmp_path, "Test_Set")
    asked: list[tuple] = []

    def snapshot_download(repository: str, *, repo_type: str, allow_patterns: list[str]) -> str:
        asked.append((repository, repo_type, allow_patterns))
        return str(tmp_path)

    hub = types.ModuleType("huggingface_hub")
    monkeypatch.setattr(hub, "snapshot_download", snapshot_download, raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert list(read_benchmark("clear:hub", ["real"])) == ["real"]
    read_benchmark("clear:hub", ["forget"])
    read_benchmark("mllmu:hub", ["test"])
    assert asked == [
        ("therem/CLEAR", "dataset", ["real_faces/*.parquet", "real_world/*.parquet"]),
        ("therem/CLEAR", "dataset", ["forget05+tofu/*.parquet", "forget05_perturbed/*.parquet"]),
        ("MLLMMU/MLLMU-Bench", "dataset", ["forget_5/*.parquet", "Test_Set/*.parquet"]),
    ]

    def offline(*_: object, **__: object) -> str:
        raise ConnectionError("no way out\nand more")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(RunError, match=r"^cannot fetch therem/CLEAR .*: no way out$"):
        read_benchmark("clear:hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"pip install 'erasekit\[mllm\]'"):
        read_benchmark("clear:hub")
