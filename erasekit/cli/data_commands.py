"""`preview`: check a folder of your own data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from erasekit.errors import UsageError


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
    model: Annotated[
        str,
        typer.Option(
            help="The CLIP to erase from. If given, it is loaded to find similar pictures."
        ),
    ] = "",
    pretrained: Annotated[str, typer.Option(help="Tag of its published weights.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    image_column: Annotated[
        str, typer.Option(help="Column with the pictures' paths, if its name is not a usual one.")
    ] = "",
    caption_column: Annotated[
        str, typer.Option(help="Column with the captions, if its name is not a usual one.")
    ] = "",
) -> None:
    """Check a folder of your own data, and show what a rule selects and nearly selects in it.

    \b
    Examples:
      erasekit preview folder:photos --forget word=apple
      erasekit preview folder:photos --forget 'group=fruit,files=also.txt' --out runs/look
      erasekit preview folder:photos --forget files=list.txt --model local-dir:clip --json

    \b
    The folder holds one of these (docs/reference/folders.md shows each):
      a table           pairs.csv, metadata.jsonl, …: an image and a caption in each row
      PICTURE.txt       a caption file for each picture
      CLASS/*.jpg       or train/CLASS/*.jpg and test/CLASS/*.jpg
      *.tar             webdataset shards
      *.parquet         with embedded pictures, as written by Hugging Face
      *.json            COCO captions, the Karpathy split, or a list of pairs

    A model is loaded only if you name one. `erasekit erase --data folder:PATH --forget RULE` takes
    the same rule. The exit code is 2 if it would refuse this folder or this rule.
    """
    from erasekit.data.folder.selection import parse_rule

    parse_rule(forget)
    from erasekit.data.folder.columns import Columns
    from erasekit.runs.preview import preview_folder

    seen = preview_folder(
        data,
        forget,
        out,
        skip_bad=skip_bad,
        model=model,
        pretrained=pretrained,
        columns=Columns(image_column, caption_column),
    )
    if as_json:
        typer.echo(json.dumps(seen.found, ensure_ascii=False, indent=1))
        raise typer.Exit(2 if seen.refusal else 0)
    if seen.text:
        typer.echo(seen.text)
    if seen.refusal:
        raise UsageError(seen.refusal)
