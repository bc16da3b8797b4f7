"""What the notebook on one's own data needs: a stand-in folder, and one full of mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from erasekit.data.folder.check import check_folder
from erasekit.data.folder.writer import TABLE
from erasekit.experiment.clip_experiment import load
from erasekit.files import write_bytes, write_text
from erasekit.tutorial.stand_ins import GROUP, stand_in


def parameters(
    profile: str,
    *,
    data: str = "",
    forget: str = "",
    model: str = "",
    **given: Any,
) -> dict[str, Any]:
    """Parameters of an experiment in a folder: your own, or the stand-in where none is given.

    Of the stand-in's model (see `runs.stand_ins`) there is an oracle, which nobody has for a
    published CLIP.

    Args:
        data: ``folder:PATH``; empty for the stand-in.
        forget: the rule; empty for the stand-in's.
        model: as in the settings; empty for their default.
        given: anything else, as in the settings.
    """
    asked = {"model": model} if model else {}
    if data:
        return {"data": data, "forget": forget, **asked, **given}
    embedded = load(profile, forget=GROUP, **given)
    made = stand_in(embedded, "table")
    return {
        **made,
        "forget": forget or made["forget"],
        "oracle_model": f"local-dir:{embedded.oracle_folder}",
        **asked,
        **given,
    }


def run_folder(out: str, name: str) -> Path:
    """Where the notebook keeps a folder: below its own `out`, or below ``runs``."""
    return Path(out or "runs") / "own_data" / name


def problems_table(folder: Path | str) -> pd.DataFrame:
    """Every problem of a folder: where, of what kind, and what exactly."""
    found = check_folder(folder, progress=False).problems()
    return pd.DataFrame(found, columns=["place", "kind", "said"]).set_index("place")


def with_mistakes(folder: Path) -> Path:
    """Write a folder that has one of each common mistake; the folder.

    Raises:
        RunError: when it cannot be written.
    """
    good = folder / "cat.png"
    good.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), (200, 120, 40)).save(good)
    write_bytes(folder / "half.png", good.read_bytes()[:40])
    lines = [
        "image,caption",
        "cat.png,a cat on a chair",
        "dog.png,a dog that was never copied",
        "half.png,a picture of which half is missing",
        "cat.png,",
        "../../secret.png,a picture somewhere else on the disk",
        "cat.png,a caf\ufffd",
    ]
    write_text(folder / TABLE, "\n".join(lines) + "\n")
    return folder
