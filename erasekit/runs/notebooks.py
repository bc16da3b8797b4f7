"""Run notebooks with papermill: parameters checked first, progress shown, nothing skipped."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from erasekit.errors import ErasekitError, RunError, UsageError, unknown
from erasekit.runs.parameters import check_parameters

INDEX = "index.html"
#: How often a line tells that a run goes on where no terminal shows a moving one, in seconds.
_SIGN_OF_LIFE = 30.0


def notebooks_folder() -> Path:
    """The notebooks of this checkout, wherever it is called from.

    Raises:
        UsageError: when erasekit was installed without its checkout.
    """
    for folder in (Path(__file__).parents[2] / "notebooks", Path("notebooks").resolve()):
        if any(folder.glob("0*.ipynb")):
            return folder
    raise UsageError("no notebooks found: run this from a checkout of erasekit")


def notebook_paths(only: Sequence[str] | None = None) -> list[Path]:
    """The numbered notebooks in order; with `only`, those whose number or name it gives.

    Raises:
        UsageError: for a number or name that none has.
    """
    paths = sorted(notebooks_folder().glob("[0-9][0-9]_*.ipynb"))
    if not only:
        return paths
    for wanted in only:
        if not any(_is_called(path, wanted) for path in paths):
            raise unknown("notebook", wanted, [path.stem for path in paths])
    return [path for path in paths if any(_is_called(path, wanted) for wanted in only)]


def _is_called(path: Path, wanted: str) -> bool:
    return wanted in (path.stem, path.name, path.stem[:2])


def declared_parameters(path: Path) -> dict[str, str]:
    """Type of each parameter that a notebook declares, by name."""
    from papermill import inspect_notebook

    return {
        name: info["inferred_type_name"] for name, info in inspect_notebook(_literal(path)).items()
    }


def _literal(path: Path) -> str:
    """A path as papermill takes it: it would read braces as a format."""
    return str(path).replace("{", "{{").replace("}", "}}")


def run_notebook(
    path: Path,
    folder: Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    place: str = "",
) -> Path:
    """Run one notebook from beginning to end.

    Args:
        path: the notebook.
        folder: receives the executed notebook, and whatever it records.
        parameters: replace the notebook's own; ``out`` becomes `folder` unless given.
        place: shown with the progress, such as ``3/8``.

    Returns:
        the executed notebook.

    Raises:
        UsageError: for parameters that the notebook does not have; nothing has run then.
        RunError: when a cell fails or did not run; the executed part is kept.
    """
    path, folder = Path(path), Path(folder).resolve()
    if not path.is_file():
        raise UsageError(f"{path} is not a notebook: no such file")
    declared, given = declared_parameters(path), dict(parameters or {})
    if "out" in declared:
        given.setdefault("out", str(folder))
    check_parameters(declared, given, path.stem)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write {folder}: {error.strerror or error}") from error

    from papermill.exceptions import PapermillExecutionError

    executed = folder / path.name
    with _Progress(f"{place} {path.stem}".strip()) as progress:
        try:
            notebook = _execute(path, executed, given, progress)
        except PapermillExecutionError as error:
            raise RunError(
                f"{path.stem} stopped in cell {error.cell_index + 1}: {error.ename}: "
                f"{_first_line(error.evalue)}. What it did is in {executed}"
            ) from error
        except ErasekitError:
            raise
        except Exception as error:  # the kernel died, the disk is full, ...
            raise RunError(
                f"{path.stem} stopped: {type(error).__name__}: {_first_line(str(error))}. "
                f"What it did is in {executed}"
            ) from error
    skipped = cells_not_run(notebook)
    if skipped:
        raise RunError(
            f"{path.stem}: cell {skipped[0] + 1} did not run, though nothing failed: "
            f"does a cell before it exit? What it did is in {executed}"
        )
    return executed


def _execute(path: Path, executed: Path, parameters: dict[str, Any], progress: _Progress) -> Any:
    from papermill import execute_notebook
    from papermill.engines import NBClientEngine, papermill_engines

    class Engine(NBClientEngine):
        """papermill's own engine, which tells of each cell that begins."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:  # type: ignore[override]
            cells, start = len(nb_man.nb.cells), nb_man.cell_start

            def cell_start(cell: Any, cell_index: int | None = None, **more: Any) -> None:
                progress.tell(f"cell {(cell_index or 0) + 1} of {cells}")
                start(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("erasekit", Engine)
    return execute_notebook(
        _literal(path),
        _literal(executed),
        parameters,
        engine_name="erasekit",
        progress_bar=False,
        request_save_on_cell_execute=True,
        extra_arguments=["--IPKernelApp.log_level=40"],  # or each kernel warns of its transport
    )


def cells_not_run(notebook: Any) -> list[int]:
    """Positions of the code cells of an executed notebook that were not completed."""
    return [
        position
        for position, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"
        and cell.source.strip()
        and (
            cell.execution_count is None
            or cell.metadata.get("papermill", {}).get("status") != "completed"
        )
    ]


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[0]


class _Progress:
    """Which notebook, which cell, how long: one moving line on a terminal, few lines elsewhere."""

    def __init__(self, what: str) -> None:
        self._what, self._cell = what, "starting"
        self._moving = sys.stderr.isatty()
        self._started = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Progress:
        if not self._moving:
            print(f"{self._what}: started", file=sys.stderr, flush=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._done.set()
        self._thread.join()
        clear = "\r\x1b[2K" if self._moving else ""
        ending = "done" if kind is None else f"stopped in {self._cell}"
        print(f"{clear}{self._what}: {ending}, {self._clock}", file=sys.stderr, flush=True)

    def tell(self, cell: str) -> None:
        self._cell = cell

    @property
    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        return f"{minutes}:{seconds:02d}"

    def _run(self) -> None:
        while not self._done.wait(0.5 if self._moving else _SIGN_OF_LIFE):
            line = f"{self._what}: {self._cell}, {self._clock}"
            start, end = ("\r\x1b[2K", "") if self._moving else ("", "\n")
            print(f"{start}{line}", end=end, file=sys.stderr, flush=True)


def run_tutorial(
    profile: str = "default",
    out: Path = Path("runs/tutorial"),
    only: Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> int:
    """Run every notebook in order, render it, and make the page that shows them all.

    Args:
        profile: default or smoke.
        out: folder for the executed notebooks, their pages and pictures, the scorecard
            and ``index.html``; an earlier tutorial there is replaced file by file.
        only: numbers or names of notebooks; all of them if not given.
        parameters: for each notebook that declares them.

    Returns:
        exit code: 0 when every notebook ran and the results are as the reference says.
        With `only` or `parameters` there is no reference to hold them against.

    Raises:
        UsageError: for an unknown profile, notebook or parameter; nothing has run then.
    """
    from erasekit.settings import make_settings

    make_settings(profile)
    out, given = Path(out), dict(parameters or {})
    paths = notebook_paths(only)
    declared = {path: declared_parameters(path) for path in paths}
    check_parameters(
        {k: v for one in declared.values() for k, v in one.items()}, given, "notebooks"
    )
    _clear(out, whole=not only)

    rows: list[dict[str, Any]] = []
    failure = ""
    for number, path in enumerate(paths, 1):
        wanted = {"profile": profile, **given}
        chosen = {name: value for name, value in wanted.items() if name in declared[path]}
        started = time.monotonic()
        try:
            run_notebook(path, out, chosen, place=f"[{number}/{len(paths)}]")
        except RunError as error:
            failure = str(error)
        rows.append(_row(path, out, time.monotonic() - started, failure))
        if failure:
            print(f"error: {failure}", file=sys.stderr)
            break
    verdict, right = _verdict(profile, out, compare=not (failure or only or given))
    index = _index(out, rows, failure or verdict)
    print(index)
    return 0 if right and not failure else 1


def _clear(out: Path, whole: bool) -> None:
    """Take away what an earlier tutorial made, so that nothing stale is shown as new."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file: give a folder to write the tutorial to")
    if whole:
        for pattern in ("[0-9][0-9]_*.*", "figures/[0-9][0-9]_*.png", "scorecard.json", INDEX):
            for path in out.glob(pattern):
                path.unlink()


def _row(path: Path, out: Path, seconds: float, failure: str) -> dict[str, Any]:
    from erasekit.runs.report import render_notebook

    executed, page = out / path.name, out / f"{path.stem}.html"
    if executed.is_file():
        render_notebook(executed, page)
    return {
        "name": path.stem,
        "title": notebook_title(path),
        "html": page.name if page.is_file() else "",
        "ipynb": executed.name if executed.is_file() else "",
        "seconds": round(seconds, 1),
        "status": "failed" if failure else "completed",
    }


def notebook_title(path: Path) -> str:
    """The question in a notebook's first heading."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    return notebook.cells[0].source.splitlines()[0].lstrip("# ").strip()


def _verdict(profile: str, out: Path, compare: bool) -> tuple[str, bool]:
    if not compare:
        return "", True
    from erasekit.runs.reference import compare_with_reference

    try:
        right, lines = compare_with_reference(profile, out)
    except RunError as error:  # without a reference the page is still worth having
        right, lines = False, [str(error)]
    print("\n".join(lines))
    return "\n".join(lines), right


def _index(out: Path, rows: list[dict[str, Any]], verdict: str) -> Path:
    from erasekit.evaluate.scorecard import Scorecard
    from erasekit.runs.report import write_index

    card = out / "scorecard.json"
    return write_index(
        out,
        rows,
        Scorecard.load(card) if card.is_file() else None,
        sorted((out / "figures").glob("*.png")),
        verdict,
    )
