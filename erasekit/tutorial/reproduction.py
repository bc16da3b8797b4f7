"""CLIPErase's published experiments run again, each beside the control that the paper lacks.

`reported` says what is reported, what is left open and what is taken instead. Where data or
weights are absent, a stand-in takes their place (`stand_ins`): the same code runs on small
drawings, and its numbers are comparable with nothing.

The published set-up was never run where this was built: neither data nor weights could be fetched
there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from erasekit.data.published.cc12m import INDEX
from erasekit.data.published.common import PAIRS
from erasekit.errors import UsageError
from erasekit.experiment.kinds import load
from erasekit.files import read_json
from erasekit.models.model_name import Named, OnHub, check_model
from erasekit.runs.erasing import run_erase
from erasekit.runs.provenance import provenance
from erasekit.runs.run_folder import PROVENANCE, RunFolder, describe
from erasekit.settings import PROFILES, Settings, make_settings
from erasekit.tutorial.reported import PAPER, Published, published
from erasekit.tutorial.stand_ins import GROUP, stand_in

# Of a run: how it is computed, and not what.
_FREE = ("threads", "device", "precision")


@dataclass(frozen=True)
class Prepared:
    """An experiment that is ready to run.

    Attributes:
        settings: with the first seed.
        absent: why a stand-in runs; empty for the published set-up.
    """

    published: Published
    settings: Settings
    absent: str = ""

    @property
    def title(self) -> str:
        return f"{self.published.title} (stand-in)" if self.absent else self.published.title

    @property
    def folder(self) -> str:
        """Name of the folder with its runs: a stand-in's never take the others' place."""
        return f"{self.published.name}-stand-in" if self.absent else self.published.name


@dataclass(frozen=True)
class Reproduced:
    """An experiment with its whole runs, one a seed."""

    prepared: Prepared
    runs: Sequence[RunFolder] = field(default_factory=list)


def data_here(folder: Path | str) -> bool:
    """Whether a script of ``data_scripts/`` has written its folder whole."""
    return any((Path(folder).expanduser() / name).is_file() for name in (PAIRS, INDEX))


def weights_here(model: str, pretrained: str = "") -> bool:
    """Whether a CLIP's weights are on this disk, so that nothing would be fetched.

    Raises:
        UsageError: for a name that nobody knows.
    """
    match check_model(model, pretrained or None):
        case OnHub(repository):
            return _in_hub_cache(repository)
        case Named(architecture, str(tag)):
            import open_clip

            told = open_clip.get_pretrained_cfg(architecture, tag)
            if hub := told.get("hf_hub"):
                return _in_hub_cache("/".join(hub.split("/")[:2]))
            url = told.get("url", "")
            return bool(url) and (Path("~/.cache/clip").expanduser() / Path(url).name).is_file()
    return True  # a folder or a file, which the check has found


def _in_hub_cache(repository: str) -> bool:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, local_files_only=True))
    except LocalEntryNotFoundError:
        return False
    return any(path.suffix in (".safetensors", ".bin", ".pt") for path in folder.iterdir())


def why_absent(one: Published, profile: str, data: Path | str, model: str = "") -> str:
    """Why the published set-up cannot run, in a sentence; empty if it can.

    Args:
        profile: of the notebook.
        data: the folder that holds the data sets' folders.
        model: named by the user, who wants it fetched if need be; empty for the experiment's.
    """
    if profile != PAPER:
        return f"profile {profile} is for small stand-ins"
    folder = Path(data) / one.name
    if not data_here(folder):
        return f"{folder} is not there: data_scripts/{one.script} writes it"
    usual = {**PROFILES[PAPER], **one.settings}
    if not model and not weights_here(usual["model"], usual["pretrained"]):
        name = f"{usual['model']}:{usual['pretrained']}"
        return f"the weights of {name} are not here: model={name} fetches them"
    return ""


def prepare(
    profile: str,
    *,
    data: Path | str = "data",
    forget: str = "",
    model: str = "",
    **given: Any,
) -> list[Prepared]:
    """Every experiment with its settings: the published set-up, or a stand-in and why.

    Args:
        profile: ``paper``; in others stand-ins run throughout.
        data: the folder that holds ``cifar100/``, ``flickr30k/`` and ``cc12m/``.
        forget: a rule in place of the experiments' own.
        model: a CLIP in place of the experiments' own.
        given: any other parameter, in place of each experiment's own.

    Raises:
        UsageError: for parameters that do not fit, and a model that nobody knows.
        RunError: when the cache cannot be written.
    """
    small = "default" if profile == PAPER else profile
    if model:
        check_model(model)
    prepared, embedded = [], None
    for one in published().values():
        absent = why_absent(one, profile, data, model)
        if absent:
            embedded = embedded or load(small, forget=GROUP, **given)
            values = stand_in(embedded, one.name)
            # It shows that the way is sound, which half of the steps do as well.
            values["steps"] = max(1, values["steps"] // 2)
        else:
            values = {"data": f"folder:{Path(data) / one.name}", "forget": one.forget}
            values |= {**one.settings, **({"model": model, "pretrained": ""} if model else {})}
        # The papers judge on test pictures that were not erased.
        asked = {"forget_split": "train", **given, **({"forget": forget} if forget else {})}
        settings = make_settings(small if absent else PAPER, **{**values, **asked})
        prepared.append(Prepared(one, settings, absent))
    return prepared


def reproduce(
    prepared: Prepared, out: Path | str, seeds: int = 1, *, progress: bool = True
) -> Reproduced:
    """Run an experiment, erased and control, over seeds.

    A run that is whole is taken as it is, and one that was interrupted goes on. A stand-in's,
    which costs seconds, is made again if its parameters or erasekit's code were others.

    Args:
        out: receives the run folders, ``NAME/seed-N``.
        seeds: how many, from the settings' own on.

    Raises:
        UsageError: for a folder with a run of other parameters.
        RunError: when a run cannot go on; what was reached is kept.
    """
    if seeds < 1:
        raise UsageError(f"seeds = {seeds}: must be at least 1")
    runs = []
    for seed in range(prepared.settings.seed, prepared.settings.seed + seeds):
        settings = dataclasses.replace(prepared.settings, seed=seed)
        path = Path(out) / prepared.folder / f"seed-{seed}"
        taken = _whole(path, settings, bool(prepared.absent))
        runs.append(
            taken
            or run_erase(
                settings, path, oracle=False, overwrite=bool(prepared.absent), progress=progress
            )
        )
    return Reproduced(prepared, runs)


def _whole(path: Path, settings: Settings, again: bool) -> RunFolder | None:
    """The whole run that is there; None if there is none, or it had better be made again."""
    run = RunFolder(path)
    if not run.whole:
        return None
    wanted, there = describe(settings, oracle=False), run.params
    others = [k for k in wanted if k not in _FREE and there.get(k) != wanted[k]]
    if again and (others or read_json(path / PROVENANCE).get("code") != provenance()["code"]):
        return None
    if others:
        raise UsageError(
            f"{path} holds a run of other parameters ({others[0]} is {there.get(others[0])!r} "
            "there): give another folder as out, or those parameters"
        )
    return run
