"""Files of published benchmarks: pictures, damage, and what is not there."""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from support_mllm_benchmarks import (
    IMAGE,
    PORTRAIT,
    RED,
    TEXT,
    encoded,
    picture,
    write,
    write_person,
)

from erasekit.data import picture_files
from erasekit.data.published.clear import read_clear
from erasekit.data.published.mllmu import read_mllmu_bench
from erasekit.errors import RunError, UsageError


def test_pictures_of_every_kind_come_in_rgb_and_travel(tmp_path: Path) -> None:
    held = [
        picture(RED),
        picture((250, 0, 0, 9), mode="RGBA"),
        picture((250,), mode="L"),
        picture(RED, kind="JPEG"),
        picture(RED, kind="WEBP"),
    ]
    rows = [{"image": each, "caption": "A.", "name": "Bo"} for each in held]
    write(tmp_path / "full", rows, PORTRAIT)
    images = pickle.loads(pickle.dumps(read_clear(tmp_path, "full"))).images
    assert len(images) == 5
    assert {each.mode for each in images} == {"RGB"}
    assert images[1].getpixel((0, 0)) == RED and images[2].getpixel((0, 0)) == (250, 250, 250)


def test_a_picture_cut_short_is_named_when_it_is_asked_for(tmp_path: Path) -> None:
    held = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(held, "PNG")
    cut = {"bytes": held.getvalue()[:900], "path": None}
    file = write_person(tmp_path, image=cut)
    found = read_mllmu_bench(tmp_path, "forget_5")
    with pytest.raises(RunError, match="the picture cannot be read: ") as caught:
        found.images[0]
    assert str(caught.value).startswith(f"{file}, row 0: ")


def test_a_picture_too_large_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_person(tmp_path)
    monkeypatch.setattr(picture_files, "_MOST_PIXELS", 5)
    with pytest.raises(
        RunError, match="the picture cannot be read: it is 3 × 2, more than 5 pixels"
    ):
        read_mllmu_bench(tmp_path, "forget_5")


def test_a_path_in_the_data_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "beside.png").write_bytes(encoded(RED))
    for path in ("beside.png", str(tmp_path / "beside.png")):
        write_person(tmp_path, image={"bytes": None, "path": path})
        with pytest.raises(RunError, match="there are no bytes of a picture"):
            read_mllmu_bench(tmp_path, "forget_5")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = write_person(tmp_path)
    whole = file.read_bytes()
    for content in (b"", b"no parquet at all", whole[:-9], whole[:200] + whole[900:]):
        file.write_bytes(content)
        with pytest.raises(RunError) as caught:
            read_mllmu_bench(tmp_path, "forget_5")
        assert str(caught.value).startswith(f"{file} is damaged: ")
        assert "\n" not in str(caught.value)
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(RunError, match="Git LFS has not fetched; run `git lfs pull`"):
        read_mllmu_bench(tmp_path, "forget_5")


def test_a_text_that_is_no_utf8_is_a_damaged_file(tmp_path: Path) -> None:
    text = pa.array([b"\xff\xfe"]).cast(TEXT, safe=False)
    table = pa.table(
        {"image": pa.array([picture()], IMAGE), "caption": text, "name": pa.array(["Bo"])}
    )
    (tmp_path / "full").mkdir()
    parquet.write_table(table, tmp_path / "full" / "train-00000-of-00001.parquet")
    with pytest.raises(RunError, match="is damaged: 'utf-8' codec"):
        read_clear(tmp_path, "full")


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"package pyarrow: pip install 'erasekit\[mllm\]'"):
        read_mllmu_bench(tmp_path, "forget_5")
