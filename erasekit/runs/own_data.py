"""What the notebook on one's own data needs: a stand-in folder, and one full of mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from erasekit.cache import cached, hash_code
from erasekit.data.folder import check_folder
from erasekit.data.folder_writer import TABLE, write_world
from erasekit.experiment import load
from erasekit.files import write_bytes, write_text

#: What is forgotten in the stand-in.
STAND_IN_RULE = "group=fruit"
# The small CLIP was trained on captions such as these.
_TEMPLATES = "a picture of {}|{}|a drawing of {}|we see {}|this shows {}|look at this: {}"


def parameters(
    profile: str,
    *,
    data: str = "",
    forget: str = "",
    model: str = "",
    **given: Any,
) -> dict[str, Any]:
    """Parameters of an experiment in a folder: your own, or the stand-in where none is given.

    The stand-in is the embedded world's drawings of single things, written as PNG files with a
    table; its model is the small CLIP that was trained on them, from its own folder, and there
    is an oracle, which nobody has for a published CLIP.

    Args:
        data: ``folder:PATH``; empty for the stand-in.
        forget: the rule; empty for the stand-in's.
        model: as in the settings; empty for their default.
        given: anything else, as in the settings.
    """
    asked = {"model": model} if model else {}
    if data:
        return {"data": data, "forget": forget, **asked, **given}
    embedded = load(profile, forget="fruit", **given)
    settings = embedded.settings
    names = ("learning_rate", "steps", "forget_batch", "retain_batch")
    return {
        "data": f"folder:{_stand_in(embedded)}",
        "forget": forget or STAND_IN_RULE,
        "model": f"local-dir:{embedded.original_folder}",
        "oracle_model": f"local-dir:{embedded.oracle_folder}",
        "templates": _TEMPLATES,
        **{name: getattr(settings, name) for name in names},
        **asked,
        **given,
    }


def _stand_in(embedded: Any) -> Path:
    world, trained = embedded.world, set(embedded.world.trained)

    def make(folder: Path) -> None:
        write_world(world, folder, lambda shown: len(shown) == 1 and shown[0] in trained)

    recipe = {"world": world.spec.as_dict(), "code": hash_code(("data/folder_writer.py",))}
    recipe["world"]["languages"] = list(world.spec.languages)
    return cached("stand-in", recipe, make)


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
