"""Read the rows of a folder into the cache, and record bad rows as problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from erasekit.data.arrow_files import ArrowWriter, arrow
from erasekit.data.folder.problems import Problem, ProblemFile
from erasekit.data.folder.rows import Form, faults
from erasekit.data.folder.split_names import split_of
from erasekit.data.worlds import SPLITS
from erasekit.files import write_json
from erasekit.text import composed, shown


def read_rows(form: Form, entry: Path) -> None:
    """Fill a cache entry with the readable rows, and the problems of the others."""
    pa = arrow()
    text, number, small = pa.large_string(), pa.int64(), pa.int32()
    row_columns = {"picture": small, "line": number, "caption": text}
    row_columns |= {"concept": small, "group": small, "split": pa.int8()}
    picture_columns = {"path": text, "offset": number, "length": number, "line": number}
    concepts, groups, pictures = _Codes(), _Codes(), _Codes()
    rows = 0
    with (
        ProblemFile(entry / "problems.csv") as problems,
        ArrowWriter(entry / "rows.arrow", row_columns) as row_file,
        ArrowWriter(entry / "pictures.arrow", picture_columns) as picture_file,
    ):
        for rows, row in enumerate(form.rows(), start=1):  # noqa: B007
            if isinstance(row, Problem):
                problems.add(row)
                continue
            wrong = list(faults(row))
            for kind, said in wrong:
                problems.add(Problem(form.where(row.line, row.image), kind, said))
            if wrong:
                continue
            # Only tables repeat pictures; the pictures of a shard differ by their position.
            picture = pictures[row.image] if form.repeats_pictures else len(picture_file)
            if picture == len(picture_file):
                picture_file.add((row.image, row.offset, row.length, row.line))
            split = SPLITS.index(split_of(row.split)) if row.split else -1
            concept = concepts[composed(row.concept)] if row.concept else -1
            group = groups[composed(row.group)] if row.group else -1
            row_file.add((picture, row.line, row.caption, concept, group, split))
    about = {
        "form": form.name,
        "what": "; ".join([form.what, *form.notes]),
        "tables": [shown(table) for table in form.tables],
        "rows": rows,
        "concept": list(concepts),
        "group": list(groups),
        "counts": problems.counts,
        "passed_over": _by_ending(form.passed_over(pictures)),
    }
    write_json(entry / "about.json", about)


def _by_ending(paths: Iterable[str]) -> dict[str, Any]:
    """Count paths by extension, and return the first one."""
    first, counts = "", Counter()
    for path in paths:
        first = first or shown(path)
        counts[PurePosixPath(path).suffix.lower() or "no ending"] += 1
    return {"first": first, "counts": counts}


class _Codes(dict):
    """Numbers keys in the order of their first use."""

    def __missing__(self, thing: Any) -> int:
        self[thing] = len(self)
        return self[thing]
