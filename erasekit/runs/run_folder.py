"""The run folder: one erasure with its parameters, proof and pictures, whole or not at all.

`params.json` is written first and says what the run is; `manifest.json` is written last and
says that the run is whole. What is in between when a run stops is taken up again by the same
command. A whole run is compared with its manifest whenever it is opened. Reading and checking
a folder needs no torch.
"""

from __future__ import annotations

import contextlib
import csv
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from erasekit.errors import ErasekitError, RunError, UsageError, reason
from erasekit.experiment.specs import make_plan
from erasekit.files import read_json, write_json
from erasekit.processes import on_main
from erasekit.runs.manifest import (
    AUDIT,
    FIGURES,
    HISTORY,
    MANIFEST,
    MODEL,
    PARAMS,
    PROVENANCE,
    REQUEST,
    SCORECARD,
    check_files,
    difference,
    placeless,
    write_manifest,
)
from erasekit.settings import Settings, make_settings

if TYPE_CHECKING:
    from erasekit.evaluate.scorecard import Scorecard
    from erasekit.experiment.base_experiment import BaseExperiment
    from erasekit.unlearn.engine import Erasure

TRACKERS = "trackers"
REPORT = "report.html"
#: Made of a run later, beside its audit.
CERTIFICATE = "certificate.json"
CERTIFICATE_PAGE = "certificate.html"
_OF_THE_RUN = (REPORT, AUDIT, CERTIFICATE, CERTIFICATE_PAGE)
CHECKPOINT = "checkpoint.pt"
LOCK, STAGE = ".lock", ".new"
#: What a run writes, in the order in which a finished one is put in another's place.
_DATA = (PARAMS, REQUEST, PROVENANCE, HISTORY, MODEL, FIGURES, TRACKERS, SCORECARD, MANIFEST)


class RunFolder:
    """The folder of one run.

    Args:
        path: where it is; `create` and `open` check what is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @classmethod
    def create(
        cls,
        path: Path,
        settings: Settings,
        *,
        oracle: bool = True,
        control: bool = True,
        overwrite: bool = False,
    ) -> RunFolder:
        """A folder to run in, with `params.json` written: new, or an interrupted one to resume.

        With `overwrite`, a whole run stays as it is until the new one is whole too: the
        new one is made beside it, and `publish` puts it in place.

        Raises:
            UsageError: when the folder holds a run, an interrupted run of other
                parameters, or files that are no run.
            RunError: when it cannot be written.
        """
        folder = cls(path)
        wanted = describe(settings, oracle=oracle, control=control)
        if folder.path.exists() and not folder.path.is_dir():
            raise UsageError(f"{path} is a file: give a folder to write the run to")
        if folder.whole:
            if not overwrite:
                raise UsageError(
                    f"{path} already holds a run: give another folder, or --overwrite to replace it"
                )
            folder = cls(folder.path.with_name(folder.path.name + ".new"))
        if folder._others_files():
            raise UsageError(f"{folder.path} holds files that are no run: give another folder")
        there = folder._interrupted(overwrite)
        if there != wanted:
            if there is not None and not overwrite:
                raise UsageError(
                    f"{path} holds an interrupted run of other parameters "
                    f"({difference(there, wanted, 'the command')}): give those to go on with it, "
                    "another folder, or --overwrite"
                )
            with folder.locked():
                folder._clear()
                write_json(folder.path / PARAMS, wanted)
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The folder of a whole run.

        Raises:
            UsageError: when there is none, what is there is no run, or a file is not as
                erasekit wrote it.
            RunError: when the run was interrupted, or a file cannot be read.
        """
        folder = cls(path)
        if not folder.path.is_dir():
            raise UsageError(f"{path} is no folder: give the folder of a run")
        if not (folder.path / PARAMS).is_file():
            raise UsageError(f"{path} is not the folder of a run: it has no {PARAMS}")
        if not folder.whole:
            raise RunError(
                f"{path} holds an interrupted run (no {folder._missing}): "
                "run the command that started it again to go on"
            )
        check_files(folder.path)
        return folder

    @property
    def whole(self) -> bool:
        """Whether it holds a complete run."""
        return self._missing is None

    @property
    def _missing(self) -> str | None:
        return next((n for n in (SCORECARD, MANIFEST) if not (self.path / n).is_file()), None)

    @property
    def params(self) -> dict[str, Any]:
        """Every parameter as it took effect."""
        params = read_json(self.path / PARAMS)
        if not isinstance(params, dict) or not isinstance(params.get("options"), dict):
            raise RunError(f"{self.path / PARAMS} is damaged: it does not hold the parameters")
        return params

    @property
    def settings(self) -> Settings:
        """The settings it ran with.

        Raises:
            RunError: when they are not such that this version could have written them.
        """
        params = self.params
        try:
            return make_settings(
                **{k: v for k, v in params.items() if k not in ("oracle", "control")}
            )
        except (ErasekitError, TypeError, AttributeError) as error:
            raise RunError(f"{self.path / PARAMS} is damaged: {error}") from error

    @property
    def scorecard(self) -> Scorecard:
        from erasekit.evaluate.scorecard import Scorecard

        return Scorecard.load(self.path / SCORECARD)

    @property
    def history(self) -> list[dict[str, float]]:
        """One row a step, without the cells that are empty."""
        try:
            with (self.path / HISTORY).open(encoding="utf-8", newline="") as file:
                return [
                    {k: int(v) if k == "step" else float(v) for k, v in row.items() if v != ""}
                    for row in csv.DictReader(file)
                ]
        except (OSError, TypeError, ValueError) as error:
            raise RunError(f"{self.path / HISTORY} cannot be read: {error}") from error

    @property
    def checkpoint(self) -> Path:
        return self.path / CHECKPOINT

    @property
    def report(self) -> Path:
        return self.path / REPORT

    def load_model(self, device: Any = "cpu") -> Any:
        """The erased model, whatever its kind, as it lies here.

        Raises:
            RunError: when it is damaged.
        """
        if self.settings.kind == "language":
            from erasekit.models.mllm import load_mllm

            return load_mllm(self.path / MODEL, device)
        from erasekit.models.clip import load_clip

        return load_clip(self.path / MODEL, device)

    def load_erasure(self, experiment: BaseExperiment) -> Erasure:
        """The erased model with its history and cost, as `Experiment.erase` gave it.

        Raises:
            RunError: when the model is damaged, or is not the one that this run made.
        """
        from erasekit.unlearn.engine import Erasure

        model = self.load_model(experiment.device)
        model.model.requires_grad_(False)
        made = read_json(self.path / PROVENANCE).get("models", {}).get("erased")
        if model.fingerprint() != made:
            raise RunError(
                f"{self.path / MODEL} is not the model that this run made (its weights differ "
                "from provenance.json): to judge it all the same, use evaluate --model"
            )
        cost = self.scorecard.cost.get("erased", {})
        return Erasure(
            model=model,
            method=experiment.method.name,
            options=asdict(experiment.method),  # type: ignore[call-overload]
            spec=experiment.erase_spec,
            history=self.history,
            seconds=cost.get("seconds", 0.0),
            steps=cost.get("steps", len(self.history)),
        )

    def write(
        self,
        experiment: BaseExperiment,
        erasure: Erasure,
        scorecard: Scorecard,
        control: Erasure | None,
    ) -> None:
        """Write all that a run is, `scorecard.json` last, and nothing that is made of it.

        Raises:
            RunError: when the disk is full; the folder is then no whole run.
        """
        from erasekit.loop import write_history
        from erasekit.runs.figures import write_figures
        from erasekit.runs.provenance import provenance

        models = {"original": experiment.original, "erased": erasure.model}
        if control is not None:
            models["control"] = control.model
        if "oracle" in scorecard.models:
            models["oracle"] = experiment.oracle
        made = provenance(experiment, models) | {
            "parameters": placeless(self.params),
            "task": experiment.task.describe(),
        }
        with self.extended() as stage:
            if not self.whole:  # measured again, a run keeps its model
                erasure.model.save(stage / MODEL)
                write_history(stage / HISTORY, erasure.history)
            if experiment.request is not None:
                erased = experiment.task.forget.positions
                write_json(stage / REQUEST, experiment.request.as_dict(erased))
            with experiment.running():
                write_figures(stage / FIGURES, experiment, models, erasure, scorecard)
            write_json(stage / PROVENANCE, made)
            scorecard.save(stage / SCORECARD)

    @contextlib.contextmanager
    def extended(self) -> Iterator[Path]:
        """A hidden folder to write in, whose files join the run at the end, all or none."""
        stage = self.path / STAGE
        try:
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir()
            yield stage
            (self.path / MANIFEST).unlink(missing_ok=True)
            for file in sorted(stage.rglob("*")):
                if file.is_file():
                    target = self.path / file.relative_to(stage)
                    target.parent.mkdir(exist_ok=True)
                    file.replace(target)
            write_manifest(self.path)
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {reason(error)}") from error
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    def publish(self, path: Path) -> RunFolder:
        """Put this whole run in the place of the one at `path`, whose other files stay."""
        target = RunFolder(path)
        if target.path == self.path:
            return self
        target._clear()
        try:
            for name in _DATA:
                if (self.path / name).exists():
                    (self.path / name).replace(target.path / name)
            shutil.rmtree(self.path)
        except OSError as error:
            raise RunError(
                f"cannot move the run from {self.path} to {path}: {reason(error)}"
            ) from error
        return target

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run out of the folder.

        Raises:
            UsageError: when another run is at work in it.
        """
        lock = FileLock(self.path / LOCK)

        def acquire() -> None:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=0)
            except Timeout:
                raise UsageError(f"another run is at work in {self.path}") from None
            except OSError as error:
                raise RunError(f"cannot write {self.path}: {reason(error)}") from error

        on_main(acquire)
        try:
            yield
        finally:
            lock.release()

    def _others_files(self) -> bool:
        """Whether there is anything but a run, a notebook beside it, and hidden files."""
        if not self.path.is_dir() or (self.path / PARAMS).exists():
            return False
        return any(p.suffix != ".ipynb" and p.name[0] != "." for p in self.path.iterdir())

    def _interrupted(self, overwrite: bool) -> dict | None:
        """Parameters of the interrupted run that is there, if there is one."""
        try:
            return self.params if (self.path / PARAMS).is_file() else None
        except RunError:
            if overwrite:
                return None
            raise

    def _clear(self) -> None:
        """Remove a run and nothing else; its mark of being whole goes first."""
        try:
            (self.path / MANIFEST).unlink(missing_ok=True)
            for name in (*_DATA, *_OF_THE_RUN, CHECKPOINT):
                entry = self.path / name
                if entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink(missing_ok=True)
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {reason(error)}") from error


def open_runs(paths: Sequence[Path]) -> dict[str, RunFolder]:
    """Several whole runs, by a name that tells them apart.

    Folders without a whole run are passed over with a warning, so that ``runs/*`` does.

    Raises:
        UsageError: when a path does not exist, or fewer than two are runs.
    """
    folders: dict[Path, RunFolder] = {}
    for path in paths:
        try:
            folders[Path(path).resolve()] = RunFolder.open(path)
        except ErasekitError as error:
            if not Path(path).exists():
                raise
            warnings.warn(f"passed over: {error}", stacklevel=2)
    if len(folders) < 2:
        raise UsageError(f"comparing takes two runs or more: here are {len(folders)}")
    names = [path.name for path in folders]
    if len(set(names)) < len(names):  # a/fruit and b/fruit
        names = [str(folder.path) for folder in folders.values()]
    return dict(zip(names, folders.values(), strict=True))


def describe(settings: Settings, *, oracle: bool = True, control: bool = True) -> dict[str, Any]:
    """Every parameter as it takes effect, the method's own options filled up.

    Raises:
        UsageError: for parameters that cannot be run.
    """
    method = make_plan(settings).method
    return {
        **asdict(settings),
        "options": asdict(method),  # type: ignore[call-overload]
        "oracle": oracle,
        "control": control,
    }
