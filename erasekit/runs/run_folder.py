"""The run folder: one erasure with its parameters, results and figures.

`params.json` is written first and describes the run; `manifest.json` is written last and marks
the run as complete. The same command resumes an interrupted run. A complete run is compared with
its manifest whenever it is opened. Reading and checking a folder needs no torch.
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

from filelock import FileLock

from erasekit.errors import ErasekitError, RunError, UsageError, reason
from erasekit.experiment.specs import make_plan
from erasekit.files import read_json, sha256_json, write_json
from erasekit.locks import locked
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
#: Written to a run later, like its audit.
CERTIFICATE = "certificate.json"
CERTIFICATE_PAGE = "certificate.html"
_OF_THE_RUN = (REPORT, AUDIT, CERTIFICATE, CERTIFICATE_PAGE)
CHECKPOINT = "checkpoint.pt"
LOCK, STAGE = ".lock", ".new"
#: Files of a run, in the order in which a finished run replaces another one.
_DATA = (PARAMS, REQUEST, PROVENANCE, HISTORY, MODEL, FIGURES, TRACKERS, SCORECARD, MANIFEST)


class RunFolder:
    """The folder of one run.

    Args:
        path: path of the folder; use `create` or `open` to check its content.
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
        """Create a folder with `params.json`, or open an interrupted run to resume it.

        With `overwrite`, a complete run stays unchanged until the new one is complete: the
        new run is written to a separate folder, and `publish` moves it into place.

        Raises:
            UsageError: when the folder holds a run, an interrupted run with other
                parameters, or unrelated files.
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
            raise UsageError(f"{folder.path} holds files that are not a run: give another folder")
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
        """Open the folder of a complete run.

        Raises:
            UsageError: when the folder is missing or not a run, or a file has changed since
                erasekit wrote it.
            RunError: when the run was interrupted, or a file cannot be read.
        """
        folder = cls(path)
        if not folder.path.is_dir():
            raise UsageError(f"{path} is not a folder: give the folder of a run")
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
        """Whether the folder holds a complete run."""
        return self._missing is None

    @property
    def _missing(self) -> str | None:
        return next((n for n in (SCORECARD, MANIFEST) if not (self.path / n).is_file()), None)

    @property
    def params(self) -> dict[str, Any]:
        """Every parameter with its effective value."""
        params = read_json(self.path / PARAMS)
        if not isinstance(params, dict) or not isinstance(params.get("options"), dict):
            raise RunError(f"{self.path / PARAMS} is damaged: it does not hold the parameters")
        return params

    @property
    def settings(self) -> Settings:
        """The settings of the run.

        Raises:
            RunError: when this version cannot have written them.
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
        """One row per step, without empty cells."""
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
        """Load the erased model, of any kind.

        Raises:
            RunError: when the model is damaged.
        """
        if self.settings.kind == "language":
            from erasekit.models.mllm import load_mllm

            return load_mllm(self.path / MODEL, device)
        from erasekit.models.clip import load_clip

        return load_clip(self.path / MODEL, device)

    def load_erasure(self, experiment: BaseExperiment) -> Erasure:
        """Load the erased model with its history and cost, as `Experiment.erase` returned it.

        Raises:
            RunError: when the model is damaged, or is not the model of this run.
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
        """Write the files of the run, `scorecard.json` last, without derived files.

        Raises:
            RunError: when the disk is full; the run is then incomplete.
        """
        from erasekit.loop import write_history
        from erasekit.runs.figures import write_figures
        from erasekit.runs.provenance import provenance

        models = {"original": experiment.original, "erased": erasure.model}
        if control is not None:
            models["control"] = control.model
        if "oracle" in scorecard.models:
            models["oracle"] = experiment.oracle
        request = None
        if experiment.request is not None:
            request = experiment.request.as_dict(experiment.task.forget.positions)
        made = provenance(experiment, models) | {
            "parameters": placeless(self.params),
            "task": experiment.task.describe(),
            "request": None if request is None else sha256_json(request),
        }
        with self.extended() as stage:
            if not self.whole:  # a repeated evaluation keeps the model
                erasure.model.save(stage / MODEL)
                write_history(stage / HISTORY, erasure.history)
            if request is not None:
                write_json(stage / REQUEST, request)
            with experiment.running():
                write_figures(stage / FIGURES, experiment, models, erasure, scorecard)
            write_json(stage / PROVENANCE, made)
            scorecard.save(stage / SCORECARD)

    @contextlib.contextmanager
    def extended(self) -> Iterator[Path]:
        """Yield a hidden folder to write in; at the end, all of its files join the run or none."""
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
        """Replace the run at `path` by this complete run; other files there are kept."""
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
        """Lock the folder against a second run.

        Raises:
            UsageError: when another run is using the folder.
        """
        with contextlib.ExitStack() as stack:
            lock = locked(self.path, FileLock(self.path / LOCK))
            on_main(lambda: stack.enter_context(lock))
            yield

    def _others_files(self) -> bool:
        """Whether the folder has files other than a run, a notebook, and hidden files."""
        if not self.path.is_dir() or (self.path / PARAMS).exists():
            return False
        return any(p.suffix != ".ipynb" and p.name[0] != "." for p in self.path.iterdir())

    def _interrupted(self, overwrite: bool) -> dict | None:
        """Return the parameters of an interrupted run in the folder, or None."""
        try:
            return self.params if (self.path / PARAMS).is_file() else None
        except RunError:
            if overwrite:
                return None
            raise

    def _clear(self) -> None:
        """Remove the run and no other files; the manifest is removed first."""
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
    """Open several complete runs, by unique names.

    Folders without a complete run are skipped with a warning, so that ``runs/*`` works.

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
    """Return every effective parameter, including the defaults of the method's options.

    Raises:
        UsageError: for invalid parameters.
    """
    method = make_plan(settings).method
    return {
        **asdict(settings),
        "options": asdict(method),  # type: ignore[call-overload]
        "oracle": oracle,
        "control": control,
    }
