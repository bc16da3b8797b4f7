"""`preview`: look at a folder of your own data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def preview(
    data: Annotated[str, typer.Argument(metavar="folder:PATH", help="Your pictures and captions.")],
    forget: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="What to forget, joined by commas: apple | group=fruit | word=apple | "
            "files=list.txt | regex=... (last).",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the counts and the sheet.")] = Path(
        "runs/preview"
    ),
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave rows with a problem out, and go on.")
    ] = False,
) -> None:
    """Check a folder of your own data, and show what a rule would forget in it.

    \b
    Examples:
      erasekit preview folder:photos --forget word=apple
      erasekit preview folder:photos --forget 'group=fruit,files=also.txt' --out runs/look

    \b
    The folder holds one of:
      pairs.csv, pairs.jsonl or pairs.parquet   columns image and caption; concept, group, split
      CLASS/*.jpg                               or train/CLASS/*.jpg and test/CLASS/*.jpg
      *.tar                                     webdataset shards with KEY.jpg and KEY.txt

    No model is loaded. `erasekit erase --data folder:PATH --forget RULE` takes the same rule.
    """
    from erasekit.data.folder.selection import parse_rule

    parse_rule(forget)
    from erasekit.runs.preview import preview_folder

    typer.echo(preview_folder(data, forget, out, skip_bad=skip_bad))
