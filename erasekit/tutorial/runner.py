"""Run a notebook with papermill: parameters checked first, progress told, nothing skipped."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tqdm import tqdm

from erasekit.errors import ErasekitError, RunError, UsageError, reason, unknown
from erasekit.progress import LOG_EVERY, silenced
from erasekit.tutorial.parameters import check_parameters


def check_extra() -> None:
    """Import the packages that run and render notebooks.

    Raises:
        UsageError: when one of them is not installed.
    """
    # jsonschema, which they import, does without this one too. It compiles grammars of addresses
    # when it is imported: two seconds for a check that no notebook needs.
    grammars = sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    for package in ("papermill", "nbconvert", "ipykernel"):
        try:
            import_module(package)
        except ImportError as error:
            raise UsageError(
                f"the tutorial needs {package}: pip install 'erasekit[tutorial]'"
            ) from error
    if grammars is None:
        del sys.modules["rfc3987_syntax"]


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
    tell: Callable[[str], None] | None = None,
    forked: bool = True,
) -> Path:
    """Run one notebook from beginning to end.

    Args:
        path: the notebook.
        folder: receives the executed notebook, and whatever it records.
        parameters: replace the notebook's own; ``out`` becomes `folder` unless given.
        tell: is told of each cell that begins; by default progress is shown.
        forked: whether the kernel is forked, which pays off from the second notebook on.

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
    given = check_parameters(declared, given, path.stem)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write {folder}: {reason(error)}") from error

    if tell is None:
        with Progress(path.stem) as progress:
            return run_notebook(path, folder, given, tell=progress.tell, forked=forked)

    from papermill.exceptions import PapermillExecutionError

    executed = folder / path.name
    try:
        notebook = _execute(path, executed, given, tell, forked)
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


def _execute(
    path: Path,
    executed: Path,
    parameters: dict[str, Any],
    tell: Callable[[str], None],
    forked: bool,
) -> Any:
    from papermill import execute_notebook

    from erasekit.tutorial.kernels import kernel_environment
    from erasekit.tutorial.papermill_engine import Engine  # noqa: F401  # registers itself

    if forked:
        os.environ.update(kernel_environment())
    return execute_notebook(
        _literal(path),
        _literal(executed),
        parameters,
        engine_name="erasekit",
        tell=tell,
        progress_bar=False,
        request_save_on_cell_execute=True,
        # A kernel warns of its transport, and calls its own end an error.
        extra_arguments=["--IPKernelApp.log_level=50"],
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


class Progress:
    """Which notebook, which cell, how long: a moving line on a terminal, few lines elsewhere.

    Several may be at work at once, each in a thread of its own with a line of its own.

    Attributes:
        failed: to be set where the notebook stopped; an exception sets it.
    """

    def __init__(self, what: str) -> None:
        self.failed = False
        self._what, self._cell = what, "starting"
        self._silent = silenced()
        self._moving = sys.stderr.isatty() and not self._silent
        self._started = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Progress:
        if not self._moving:
            self._say(f"{self._what}: started")
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._done.set()
        self._thread.join()
        ending = f"stopped in {self._cell}" if self.failed or kind else "done"
        self._say(f"{self._what}: {ending}, {self._clock}")

    def tell(self, cell: str) -> None:
        self._cell = cell

    @property
    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        return f"{minutes}:{seconds:02d}"

    def _say(self, line: str) -> None:
        if not self._silent:
            tqdm.write(line, file=sys.stderr)  # above the moving lines
            sys.stderr.flush()

    def _run(self) -> None:
        if not self._moving:
            while not self._done.wait(LOG_EVERY):
                self._say(f"{self._what}: {self._cell}, {self._clock}")
            return
        with tqdm(bar_format="{desc}", leave=False, file=sys.stderr) as line:
            while not self._done.wait(0.5):
                line.set_description_str(f"{self._what}: {self._cell}, {self._clock}")


def notebook_title(path: Path) -> str:
    """The question in a notebook's first heading."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    return notebook.cells[0].source.splitlines()[0].lstrip("# ").strip()
