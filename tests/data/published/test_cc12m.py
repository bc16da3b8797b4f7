"""Conceptual 12M, from small shards of exactly the form that img2dataset writes."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support_published import jpeg, script, tarred

from erasekit.data.published import cc12m
from erasekit.data.published.cc12m import (
    CC12M,
    Shard,
    fetch_cc12m,
    hub_sums,
    index_cc12m,
    read_sums,
    shard_urls,
    take_cc12m,
)
from erasekit.errors import RunError, UsageError
from erasekit.files import sha256_file


def shard(path: Path, pairs: int, first: int = 0, **more: bytes) -> Path:
    files: dict[str, bytes] = {}
    for i in range(first, first + pairs):
        key = f"{i:09}"
        files[f"{key}.jpg"] = jpeg(i)
        files[f"{key}.json"] = json.dumps({"key": key, "status": "success"}).encode()
        files[f"{key}.txt"] = f"caption {i}".encode()
    return tarred(path, files | {k.replace("_", "."): v for k, v in more.items()}, mode="w")


def test_shards_are_listed_as_they_are(tmp_path: Path) -> None:
    shards = [
        shard(tmp_path / "shards" / "cc12m-train-0000.tar", 3),
        shard(tmp_path / "shards" / "cc12m-train-0001.tar", 2, 3, lonely_jpg=jpeg(1)),
    ]
    before = [each.read_bytes() for each in shards]
    found = index_cc12m(tmp_path)
    assert found == tuple(
        Shard(each.name, pairs, each.stat().st_size, sha256_file(each))
        for each, pairs in zip(shards, (3, 2), strict=True)
    )
    assert [each.read_bytes() for each in shards] == before
    listed = pd.read_csv(tmp_path / "shards.csv")
    assert list(listed) == ["shard", "pairs", "bytes", "sha256"]
    assert listed.pairs.tolist() == [3, 2]
    card = (tmp_path / "DATASET_CARD.md").read_text(encoding="utf-8")
    assert f"| 2 | 5 | {sum(map(len, before)):,} |" in card
    assert not (tmp_path / "pairs.parquet").exists()


def test_what_is_listed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = shard(tmp_path / "shards" / "0.tar", 1)
    index_cc12m(tmp_path)
    read: list[str] = []
    count = cc12m._count_pairs
    monkeypatch.setattr(cc12m, "_count_pairs", lambda f: read.append(f.name) or count(f))
    shard(tmp_path / "shards" / "1.tar", 1)
    index_cc12m(tmp_path)
    assert read == ["1.tar"]
    shard(first, 9)  # of another size: another shard
    assert [each.pairs for each in index_cc12m(tmp_path)] == [9, 1]
    (tmp_path / "shards.csv").write_text("nonsense")
    assert [each.pairs for each in index_cc12m(tmp_path)] == [9, 1]
    first.unlink()
    assert [each.shard for each in index_cc12m(tmp_path)] == ["1.tar"]
    assert len(pd.read_csv(tmp_path / "shards.csv")) == 1


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.jpg": jpeg(1)}, "has no pairs of KEY.jpg and KEY.txt"),
        ({"a.jpg": jpeg(1), "b.txt": b"told"}, "has no pairs of KEY.jpg and KEY.txt"),
        ({"a.jpg": b"<html>", "a.txt": b"told"}, "a.jpg cannot be read: no JPEG"),
        ({"a.jpg": jpeg(1), "a.txt": b"\xff\xfe"}, "is damaged: 'utf-8' codec"),
    ],
)
def test_a_shard_of_another_kind_is_named(
    tmp_path: Path, files: dict[str, bytes], said: str
) -> None:
    file = tarred(tmp_path / "shards" / "0.tar", files, mode="w")
    with pytest.raises(RunError, match=said) as caught:
        index_cc12m(tmp_path)
    assert str(caught.value).startswith(str(file))


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    file = shard(tmp_path / "shards" / "0.tar", 2)
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.index(b"000000001.txt")])  # just before a file in it
    with pytest.raises(RunError, match=r"0\.tar is damaged: .*Remove it to download it again"):
        index_cc12m(tmp_path)
    file.write_text("<html>please log in</html>")
    with pytest.raises(RunError, match=r"0\.tar is damaged"):
        index_cc12m(tmp_path)


def test_no_shards_are_no_index(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no shards"):
        index_cc12m(tmp_path)
    with pytest.raises(UsageError, match="has no shards"):
        take_cc12m(tmp_path, tmp_path / "out")
    with pytest.raises(UsageError, match="is not a folder of shards"):
        take_cc12m(tmp_path / "nowhere", tmp_path / "out")


def test_shards_are_fetched_listed_and_gone_on_with(
    tmp_path: Path, web: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = web
    files = [shard(folder / f"cc12m-train-000{i}.tar", i + 1) for i in range(3)]
    sums = {f.name: (f"sha256:{sha256_file(f)}", f.stat().st_size) for f in files}
    pattern, out = f"{url}/cc12m-train-{{0000..0002}}.tar", tmp_path / "out"
    assert [each.pairs for each in fetch_cc12m(pattern, out, sums=sums, most=2)] == [1, 2]
    fetched: list[str] = []
    get = cc12m.download

    def noted(urls: list[str], path: Path, **how: Any) -> Path:
        fetched.append(path.name)
        return get(urls, path, **how)

    monkeypatch.setattr(cc12m, "download", noted)
    assert [each.pairs for each in fetch_cc12m(pattern, out, sums=sums)] == [1, 2, 3]
    assert fetched == ["cc12m-train-0002.tar"]
    assert [each.pairs for each in fetch_cc12m(pattern, out, sums=sums)] == [1, 2, 3]
    assert len(fetched) == 1
    for file in files:
        assert (out / "shards" / file.name).read_bytes() == file.read_bytes()


def test_what_came_before_a_missing_shard_stays(tmp_path: Path, web: tuple[Path, str]) -> None:
    folder, url = web
    shard(folder / "0.tar", 2)
    with pytest.raises(RunError, match=r"cannot fetch 1\.tar: .*404 Not Found"):
        fetch_cc12m(f"{url}/{{0..1}}.tar", tmp_path / "out")
    assert [each.pairs for each in index_cc12m(tmp_path / "out")] == [2]
    with pytest.raises(UsageError, match=r"there is no checksum of 0\.tar"):
        fetch_cc12m(f"{url}/{{0..1}}.tar", tmp_path / "out", sums={"x.tar": ("md5:0", 1)})


def test_a_pattern_is_spelled_out() -> None:
    assert len(shard_urls(CC12M)) == 2176
    assert shard_urls(CC12M)[-1].endswith("/cc12m-train-2175.tar")
    assert shard_urls("http://h/{8..10}.tar") == [f"http://h/{i}.tar" for i in (8, 9, 10)]
    assert shard_urls("http://h/{0..1}-{00..01}.tar")[1] == "http://h/0-01.tar"
    assert shard_urls("http://h/a.tar?download=true") == ["http://h/a.tar?download=true"]
    for pattern, said in [
        ("http://h/{2..1}.tar", "runs backwards"),
        ("http://h/{0..1}/a.tar", "gives two shards one name"),
        ("http://h/", "is not the address of a shard"),
        ("http://h/..%2Fup.tar%00", "is not the address of a shard"),
        ("http://h/a b.tar", "is not the address of a shard"),
    ]:
        with pytest.raises(UsageError, match=said):
            shard_urls(pattern)
    with pytest.raises(UsageError, match="take one shard at least"):
        fetch_cc12m(CC12M, Path("nowhere"), most=0)


def test_the_hubs_own_checksums_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import huggingface_hub

    lfs = types.SimpleNamespace(sha256="a" * 64, size=7)
    tree = [
        types.SimpleNamespace(path="cc12m-train-0000.tar", lfs=lfs),
        types.SimpleNamespace(path="README.md", lfs=None),
        types.SimpleNamespace(path="folder"),
    ]

    def list_repo_tree(self: Any, repository: str, **how: str) -> list[Any]:
        assert (repository, how) == (
            "pixparse/cc12m-wds",
            {"repo_type": "dataset", "revision": "main"},
        )
        return tree

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_tree", list_repo_tree)
    assert hub_sums(CC12M) == {"cc12m-train-0000.tar": (f"sha256:{'a' * 64}", 7)}
    assert hub_sums("https://mirror.example/{0..1}.tar") == {}

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no way out\nand more")

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_tree", offline)
    assert hub_sums(CC12M) == {}
    said = capsys.readouterr().err
    assert said == "note: pixparse/cc12m-wds does not tell its checksums: no way out\n"


def test_a_list_of_checksums_is_read(tmp_path: Path) -> None:
    file = tmp_path / "SHA256SUMS"
    file.write_text(f"{'a' * 64}  0.tar\n\n{'B' * 64} *./folder/1.tar\n")
    assert read_sums(file) == {
        "0.tar": (f"sha256:{'a' * 64}", None),
        "1.tar": (f"sha256:{'b' * 64}", None),
    }
    file.write_text(f"{'a' * 64}  0.tar\nwrong\n")
    with pytest.raises(UsageError, match="line 2: write 64 hexadecimal digits"):
        read_sums(file)
    with pytest.raises(UsageError, match="cannot read the checksums"):
        read_sums(tmp_path / "nowhere")


def test_the_script_takes_shards_from_a_server_or_a_folder(
    tmp_path: Path, web: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, url = web
    files = [shard(folder / f"{i}.tar", 2) for i in range(2)]
    sums = tmp_path / "SHA256SUMS"
    sums.write_text("".join(f"{sha256_file(f)}  {f.name}\n" for f in files))
    main, out = script("get_cc12m").main, tmp_path / "out"
    pattern = f"{url}/elsewhere/{{0..1}}.tar"
    asked = ["--out", str(out), "--shards", pattern, "--mirror", url, "--checksums", str(sums)]
    assert main([*asked, "--most", "1"]) == 0
    assert capsys.readouterr().out == f"{out}: 1 shards, 2 pairs\n"
    assert main(asked) == 0
    assert capsys.readouterr().out == f"{out}: 2 shards, 4 pairs\n"
    taken = tmp_path / "taken"
    assert main(["--out", str(taken), "--shards", str(folder)]) == 0
    assert (taken / "shards" / "1.tar").samefile(files[1])
    assert main(["--out", str(taken), "--shards", str(taken / "shards")]) == 0
    assert main(["--out", str(taken), "--shards", str(folder), "--mirror", url]) == 2
    assert "go with an address" in capsys.readouterr().err
