"""Write pairs as a folder of your own data: a table and pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from erasekit.data.pairs import Pairs
from erasekit.data.worlds import SPLITS, PairsWorld
from erasekit.files import write_bytes, write_whole

TABLE = "pairs.csv"


def write_world(
    world: PairsWorld, folder: Path, keep: Callable[[tuple[int, ...]], bool] | None = None
) -> Path:
    """Write a world's pairs, concepts and groups as a table `TABLE` with PNG files.

    A pair with one concept gets its name and group; a pair with several gets neither.

    Args:
        world: the world to write.
        folder: target folder of the table, and of the pictures in ``pictures/``.
        keep: selects pairs by their concepts; all by default.

    Returns:
        The path of the table.

    Raises:
        RunError: when the folder cannot be written.
    """
    rows = []
    for split in SPLITS:
        pairs = world.pairs(split)
        pairs = pairs.where(keep) if keep else pairs
        for i in range(len(pairs)):
            name = f"pictures/{split}/{int(pairs.positions[i]):06d}.png"
            write_bytes(folder / name, _png(pairs, i))
            shown = pairs.concepts[i]
            concept = world.concept(shown[0]) if len(shown) == 1 else None
            told = (concept.name, concept.group) if concept else ("", "")
            rows.append((name, pairs.captions[i], *told, split))

    def write(aside: Path) -> None:
        with aside.open("w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(("image", "caption", "concept", "group", "split"))
            lines.writerows(rows)

    return write_whole(folder / TABLE, write)


def _png(pairs: Pairs, row: int) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pairs.images[row].permute(1, 2, 0).numpy()).save(held, "PNG")
    return held.getvalue()
