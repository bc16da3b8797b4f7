"""What a rule would forget in a folder of your own pictures, before anything is run."""

from __future__ import annotations

from pathlib import Path

from erasekit.data.folder.check import check_folder, read_folder
from erasekit.data.folder.selection import select
from erasekit.files import write_text, write_whole
from erasekit.text import shown

PROBLEMS, COUNTS, SHEET = "problems.csv", "counts.csv", "sheet.png"


def preview_folder(data: str, rule: str, out: Path, *, skip_bad: bool = False) -> str:
    """Check a folder, count what a rule selects, and draw a contact sheet.

    Args:
        data: ``folder:PATH``.
        rule: see `erasekit.data.folder.selection`.
        out: folder that receives `PROBLEMS`, `COUNTS` and `SHEET`.
        skip_bad: leave rows with a problem out.

    Returns:
        what a person reads on the terminal.

    Raises:
        UsageError: for a folder or a rule that does not fit, and for problems in the folder
            unless `skip_bad`; what was found of them lies in `out` then.
        RunError: when something cannot be read or written.
    """
    report = check_folder(data)
    report.write(out / PROBLEMS)
    pairs = read_folder(data, skip_bad=skip_bad)
    mask = select(pairs, rule)
    from erasekit.plots.folder_preview import contact_sheet, preview_table

    table = preview_table(pairs, mask)
    write_text(out / COUNTS, table.to_csv())
    figure = contact_sheet(pairs, mask)
    write_whole(out / SHEET, lambda aside: figure.savefig(aside, format="png", dpi=120))
    # A name from the data could steer the terminal.
    lines = table.drop(columns="examples").head(20).rename(index=shown).to_string()
    more = f"\n… {len(table) - 20} more lines in {out / COUNTS}" if len(table) > 20 else ""
    return f"{report}\n\n{lines}{more}\n\ncounts: {out / COUNTS}\nsheet: {out / SHEET}"
