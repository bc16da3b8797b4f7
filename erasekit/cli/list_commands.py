"""`list`: list all choices."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer


def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="methods, mllm-methods, tests, policies, tasks, datasets, models, settings or "
            "concepts."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="For concepts: every drawing that has a name.")
    ] = False,
) -> None:
    """List methods, audit tests, policies, tasks, data sets, models, settings or concepts.

    \b
    Examples:
      erasekit list methods           with every option and its default
      erasekit list mllm-methods      those for multimodal language models
      erasekit list tests             the question and the source of each audit test
      erasekit list settings          type, unit, range and default of each, by profile
      erasekit list concepts --json   names in every language
    """
    from erasekit.cli.catalogue import listing

    entries = listing(what, everything)
    if as_json:
        typer.echo(json.dumps(entries, indent=2, ensure_ascii=False))
    else:
        for entry in entries:
            typer.echo(_line(what, entry))


def _line(what: str, entry: dict[str, Any]) -> str:
    if what in ("methods", "mllm-methods"):
        options = ", ".join(f"{k}={v}" for k, v in entry["options"].items())
        return (
            f"{entry['name']}: {entry['summary']}\n    source: {entry['source']}"
            f"\n    options: {options or 'none'}"
        )
    if what == "models":
        vision, text = entry["config"]["vision_cfg"], entry["config"]["text_cfg"]
        return (
            f"{entry['name']}: pictures of {vision['image_size']} px, vision layers "
            f"{vision['layers']}, text layers {text['layers']} of width {text['width']}"
        )
    if what == "tests":
        when = ", only when asked for" if entry["opt_in"] else ""
        when += ", of language models" if entry["kind"] == "language" else ""
        return f"{entry['name']}{when}: {entry['question']}\n    source: {entry['source']}"
    if what == "policies":
        return f"{entry['name']}: {entry['title']}\n    {entry['purpose']}"
    if what == "tasks":
        return f"{entry['name']}: {entry['title']}\n    {'; then '.join(entry['requests'])}"
    if what == "settings":
        notes = ", ".join(filter(None, [entry["type"], entry["unit"], entry["range"]]))
        usual = entry["defaults"]["default"]
        others = {k: v for k, v in entry["defaults"].items() if v != usual}
        defaults = "; ".join(
            f"{k}: {v if v != '' else 'empty'}" for k, v in {"default": usual, **others}.items()
        )
        return f"{entry['name']} ({notes}): {entry['help']}\n    {defaults}"
    if what == "datasets":
        return f"{entry['name']}: {entry['summary']}"
    attributes = ", ".join(f"{k}={v}" for k, v in entry["attributes"].items() if v)
    holdout = "holdout, never trained" if entry["holdout"] else ""
    return f"{entry['group']:<24} {entry['name']:<24} {holdout or attributes}".rstrip()
