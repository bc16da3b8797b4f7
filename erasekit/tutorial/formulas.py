"""Formulas of a notebook's text as MathML, which a browser draws without a script or a network."""

from __future__ import annotations

import re

from latex2mathml.converter import convert

# Code keeps its dollar signs: fenced blocks and spans are matched first, and left as they are.
_PART = re.compile(
    r"(?P<code>```.*?```|`[^`\n]*`)"
    r"|\$\$(?P<block>.+?)\$\$"
    r"|(?<![\\$\w])\$(?P<inline>[^\s$](?:[^$\n]*[^\s$\\])?)\$(?![\w$])",
    re.DOTALL,
)


def mathml(latex: str, block: bool) -> str:
    """A formula as a `<math>` element, on a line of its own or in the text."""
    return convert(" ".join(latex.split()), display="block" if block else "inline")


def with_mathml(markdown: str) -> str:
    """Markdown with ``$...$`` and ``$$...$$`` written as MathML; code stays as it is."""

    def replaced(found: re.Match[str]) -> str:
        if found["code"]:
            return found[0]
        return mathml(found["block"] or found["inline"], block=bool(found["block"]))

    return _PART.sub(replaced, markdown)
