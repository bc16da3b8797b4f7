"""Does memory grow with a folder? Peak memory of an erasure at 10,000 and at 1,000,000 pairs.

Shards are made for it, as webdataset writes them: a picture of 8 × 8 pixels and a caption each.
Every size is read, checked, asked for a rule, and erased from with a small CLIP, in a process of
its own. The shards of a million pairs take 3 GB of disk.

    python benchmarks/memory.py --work FOLDER [--sizes 10000 1000000]
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tarfile
import time
from pathlib import Path

SHARD = 10_000
RULE = "word=apple"
WORDS = ("apple", "bus", "cat", "door", "eye", "fox", "gate", "hat", "ink", "jar")


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--work", type=Path, required=True, help="folder for the shards")
    arguments.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_000_000])
    arguments.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.one:
        print(json.dumps(measure(given.one)))
        return
    found = {}
    for size in given.sizes:
        folder = make_shards(given.work / str(size), size)
        command = [sys.executable, __file__, "--work", str(given.work), "--one", str(folder)]
        # The first run reads the folder, the second finds it in the cache.
        for run in ("first", "again"):
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found[size, run] = json.loads(said.splitlines()[-1])
            print(f"{size:>9,} pairs, {run}: {found[size, run]}", flush=True)
    for run in ("first", "again"):
        peaks = [found[size, run]["peak_mb"] for size in given.sizes]
        print(
            f"{run}: the largest folder takes {peaks[-1] / peaks[0]:.3f} times the smallest's peak"
        )


def make_shards(folder: Path, size: int) -> Path:
    """Shards of `size` pairs; those that are there are kept."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for first in range(0, size, SHARD):
        pixels = rng.integers(0, 256, (SHARD, 8, 8, 3), dtype=np.uint8)
        path = folder / f"{first // SHARD:05d}.tar"
        if path.exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part")
        with tarfile.open(aside, "w") as shard:
            for i in range(min(SHARD, size - first)):
                held = io.BytesIO()
                Image.fromarray(pixels[i]).save(held, "PNG", compress_level=1)
                key, word = f"{first + i:09d}", WORDS[i % len(WORDS)]
                text = f"picture {first + i} of a thing called {word}".encode()
                for end, content in (("png", held.getvalue()), ("txt", text)):
                    member = tarfile.TarInfo(f"{key}.{end}")
                    member.size = len(content)
                    shard.addfile(member, io.BytesIO(content))
        aside.replace(path)
    return folder


def measure(folder: Path) -> dict[str, float]:
    """Erase in a folder, and what the process needed at most."""
    import erasekit

    base = erasekit.load("smoke", progress=False)
    model = f"local-dir:{base.original_folder}"
    began = time.perf_counter()
    experiment = erasekit.load(
        "smoke", progress=False, data=f"folder:{folder}", forget=RULE, model=model, most_pairs=2_000
    )
    read = time.perf_counter() - began
    experiment.erase(steps=20, forget_batch=16, retain_batch=16)
    return {
        "read_seconds": round(read, 1),
        "seconds": round(time.perf_counter() - began, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


if __name__ == "__main__":
    main()
