"""A notebook with many parameters: one run folder for each, one page that compares them.

Workers run the notebook and return its folder as an archive. Only this process writes to the
folder of the sweep, so the workers need not share its disk. A run that is there is not run again.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from erasekit.cache import code_identity
from erasekit.cluster import Outcome, Workers, estimate, open_pool, say
from erasekit.data.published.archives import unpack
from erasekit.errors import RunError, UsageError, reason
from erasekit.files import (
    read_json,
    sha256_folder,
    sha256_json,
    write_bytes,
    write_json,
    write_text,
)
from erasekit.progress import progress_bar
from erasekit.runs.run_folder import RunFolder
from erasekit.tutorial.grid import agrees, expand, typed
from erasekit.tutorial.notebook_unit import LOG, RECORD, Made, NotebookUnit, run_notebook_unit
from erasekit.tutorial.runner import check_extra, declared_parameters, notebook_paths
from erasekit.tutorial.sweep_page import write_sweep_page

#: What a notebook of the kit computes with, whose code is part of a run's key; and the packages
#: of what is found by its name.
_CODE = ("erasekit.tutorial.notebook", "erasekit.experiment.kinds", "erasekit.runs.audits")
_FOUND = ("erasekit.unlearn.methods", "erasekit.audit.attacks")


@dataclass
class Sweep:
    """The runs that are asked for, and those that are in the folder.

    Attributes:
        units: the runs asked for, by the name of their folder.
        where: values by name that the runs must have, to be run or shown.
    """

    out: Path
    units: dict[str, NotebookUnit]
    where: Mapping[str, Sequence[Any]]

    @cached_property
    def there(self) -> dict[str, dict[str, Any]]:
        """The records of all runs in `out`, by the name of their folder."""
        return _read_runs(self.out)

    @property
    def to_run(self) -> dict[str, NotebookUnit]:
        """What is not there; a run that failed is run again."""
        done = {record["key"] for record in self.there.values() if not record["failure"]}
        return {name: unit for name, unit in self.units.items() if unit.key not in done}

    def outlook(self, workers: Workers) -> str:
        """What would run, what is there, and how long it takes by past runs."""
        to_run = self.to_run
        lines = [f"{len(self.units)} runs: {len(self.units) - len(to_run)} are there"]
        for name in self.units:
            failed = self.there.get(name, {}).get("failure")
            state = "to run" if name in to_run else "there"
            lines.append(f"  {state:7} {name}" + (f" (failed: {failed})" if failed else ""))
        past = [r["seconds"] for r in self.there.values() if not r["failure"]]
        return "\n".join([*lines, estimate(past, len(to_run), workers)])


def plan_sweep(
    notebook: str,
    grid: Mapping[str, Sequence[Any]],
    out: Path,
    *,
    where: Mapping[str, Sequence[Any]] | None = None,
    threads: int = 1,
) -> Sweep:
    """Check a sweep before anything runs.

    Args:
        notebook: its path, or the number or name of one of the kit.
        grid: values by parameter; texts are read as the notebook declares them.
        out: the folder of the sweep.
        where: takes of the grid, and of the runs that are there, only those with these values.
        threads: of the processor for each run, unless the grid names them.

    Raises:
        UsageError: for a notebook, parameter or value that cannot be meant.
    """
    check_extra()
    import nbformat

    path = Path(notebook)
    path = path if path.suffix == ".ipynb" else notebook_paths([notebook])[0]
    if not path.is_file():
        raise UsageError(f"{path} is not a notebook: no such file")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file: give a folder for the runs")
    declared = declared_parameters(path)
    chosen, text = typed(where or {}, declared, path.stem), path.read_text(encoding="utf-8")
    code = {
        "notebook": [cell.source for cell in nbformat.reads(text, as_version=4).cells],
        **_code(),
    }
    units = {}
    for given in expand(typed(grid, declared, path.stem)):
        if agrees(given, chosen):
            full = {"threads": threads, **given} if "threads" in declared else given
            key = sha256_json({**code, "threads": threads, "parameters": full})
            units[_name(given, key)] = NotebookUnit(
                path.name, text, full, key, threads, str(Path.cwd())
            )
    if not units:
        raise UsageError("no run of the grid has the values of --where")
    return Sweep(out, units, chosen)


def _code() -> dict[str, str]:
    found = [
        f"{package}.{module.name}"
        for package in _FOUND
        for module in iter_modules(import_module(package).__path__)
    ]
    return code_identity(*_CODE, *found)


def _name(parameters: Mapping[str, Any], key: str) -> str:
    """A folder's name that a person can read, and that no two runs share."""
    words = "_".join(f"{name}-{value}" for name, value in parameters.items())
    return f"{re.sub(r'[^A-Za-z0-9_.+-]+', '-', words)[:80] or 'run'}-{key[:8]}"


def _read_runs(out: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(out.glob(f"[!.]*/{RECORD}")):
        try:
            record = read_json(path)
            found[path.parent.name] = record
            _ = record["key"], record["failure"], record["seconds"], record["parameters"]
        except (RunError, KeyError, TypeError):
            found.pop(path.parent.name, None)
            say(f"left out: {path} is damaged")
    return found


def run_sweep(sweep: Sweep, workers: Workers, *, progress: bool = True) -> Path:
    """Run what is not there, and write the page that compares all runs.

    Returns:
        the page.

    Raises:
        UsageError: when another program is writing to the folder.
        RunError: when the folder cannot be written; and at the end, when runs failed: each is
            named, with its log, and is on the page.
    """
    with RunFolder(sweep.out).locked():
        return _run_missing(sweep, workers, progress)


def _run_missing(sweep: Sweep, workers: Workers, progress: bool) -> Path:
    to_run = sweep.to_run
    total, failed = len(sweep.units), {}
    with (
        progress_bar("sweep", "run", total, done=total - len(to_run), show=progress) as bar,
        open_pool(run_notebook_unit, workers, len(to_run), say) as pool,
    ):
        for name, unit in to_run.items():
            pool.submit(name, unit)
        for outcome in pool:
            failure = _keep(sweep.out / outcome.name, outcome, to_run[outcome.name])
            if failure:
                failed[outcome.name] = failure
                say(f"failed: {outcome.name}: {failure} (log: {sweep.out / outcome.name / LOG})")
            bar.update()
    there = {n: r for n, r in _read_runs(sweep.out).items() if agrees(r["parameters"], sweep.where)}
    page = write_sweep_page(sweep.out, there)
    if failed:
        name, failure = next(iter(failed.items()))
        raise RunError(
            f"{len(failed)} of {len(to_run)} runs failed, the first is {name}: {failure}. "
            f"All are on {page}"
        )
    return page


def _keep(folder: Path, outcome: Outcome, unit: NotebookUnit) -> str:
    """Write what came of a unit, whole or not at all; why it failed, empty where it did not.

    Raises:
        RunError: when the folder cannot be written.
    """
    failure = outcome.error
    try:
        if not failure:
            try:
                unpack_run(folder, outcome.value, unit.key)
                return outcome.value.failure
            except RunError as error:
                if isinstance(error.__cause__, OSError):
                    raise
                failure = str(error)
        shutil.rmtree(folder, ignore_errors=True)
        write_text(folder / LOG, outcome.log or failure)
        record = {"version": 1, "notebook": Path(unit.file).stem, "parameters": unit.parameters}
        record |= {"key": unit.key, "failure": failure, "seconds": round(outcome.seconds, 1)}
        write_json(folder / RECORD, record)
    except OSError as error:
        raise RunError(f"cannot write {folder}: {reason(error)}") from error
    return failure


def unpack_run(folder: Path, made: Made, key: str) -> None:
    """Unpack a run folder beside its place, check it, and move it there in one step.

    Raises:
        RunError: when the archive is damaged, not to be trusted, or holds another run.
    """
    if hashlib.sha256(made.archive).hexdigest() != made.sha256:
        raise RunError("its archive was damaged on the way")
    aside, archive = (folder.parent / f".{folder.name}{end}" for end in ("", ".tar"))
    try:
        shutil.rmtree(aside, ignore_errors=True)
        unpack(write_bytes(archive, made.archive), aside, progress=False)
        record, files = read_json(aside / RECORD), sha256_folder(aside)
        files.pop(RECORD)
        if record.get("key") != key or record.get("files") != files:
            raise RunError("its archive holds another run than the one asked for")
        shutil.rmtree(folder, ignore_errors=True)  # an earlier one, which failed
        aside.replace(folder)
    finally:
        archive.unlink(missing_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
