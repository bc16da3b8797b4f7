"""What a request nearly selects: copies, look-alikes, captions that the model does not read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from erasekit.data.folder.check import read_folder
from erasekit.data.folder.selection import Request, ask
from erasekit.runs.near_misses import KINDS, cut_captions, near_misses


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An apple with a byte copy, a pixel copy and a thumbnail under other captions, and dogs."""
    rng = np.random.default_rng(0)
    rows = ["image,caption"]
    for i in range(6):
        small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((80, 60), Image.Resampling.BICUBIC)
        name = "apple.png" if i == 0 else f"dog{i}.png"
        picture.save(tmp_path / name)
        rows.append(f"{name},a {name[:-4]}")
        if i == 0:
            (tmp_path / "byte.png").write_bytes((tmp_path / name).read_bytes())
            picture.save(tmp_path / "pixel.png", compress_level=0)
            picture.resize((40, 30)).save(tmp_path / "small.png")
            rows += [f"{copy}.png,family picnic" for copy in ("byte", "pixel", "small")]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    return tmp_path


def request(folder: Path, rule: str = "word=apple") -> Request:
    return ask(read_folder(folder, progress=False), rule)


def test_copies_are_selected_and_look_alikes_shown(folder: Path, tiny_experiment) -> None:
    asked, clip = request(folder), tiny_experiment.original
    found = near_misses(asked, clip.tokenizer, clip)
    assert set(found) == set(KINDS)
    examples = {
        kind: [(e["image"], e["like"]) for e in found[kind]["examples"]]
        for kind in ("byte_copies", "pixel_copies", "similar_pictures")
    }
    assert examples == {
        "byte_copies": [("byte.png", "apple.png")],
        "pixel_copies": [("pixel.png", "apple.png")],
        "similar_pictures": [("small.png", "apple.png")],
    }
    assert sorted(np.unique(asked.pairs.files[asked.selected])) == [0, 1, 2]
    assert "small.png" in {e["image"] for e in found["similar_features"]["examples"]}
    assert "similar_features" not in near_misses(asked, clip.tokenizer, None)


@pytest.mark.parametrize(
    ("caption", "cut", "unread"),
    [
        ("an apple", False, False),
        ("an apple " + "on a table " * 40, True, False),
        ("on a table " * 40 + "an apple", True, True),
    ],
)
def test_what_the_model_does_not_read_is_told(
    folder: Path, tiny_experiment, caption: str, cut: bool, unread: bool
) -> None:
    table = folder / "pairs.csv"
    table.write_text(table.read_text().replace("a apple", caption.strip()))
    clip = tiny_experiment.original
    found = cut_captions(request(folder), clip.tokenizer, clip.model.context_length)
    assert [len(rows) for rows in found] == [cut, unread]
