"""Read and check a folder of your own pictures and captions, and return a list of pairs.

`erasekit.data.folder.forms` lists the supported forms of a folder, and docs/reference/folders.md
shows each of them.

If no split is given, a hash of the picture's path decides: 80 % train, 10 % validation, 10 %
test, the same on every machine. Results are cached, so that the next run on the same folder
starts at once.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from erasekit.cache import cached
from erasekit.data.arrow_files import arrow, mapped
from erasekit.data.folder.columns import Columns
from erasekit.data.folder.file_states import look
from erasekit.data.folder.forms import form_of
from erasekit.data.folder.listing import FolderPairs, Listing
from erasekit.data.folder.picture_checks import check_pictures
from erasekit.data.folder.problems import TWICE, Problem, read_problems
from erasekit.data.folder.row_reading import read_rows
from erasekit.errors import RunError, UsageError, reason, unknown
from erasekit.files import read_json, write_whole
from erasekit.text import no_formula

#: Extent of the checks: everything, or everything except the pictures' contents.
CHECKS = ("all", "table")


@dataclass(frozen=True)
class FolderReport:
    """Report on a folder.

    Attributes:
        folder: path of the folder.
        form: description of its form, with the detected separator, encoding and columns.
        rows: number of rows, good and bad.
        pictures: number of pictures of the readable rows.
        kept: number of rows without a problem: a picture and its caption each.
        splits: number of rows per split that can be used.
        counts: number of problems of each kind. A problem with a picture counts once,
            at the first row that shows it.
        first: the first problem.
        passed_over: number of files that were not read, by extension.
        first_passed_over: path of the first of them.
        path: the CSV file with all problems, in the cache.
    """

    folder: Path
    form: str
    rows: int
    pictures: int
    kept: int
    splits: dict[str, int]
    counts: dict[str, int]
    first: Problem | None
    passed_over: dict[str, int]
    first_passed_over: str
    path: Path

    def problems(self) -> Iterator[Problem]:
        """Yield every problem, read from the file one at a time."""
        return read_problems(self.path)

    def write(self, path: Path | str) -> Path:
        """Write all problems to a CSV file: columns place, kind, said, mend.

        Cells are escaped so that spreadsheets do not interpret them as formulas.

        Raises:
            RunError: when the file cannot be written.
        """
        return write_whole(Path(path), lambda aside: _write(self.problems(), aside))

    def __str__(self) -> str:
        lines = [
            f"{self.folder}: {self.rows:,} rows, {self.kept:,} of them good; "
            f"{self.pictures:,} pictures",
            f"form: {self.form}",
        ]
        if number := sum(self.passed_over.values()):
            told = ", ".join(f"{n:,} × {ending}" for ending, n in self.passed_over.items())
            lines.append(f"passed over: {number:,} files ({told}); first {self.first_passed_over}")
        if self.first is None:
            return "\n".join([*lines, "no problems"])
        lines += [f"{number:>9,}  {kind}" for kind, number in sorted(self.counts.items())]
        lines.append(f"the first: {self.first.place}: {self.first.said}")
        return "\n".join([*lines, f"all of them: {self.path}"])


def check_folder(
    path: Path | str,
    *,
    checks: str = "all",
    columns: Columns | None = None,
    progress: bool = True,
) -> FolderReport:
    """Read a folder and report its problems.

    Args:
        path: the folder, as a path or as ``folder:PATH``.
        checks: ``all`` decodes every picture and compares their contents; ``table`` only
            checks that the files exist.
        columns: names of a table's columns, if they are not the usual ones.
        progress: whether to show a bar while pictures are decoded.

    Raises:
        UsageError: when the folder has no supported form, or no rows.
        RunError: when a table is damaged, or the cache cannot be written.
    """
    return _examine(path, checks, columns, progress)[0]


def read_folder(
    path: Path | str,
    *,
    skip_bad: bool = False,
    checks: str = "all",
    columns: Columns | None = None,
    progress: bool = True,
) -> FolderPairs:
    """Read the pairs in a folder.

    Args:
        path: the folder, as a path or as ``folder:PATH``.
        skip_bad: whether to skip rows with a problem; copies of a picture that are told to be in
            several splits are kept in the first one.
        checks: ``all`` decodes every picture and compares their contents; ``table`` only
            checks that the files exist.
        columns: names of a table's columns, if they are not the usual ones.
        progress: whether to show a bar while pictures are decoded.

    Raises:
        UsageError: as `check_folder`; when there is a problem, unless `skip_bad`; when no row
            is usable.
        RunError: as `check_folder`.
    """
    report, pairs = _examine(path, checks, columns, progress)
    if report.first is not None and not (skip_bad and len(pairs)):
        told = ", ".join(f"{number:,} × {kind}" for kind, number in sorted(report.counts.items()))
        mends = ["leaves them out"] if report.counts.keys() - {TWICE} else []
        mends += ["puts copies of a picture in the first of their splits"] * (
            TWICE in report.counts
        )
        mend = f"skip_bad {' and '.join(mends)}" if len(pairs) else "no row is good"
        raise UsageError(
            f"{report.folder} has problems: {told}. The first: {report.first.place}: "
            f"{report.first.said}. All are in {report.path}; {mend}"
        )
    return pairs


def _examine(
    path: Path | str, checks: str, columns: Columns | None, progress: bool
) -> tuple[FolderReport, FolderPairs]:
    if checks not in CHECKS:
        raise unknown("kind of checks", checks, CHECKS)
    arrow()
    folder = Path(str(path).removeprefix("folder:")).expanduser()
    try:
        form = form_of(folder, progress, columns)
        recipe = {"folder": str(form.root), "source": form.recipe()}
    except OSError as error:
        raise RunError(f"cannot read {error.filename or folder}: {reason(error)}") from error
    code = (__name__, type(form).__module__)
    read = cached("folder", recipe, lambda partial: read_rows(form, partial), code=code)
    pictures = read / "pictures.arrow"
    if not len(mapped(pictures)) and not read_json(read / "about.json")["counts"]:
        raise UsageError(f"{form.root}: {form.what} has no rows")
    states, seen = look(form, pictures)
    checked = cached(
        "folder-checked",
        {**recipe, "files": seen, "checks": checks},
        lambda partial: check_pictures(form, read, states, checks, partial),
        code=code,
    )
    listing = Listing(form.root, read, checked)
    about = read_json(checked / "report.json")
    first = Problem(*about.pop("first")) if about["first"] else about.pop("first")
    report = FolderReport(form.root, **about, first=first, path=checked / "problems.csv")
    return report, FolderPairs(listing, listing.kept)


def _write(problems: Iterable[Problem], to: Path) -> None:
    with to.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow((*Problem._fields, "mend"))
        lines.writerows(map(no_formula, (*problem, problem.mend)) for problem in problems)
