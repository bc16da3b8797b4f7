"""The whole tutorial: every notebook in order, rendered, and the page that shows them all."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from erasekit.errors import RunError, UsageError
from erasekit.processes import end_children
from erasekit.settings import make_settings
from erasekit.tutorial.parameters import check_parameters
from erasekit.tutorial.reference import compare_with_reference, reference_seconds
from erasekit.tutorial.runner import (
    Progress,
    check_extra,
    declared_parameters,
    notebook_paths,
    notebook_title,
    run_notebook,
)

INDEX = "index.html"
#: The notebook that shares no model with the others.
_OWN_WORLD = "00_quickstart"


def run_tutorial(
    profile: str = "default",
    out: Path = Path("runs/tutorial"),
    only: Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    jobs: int | None = None,
) -> int:
    """Run every notebook in order, render it, and make the page that shows them all.

    Args:
        profile: default or smoke.
        out: folder for the executed notebooks, their pages and pictures, the scorecard
            and ``index.html``; an earlier tutorial there is replaced file by file.
        only: numbers or names of notebooks; all of them if not given.
        parameters: for each notebook that declares them.
        jobs: how many notebooks run at once. By default two in smoke, whose notebooks mostly
            start and import, and one elsewhere, where the seconds that they state are results.
            Side by side each computes with one thread.

    Returns:
        exit code: 0 when every notebook ran and the results are as the reference says.
        With `only` or `parameters` there is no reference to hold them against.

    Raises:
        UsageError: for an unknown profile, notebook or parameter, or without the packages of the
            extra `tutorial`; nothing has run then.
    """
    check_extra()
    make_settings(profile)
    out, given = Path(out), dict(parameters or {})
    if jobs is None:
        jobs = 2 if profile == "smoke" else 1
    paths = notebook_paths(only)
    declared = {path: declared_parameters(path) for path in paths}
    given = check_parameters(
        {k: v for one in declared.values() for k, v in one.items()}, given, "notebooks"
    )
    _clear(out, whole=not only)
    wanted = {"profile": profile, **({"threads": 1} if jobs > 1 else {}), **given}
    rows = _run_all(
        {path: {k: v for k, v in wanted.items() if k in declared[path]} for path in paths},
        out,
        jobs,
        reference_seconds(profile),
    )
    failure = next((row["failure"] for row in rows if row["failure"]), "")
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


def _run_all(
    parameters: Mapping[Path, Mapping[str, Any]],
    out: Path,
    jobs: int,
    seconds: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Run the notebooks, `jobs` at once; after one failed, no other begins.

    Args:
        seconds: how long each took once, by name.
    """
    if jobs > 1:
        return _run_side_by_side(parameters, out, jobs, seconds or {})
    rows: list[dict[str, Any]] = []
    for number, (path, given) in enumerate(parameters.items(), 1):
        with Progress(_place(number, path, parameters)) as progress:
            rows.append(_run(path, out, given, progress.tell))
            progress.failed = bool(rows[-1]["failure"])
        if rows[-1]["failure"]:
            print(f"error: {rows[-1]['failure']}", file=sys.stderr)
            break
    return rows


def _place(number: int, path: Path, paths: Collection[Path]) -> str:
    return f"[{number}/{len(paths)}] {path.stem}"


def _run_side_by_side(
    parameters: Mapping[Path, Mapping[str, Any]], out: Path, jobs: int, seconds: Mapping[str, float]
) -> list[dict[str, Any]]:
    """The same in processes of their own: papermill wants a main thread for itself.

    Each notebook runs without the others; the longest begins first, so that the end is even,
    and beside it the one with a world of its own: two of one world would wait for one model.
    """
    order = sorted(parameters, key=lambda path: -seconds.get(path.stem, math.inf))
    order[1:] = sorted(order[1:], key=lambda path: path.stem != _OWN_WORLD)
    from erasekit.tutorial.kernels import forking

    context = forking()
    told = context.SimpleQueue()
    places = {
        path.stem: _place(number, path, parameters) for number, path in enumerate(parameters, 1)
    }
    listener = threading.Thread(target=_listen, args=(told, places), daemon=True)
    listener.start()
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(jobs, context, initializer=_tell_to, initargs=(told,)) as pool:
        futures = {pool.submit(_child, path, out, parameters[path]): path for path in order}
        try:
            for future in as_completed(futures):
                if not future.cancelled():
                    rows.append(future.result())
                    if rows[-1]["failure"]:
                        for other in futures:
                            other.cancel()
        except BrokenProcessPool:
            known = {row["name"] for row in rows}
            rows.append(_no_row(next(path for path in order if path.stem not in known)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end_children()
            raise
    told.put(None)
    listener.join()
    for row in rows:
        if row["failure"]:
            print(f"error: {row['failure']}", file=sys.stderr)
    return sorted(rows, key=lambda row: row["name"])


def _listen(told: Any, places: Mapping[str, str]) -> None:
    """Show what the processes tell: a notebook's name with its cell, then with its row."""
    lines: dict[str, Progress] = {}
    for name, news in iter(told.get, None):
        if name not in lines:
            lines[name] = Progress(places[name]).__enter__()
        if isinstance(news, str):
            lines[name].tell(news)
        else:
            lines[name].failed = bool(news["failure"])
            lines.pop(name).__exit__(None)
    for line in lines.values():  # of a process that died
        line.failed = True
        line.__exit__(None)


_told: Any = None  #: in a process: the queue to tell of progress


def _tell_to(told: Any) -> None:
    global _told
    _told = told


def _child(path: Path, out: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    _told.put((path.stem, "starting"))
    row = _run(path, out, parameters, lambda cell: _told.put((path.stem, cell)))
    _told.put((path.stem, row))
    return row


def _no_row(path: Path) -> dict[str, Any]:
    """The row of a notebook whose process died."""
    failure = f"{path.stem} stopped: its process died"
    row = {"name": path.stem, "title": notebook_title(path), "html": "", "ipynb": ""}
    return {**row, "seconds": 0.0, "status": "failed", "failure": failure}


def _run(path: Path, out: Path, parameters: Mapping[str, Any], tell: Any) -> dict[str, Any]:
    """Run and render one notebook; its row on the index page."""
    from erasekit.tutorial.notebook_page import render_notebook

    started, failure = time.monotonic(), ""
    try:
        run_notebook(path, out, parameters, tell=tell)
    except RunError as error:
        failure = str(error)
    executed, page = out / path.name, out / f"{path.stem}.html"
    if executed.is_file():
        render_notebook(executed, page)
    return {
        "name": path.stem,
        "title": notebook_title(path),
        "html": page.name if page.is_file() else "",
        "ipynb": executed.name if executed.is_file() else "",
        "seconds": round(time.monotonic() - started, 1),
        "status": "failed" if failure else "completed",
        "failure": failure,
    }


def _verdict(profile: str, out: Path, compare: bool) -> tuple[str, bool]:
    if not compare:
        return "", True
    try:
        right, lines = compare_with_reference(profile, out)
    except RunError as error:  # without a reference the page is still worth having
        right, lines = False, [str(error)]
    print("\n".join(lines))
    return "\n".join(lines), right


def _index(out: Path, rows: list[dict[str, Any]], verdict: str) -> Path:
    from erasekit.evaluate.scorecard import Scorecard
    from erasekit.tutorial.tutorial_page import write_index

    card = out / "scorecard.json"
    return write_index(
        out,
        rows,
        Scorecard.load(card) if card.is_file() else None,
        sorted((out / "figures").glob("*.png")),
        verdict,
    )
