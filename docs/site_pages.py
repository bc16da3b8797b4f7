"""Pages that the program writes itself: command line, settings, methods, attacks, and notebooks.

`write` is called by conf.py before each build, so that these pages cannot go stale.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import gallery
import nbformat
from typer.testing import CliRunner

from erasekit.cli import catalogue
from erasekit.cli.app import app
from erasekit.settings import DECLARED
from erasekit.tutorial.reference import reference_seconds

ROOT = Path(__file__).parent.parent
#: Where executed notebooks are looked for; `make tutorial` writes them there.
EXECUTED = Path(os.environ.get("ERASEKIT_DOCS_NOTEBOOKS", ROOT / "runs" / "tutorial"))


def write(docs: Path) -> None:
    """Write every such page below `docs/_generated`."""
    folder = docs / "_generated"
    folder.mkdir(exist_ok=True)
    _write(folder / "cli.md", command_line())
    _write(folder / "settings.md", settings_table())
    _write(folder / "methods.md", methods_table())
    _write(folder / "attacks.md", attacks_table())
    copy_notebooks(folder / "notebooks")
    _write(folder / "tutorial_table.md", notebook_table())
    _write(folder / "gallery.md", gallery.page("../gallery/"))


def command_line() -> str:
    """The help of every command, as the program prints it."""
    parts = ["# Command line\n\nWhat `erasekit COMMAND --help` prints.\n"]
    names = ["", *sorted(command.name or "" for command in app.registered_commands)]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        names += [f"{group.name} {c.name}" for c in group.typer_instance.registered_commands]
    for name in names:
        asked = [*name.split(), "--help"]
        shown = CliRunner().invoke(app, asked, prog_name="erasekit", env={"COLUMNS": "88"})
        title = f"erasekit {name}".strip()
        parts.append(f"## {title}\n\n```text\n{shown.output.strip()}\n```\n")
    return "\n".join(parts)


def settings_table() -> str:
    """Every setting with its default and meaning, by group."""
    lines = [
        "# Settings\n",
        "The same names work in Python (`erasekit.load(forget=...)`), on the command line",
        "(`--forget`, or `--set NAME=VALUE`), and as notebook parameters (`papermill -p`).\n",
    ]
    for group in dict.fromkeys(setting.group for setting in DECLARED.values()):
        lines += [f"## {group}\n", "| setting | default | meaning |", "| --- | --- | --- |"]
        for name, setting in DECLARED.items():
            if setting.group == group:
                default = "" if setting.default in ("", None) else f"`{setting.default}`"
                lines.append(f"| `{name}` | {default} | {_cell(setting.help)} |")
        lines.append("")
    return "\n".join(lines)


def methods_table() -> str:
    """Every unlearning method, with its options."""
    lines = ["# Methods\n"]
    for title, found in (
        ("For CLIP", catalogue.methods()),
        ("For multimodal language models", catalogue.mllm_methods()),
    ):
        lines += [
            f"## {title}\n",
            "| method | what it does | options | source |",
            "| --- " * 4 + "|",
        ]
        for one in found:
            options = ", ".join(f"`{k}={v}`" for k, v in one["options"].items())
            about = f"{_cell(one['summary'])} | {options} | {_cell(one['source'])}"
            lines.append(f"| `{one['name']}` | {about} |")
        lines.append("")
    return "\n".join(lines)


def attacks_table() -> str:
    """Every test of the audit, with the question it asks."""
    lines = ["# Audit tests\n", "| test | question | source |", "| --- | --- | --- |"]
    lines += [
        f"| `{test['name']}` | {_cell(test['question'])} | {_cell(test['source'])} |"
        for test in catalogue.tests()
    ]
    return "\n".join([*lines, ""])


def copy_notebooks(folder: Path) -> None:
    """The executed notebooks; where there is none, the notebook without results, which says so."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for source in sorted((ROOT / "notebooks").glob("*.ipynb")):
        executed = EXECUTED / source.name
        notebook = nbformat.read(executed if executed.is_file() else source, as_version=4)
        if not executed.is_file():
            notice = (
                ":::{note}\nThis page was built without results: run `make tutorial` first.\n:::"
            )
            notebook.cells.insert(1, nbformat.v4.new_markdown_cell(notice))
        nbformat.write(notebook, folder / source.name)


def notebook_table() -> str:
    """Each notebook's question, what it needs, and where it opens with one click."""
    seconds = reference_seconds("default")
    repository = os.environ.get("GITHUB_REPOSITORY")  # set where the site is published
    head = ["notebook", "question", "minutes", "memory", *(["open in"] if repository else [])]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        title, _, rest = nbformat.read(path, as_version=4).cells[0].source.partition("\n")
        memory = re.search(r"[\d.]+ GB", rest)
        minutes = f"{seconds[path.stem] / 60:.1f}" if path.stem in seconds else ""
        row = [
            f"[{path.stem}](_generated/notebooks/{path.name})",
            _cell(title.removeprefix("# ")),
            minutes,
            memory[0] if memory else "",
        ]
        if repository:
            where = f"{repository}/blob/main/notebooks/{path.name}"
            binder = f"{repository}/HEAD?urlpath=lab/tree/notebooks/{path.name}"
            row.append(
                f"[Colab](https://colab.research.google.com/github/{where}), "
                f"[Binder](https://mybinder.org/v2/gh/{binder})"
            )
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    """Text that does not break a table's row."""
    return " ".join(text.split()).replace("|", "\\|")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
