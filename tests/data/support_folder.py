"""Small folders of pairs, and what is found in them."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from erasekit.data.folder import picture_checks
from erasekit.data.folder.check import check_folder
from erasekit.data.folder.listing import FolderPairs


def encoded(colour: int = 0, kind: str = "PNG", size: tuple[int, int] = (6, 4)) -> bytes:
    """A picture whose bytes are another's only if its colour is."""
    held = io.BytesIO()
    Image.new("RGB", size, (colour % 256, colour // 256, 9)).save(held, kind)
    return held.getvalue()


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    )


def put(file: Path, content: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def write_pictures(folder: Path, *names: str) -> None:
    for colour, name in enumerate(names):
        put(folder / name, encoded(colour))


def write_table(folder: Path, form: str, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"pairs.{form}"
    names = list(dict.fromkeys(name for row in rows for name in row))
    if form == "csv":
        with table.open("w", encoding="utf-8", newline="") as file:
            lines = csv.DictWriter(file, names)
            lines.writeheader()
            lines.writerows(rows)
    elif form == "jsonl":
        table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
        parquet.write_table(pa.table(columns), table)
    return table


def write_shard(file: Path, members: list[tuple[str, bytes]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for name, held in members:
            info = tarfile.TarInfo(name)
            info.size = len(held)
            tar.addfile(info, io.BytesIO(held))
    return file


def simple(folder: Path, *rows: str, names: tuple[str, ...] = ("a.png", "b.png")) -> Path:
    """A folder with two pictures, and a table with these lines."""
    write_pictures(folder, *names)
    table = folder / "pairs.csv"
    table.write_text("\n".join(["image,caption", *rows]) + "\n", encoding="utf-8")
    return folder


def told(pairs: FolderPairs) -> list[tuple]:
    return [
        (pairs.path(i), pairs.caption(i), pairs.concept[i], pairs.group[i], pairs.split[i])
        for i in range(len(pairs))
    ]


def problems(folder: Path, **how: Any) -> list[tuple[str, str, str]]:
    return [tuple(each) for each in check_folder(folder, progress=False, **how).problems()]


def only_problem(folder: Path, **how: Any) -> tuple[str, str, str]:
    (found,) = problems(folder, **how)
    return found


def counted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is decoded from now on."""
    seen: list[bytes] = []
    real = picture_checks.decode

    def decode(held: bytes) -> Image.Image:
        seen.append(held)
        return real(held)

    monkeypatch.setattr(picture_checks, "decode", decode)
    return seen
