"""What the notebook on one's own data needs: a stand-in folder, and one full of mistakes."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from erasekit.data.data_spec import FOLDER
from erasekit.data.folder.check import check_folder
from erasekit.data.folder.listing import FolderPairs
from erasekit.data.folder.writer import TABLE
from erasekit.data.worlds import SPLITS
from erasekit.experiment.kinds import load
from erasekit.files import read_json, write_bytes, write_text
from erasekit.frames import records, where
from erasekit.runs.manifest import REQUEST
from erasekit.runs.near_misses import KINDS
from erasekit.runs.pages.headline import headline
from erasekit.settings import Settings, make_settings
from erasekit.tutorial.stand_ins import GROUP, stand_in

if TYPE_CHECKING:
    from erasekit.audit.audit_result import Audit
    from erasekit.evaluate.scorecard import Scorecard
    from erasekit.experiment.clip_experiment import Experiment
    from erasekit.models.clip import Clip

#: Steps in which a small CLIP learns the stand-in's folder: a minute of one processor, and
#: half a minute in the smoke profile.
STEPS, SMOKE_STEPS = 400, 120


def parameters(
    profile: str,
    out: str = "",
    *,
    data: str = "",
    forget: str = "",
    model: str = "",
    **given: Any,
) -> dict[str, Any]:
    """Parameters of an experiment in a folder: your own, or the stand-in where none is given.

    Args:
        out: where the notebook keeps files.
        data: ``folder:PATH``; empty for the stand-in.
        forget: the rule; empty for three pictures of the stand-in.
        model: as in the settings; empty for their default.
        given: anything else, as in the settings.
    """
    asked = {"model": model} if model else {}
    if data:
        return {"data": data, "forget": forget, **asked, **given}
    made = stand_in(load(profile, forget=GROUP, **given), "table")
    folder, listed = _request(Path(made["data"].removeprefix(FOLDER)), run_folder(out, "photos"))
    return {
        **made,
        "data": f"{FOLDER}{folder}",
        "forget": forget or f"files={listed}",
        **asked,
        **given,
    }


def _request(source: Path, folder: Path) -> tuple[Path, Path]:
    """A folder's copy with one picture twice, and a list of three of its pictures."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    with (folder / TABLE).open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    listed = [next(r["image"] for r in rows if r["split"] == split) for split in SPLITS]
    with Image.open(folder / listed[0]) as picture:
        picture.save(folder / "holiday.png", compress_level=0)
    with (folder / TABLE).open("a", encoding="utf-8", newline="") as table:
        csv.DictWriter(table, list(rows[0])).writerow(
            {"image": "holiday.png", "caption": "our holiday", "split": rows[0]["split"]}
        )
    return folder, write_text(folder.with_name("request.txt"), "\n".join(listed) + "\n")


def settings(profile: str, method: str, given: Mapping[str, Any]) -> Settings:
    """The settings of the notebook's run. No concept is held out of a folder, so that
    `never_seen` reads its level from shuffled pairs."""
    options = {"level": "shuffled"} if method == "never_seen" else {}
    return make_settings(profile, **given, method=method, options=options)


def trained(profile: str, method: str, given: Mapping[str, Any]) -> Experiment:
    """Return an experiment whose CLIP is trained on the folder, so that it has an oracle.

    Args:
        given: from `parameters`; its model is left out.
    """
    loaded = ("model", "pretrained", "oracle_model")
    own = {name: value for name, value in given.items() if name not in loaded}
    steps = SMOKE_STEPS if profile == "smoke" else STEPS
    training = {"model": "erasekit-small", "train_steps": steps, "train_batch": 32}
    options = settings(profile, method, given).options
    return load(profile, **own, train=True, **training, method=method, options=options)


def request_similarity(world: Experiment, clip: Clip) -> float:
    """Return the mean similarity of the pictures of a request with their captions."""
    pairs = world.task.judged("test").where(world.task.touches)
    pictures, texts = clip.encode_images(pairs.images), clip.encode_texts(pairs.captions)
    return float((pictures * texts).sum(1).mean())


def against_oracle(card: Scorecard) -> str:
    """Return the verdict of the report on the erased model and the oracle, as a sentence."""
    return next(each.lead for each in headline(card) if "the oracle" in each.lead)


def run_folder(out: str, name: str) -> Path:
    """Where the notebook keeps a folder: below its own `out`, or below ``runs``."""
    return Path(out or "runs") / "own_data" / name


def problems_table(folder: Path | str) -> pd.DataFrame:
    """Every problem of a folder: where, of what kind, and what exactly."""
    found = check_folder(folder, progress=False).problems()
    return pd.DataFrame(found, columns=["place", "kind", "problem"]).set_index("place")


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


def near_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """A line a kind of what a request nearly selects, as the preview found it."""
    lines = {
        KINDS[kind]: {
            "pictures": near["pictures"],
            "for example": near["examples"][0]["image"] if near["examples"] else "–",
        }
        for kind, near in found["near"].items()
    }
    return pd.DataFrame.from_dict(lines, orient="index")


def request_table(run: Path) -> pd.DataFrame:
    """How much a run was asked for, and what became of it."""
    told = read_json(run / REQUEST)
    lists = {**told, "asked": told["asked"]["entries"]}
    names = ("asked", "found", "completed", "not_found", "also_removed", "erased")
    return pd.DataFrame({"entries": {n.replace("_", " "): len(lists.get(n, ())) for n in names}})


def criteria_table(certificate: Mapping[str, Any]) -> pd.DataFrame:
    """A line a criterion of a certificate: what it asks, and how it ended."""
    lines = [
        {"asks": criterion["about"], "result": criterion["result"]}
        for criterion in certificate["criteria"]
    ]
    return pd.DataFrame(lines, index=[criterion["id"] for criterion in certificate["criteria"]])


def leaks_table(audit: Audit) -> pd.DataFrame:
    """A line for each form in which an audit tried the pictures of a request, a column a model."""
    found = where(audit.frame(), test="picture_leaks")
    labels = {"auc": "told from unseen pictures (AUC)"}
    form = [labels.get(r.metric, f"matched, {r.condition}") for r in records(found)]
    table = found.assign(form=form).pivot(index="form", columns="model", values="value")
    return table.loc[list(dict.fromkeys(form)), list(dict.fromkeys(found["model"]))]


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
