"""Render pages: one environment, one style sheet, templates that escape by default.

Every page is self-contained: it embeds style and pictures, and loads nothing from a network.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, select_autoescape

from erasekit import __version__

_SHARED = "erasekit.runs.pages"


def render_page(template: str, package: str = _SHARED, **values: Any) -> str:
    """Fill a template with values.

    Args:
        template: a file in the folder ``templates`` of `package`. It may extend or import the
            shared templates.
        package: the package that contains the template.
        values: values of the template, escaped. `version` defaults to erasekit's.
    """
    values = {"version": __version__, **values}
    return _environment(package).get_template(template).render(values)


@cache
def _environment(package: str) -> Environment:
    loaders = [PackageLoader(each, "templates") for each in dict.fromkeys((package, _SHARED))]
    return Environment(
        loader=ChoiceLoader(loaders),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def link(path: Path | str | None, folder: Path) -> str:
    """Return the address of a file relative to the page's folder; empty for None."""
    if not path:
        return ""
    path = Path(path)
    relative = Path(os.path.relpath(path, folder)) if path.is_absolute() else path
    return quote(relative.as_posix())


def rows_asked(task: dict[str, Any]) -> tuple[str, str]:
    """Return a task's unit (pairs or questions), and the sizes of its forget and retain sets."""
    what = "questions" if "forget_questions" in task else "pairs"
    forget, retain = (task.get(f"{side}_{what}", "?") for side in ("forget", "retain"))
    return what, f"{forget} to forget, {retain} to retain"
