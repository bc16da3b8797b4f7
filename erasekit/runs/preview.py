"""Preview of a request in a folder of your own pictures."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from erasekit.data.data_spec import FolderSpec
from erasekit.data.folder.check import FolderReport, check_folder, read_folder
from erasekit.data.folder.columns import Columns
from erasekit.data.folder.folder_world import FolderTask, FolderWorld
from erasekit.data.folder.selection import Request, ask
from erasekit.data.worlds import SPLITS
from erasekit.errors import UsageError
from erasekit.files import write_text, write_whole
from erasekit.frames import no_formulas
from erasekit.runs.near_misses import KINDS, near_misses
from erasekit.settings import make_settings
from erasekit.text import shown

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.models.clip import Clip

PROBLEMS, COUNTS, SHEET = "problems.csv", "counts.csv", "sheet.png"
# Maximum number of problems that are listed individually.
_MOST = 1_000


@dataclass(frozen=True)
class Preview:
    """Result of previewing a request in a folder.

    Attributes:
        found: the output of ``--json``.
        refusal: why `erase` would refuse it; None if it would not.
        text: the output for the terminal; empty if folder or rule are invalid.
    """

    found: dict[str, Any]
    refusal: str | None
    text: str


def preview_folder(
    data: str,
    rule: str,
    out: Path,
    *,
    skip_bad: bool = False,
    model: str = "",
    pretrained: str = "",
    columns: Columns | None = None,
) -> Preview:
    """Check a folder, find what a rule selects and nearly selects, and draw a contact sheet.

    Args:
        data: ``folder:PATH``.
        rule: the rule, see `erasekit.data.folder.selection`.
        out: target folder of `PROBLEMS`, `COUNTS` and `SHEET`.
        skip_bad: whether to skip rows with a problem.
        model: model to erase from, as in the settings. If given, it is loaded to find pictures
            with similar features.
        pretrained: its tag, as in the settings.
        columns: names of a table's columns, if they are not the usual ones.

    Raises:
        UsageError: for a model that does not exist.
        RunError: when a file cannot be read or written.
    """
    found: dict[str, Any] = {"form": None, "pictures": 0, "captions": 0, "splits": {}}
    found |= {"selected": {"pictures": 0, "captions": 0, "by_split": {}}, "near": {}}
    problems: list[dict[str, str]] = []
    found |= {"not_found": [], "completed": {}, "problems": problems}

    def refused(why: UsageError, what: str = "", text: str = "") -> Preview:
        if what:
            problems.append(_problem(what, str(why)))
        return Preview(found, str(why), text)

    try:
        report = check_folder(data, columns=columns)
        report.write(out / PROBLEMS)
        problems += [_problem(p.place, f"{p.kind}: {p.said}", p.mend) for p in _some(report)]
        pairs = read_folder(data, skip_bad=True, columns=columns)
    except UsageError as error:
        return refused(error, "" if problems else data)
    found |= {
        "form": pairs.listing.form,
        "read_as": report.form,
        "passed_over": report.passed_over,
        "pictures": len(np.unique(pairs.files)),
        "captions": len(pairs),
        "splits": {
            name: len(np.unique(pairs.files[pairs.split.codes == code]))
            for code, name in enumerate(SPLITS)
        },
    }
    try:
        request = ask(pairs, rule)
    except UsageError as error:
        return refused(error, rule)
    tokenizer, clip = _model(model, pretrained)
    found["selected"] = {
        "pictures": len(np.unique(pairs.files[request.selected])),
        "captions": int(request.selected.sum()),
        "by_split": request.by_split(),
    }
    found["near"] = near_misses(request, tokenizer, clip)
    found["not_found"], found["completed"] = list(request.missing), request.completed
    problems += [_problem(entry, why) for entry, why in request.missing.items()]
    text = f"{report}\n\n{_selected(found, request.notes())}{_drawn(request, out)}"
    try:
        read_folder(data, skip_bad=skip_bad, columns=columns)
    except UsageError as error:
        return refused(error, text=text)
    try:
        FolderTask(FolderWorld(FolderSpec(data.removeprefix("folder:")), pairs, request, 1))
    except UsageError as error:
        return refused(error, rule, text)
    return Preview(found, None, text)


def _problem(where: str, what: str, mend: str = "") -> dict[str, str]:
    """Return a problem for JSON, with separate fields for the problem and its fix."""
    key = "row" if re.search(", (line|row|entry|key) ", where) else "file"
    if not mend:  # a message ends with it
        before, _, mend = what.rpartition(". " if ". " in what else ": ")
        what = before or what
    return {key: where, "what": what, "mend": mend}


def _some(report: FolderReport) -> list[Any]:
    return list(islice(report.problems(), _MOST))


def _model(model: str, pretrained: str) -> tuple[Callable[[list[str]], Tensor], Clip | None]:
    """Return the tokenizer of the model to erase from, and the model if it is given."""
    if model:
        from erasekit.models.clip import load_clip

        clip = load_clip(model, pretrained=pretrained or None)
        return clip.tokenizer, clip

    def tokenizer(texts: list[str]) -> Tensor:
        import open_clip

        return open_clip.get_tokenizer(make_settings(data="folder:.").model)(texts)

    return tokenizer, None


def _selected(found: dict[str, Any], notes: list[str]) -> str:
    """Format what the request selects and nearly selects for the terminal."""
    selected = found["selected"]
    splits = ", ".join(f"{name} {number:,}" for name, number in selected["by_split"].items())
    lines = [
        f"selected: {selected['pictures']:,} pictures with {selected['captions']:,} captions "
        f"({splits})"
    ]
    lines += notes
    for kind, near in found["near"].items():
        if near["captions"]:
            example = near["examples"][0]
            like = f", like {shown(example['like'])}" if "like" in example else ""
            lines.append(
                f"near: {near['pictures']:,} × {KINDS[kind]}: {shown(example['image'])}{like}: "
                f"{shown(example['caption'][:80])}"
            )
    return "\n".join(lines)


def _drawn(request: Request, out: Path) -> str:
    """Write counts and contact sheet; return the counts as text with the files' paths."""
    from erasekit.plots.folder_preview import contact_sheet, preview_table

    table = preview_table(request.pairs, request.selected)
    write_text(out / COUNTS, no_formulas(table).to_csv())
    figure = contact_sheet(request.pairs, request.selected)
    write_whole(out / SHEET, lambda aside: figure.savefig(aside, format="png", dpi=120))
    # A name from the data could contain terminal control characters.
    lines = table.drop(columns="examples").head(20).rename(index=shown).to_string()
    more = f"\n… {len(table) - 20} more lines in {out / COUNTS}" if len(table) > 20 else ""
    return f"\n\n{lines}{more}\n\ncounts: {out / COUNTS}\nsheet: {out / SHEET}"
