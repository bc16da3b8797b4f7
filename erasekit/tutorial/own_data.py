"""What the notebook on one's own data needs: a stand-in folder, and one full of mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from erasekit.data.folder.check import check_folder
from erasekit.data.folder.listing import FolderPairs
from erasekit.data.folder.writer import TABLE
from erasekit.data.worlds import SPLITS
from erasekit.experiment.kinds import load
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

    Of the stand-in's model (see `stand_ins`) there is an oracle, which nobody has for a
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


def splits_table(pairs: FolderPairs) -> pd.DataFrame:
    """Of a folder, how many pairs, pictures and concepts each split has."""
    lines = {}
    for code, split in enumerate(SPLITS):
        mine = pairs.split.codes == code
        named = pairs.concept.codes[mine]
        lines[split] = {
            "pairs": int(mine.sum()),
            "pictures": len(np.unique(pairs.picture[mine])),
            "concepts": len(np.unique(named[named >= 0])),
        }
    return pd.DataFrame.from_dict(lines, orient="index")


def criteria_table(certificate: Mapping[str, Any]) -> pd.DataFrame:
    """A line a criterion of a certificate: what it asks, and how it ended."""
    lines = [
        {"asks": criterion["about"], "result": criterion["result"]}
        for criterion in certificate["criteria"]
    ]
    return pd.DataFrame(lines, index=[criterion["id"] for criterion in certificate["criteria"]])


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
