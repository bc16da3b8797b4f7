"""What to forget in a folder of your own pairs, told by a rule.

A rule is one or more of these, joined by commas; what any of them finds is selected:

- ``apple``: a concept or a group; ``concept=apple`` and ``group=fruit``: the one or the other;
- ``word=apple``: captions with the whole word, or the words, in any case;
- ``regex=...``: captions in which an RE2 expression is found. It takes the rest of the rule,
  commas included, so that it comes last;
- ``files=list.txt``: the pictures whose paths are in a file, one a line.

A picture is selected with all of its captions as soon as one of them is: with some of them it
would be both forgotten and kept.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from erasekit.errors import UsageError, unknown

if TYPE_CHECKING:
    from erasekit.data.folder.listing import FolderPairs

#: What may stand before a part's ``=``; a part without one has the kind "name".
KINDS = ("concept", "group", "word", "regex", "files")

# Letters, their accents and digits: RE2's own \b knows those of English alone.
_LETTER = r"[\pL\pM\pN_]"


class Part(NamedTuple):
    """One part of a rule."""

    kind: str  #: of `KINDS`, or "name"
    value: str

    def __str__(self) -> str:
        return self.value if self.kind == "name" else f"{self.kind}={self.value}"


def parse_rule(rule: str) -> tuple[Part, ...]:
    """The parts of a rule. Needs no data, so that a mistake is told before any is read.

    Raises:
        UsageError: for an empty rule, an unknown kind, or a part without a value.
    """
    before, regex, pattern = _cut_regex(rule)
    parts = [_part(told.strip()) for told in before.split(",") if told.strip()]
    if regex:
        parts.append(Part("regex", pattern))
    if not parts:
        raise UsageError("forget is empty: name a concept, a group, or word=..., e.g. 'fruit'")
    for part in parts:
        if not part.value:
            raise UsageError(f"forget = {rule}: nothing stands after '{part.kind}='")
    return tuple(parts)


def select(pairs: FolderPairs, rule: str) -> np.ndarray:
    """Which pairs a rule selects.

    Args:
        pairs: to select among.
        rule: as the module says.

    Returns:
        bool, shape (n,), the same for all rows of a picture.

    Raises:
        UsageError: for a mistake in the rule, a name or path that is not there, a part that
            selects nothing, and a rule that leaves nothing.
    """
    mask = np.zeros(len(pairs), dtype=bool)
    for part in parse_rule(rule):
        found = _rows(pairs, part)
        if not found.any():
            raise UsageError(f"{part} selects nothing: no caption has it{_mend(part)}")
        mask |= found
    selected = np.zeros(int(pairs.picture.max(initial=-1)) + 1, dtype=bool)
    selected[pairs.picture[mask]] = True
    mask = selected[pairs.picture]
    if mask.all():
        raise UsageError(
            f"forget = {rule} selects every one of {len(pairs):,} pairs: something must be kept"
        )
    return mask


def _cut_regex(rule: str) -> tuple[str, str, str]:
    """The rule before its regular expression, ``regex=`` if there is one, and the expression."""
    found = re.search(r"(?:^|,)\s*regex=", rule)
    return (rule[: found.start()], "regex=", rule[found.end() :]) if found else (rule, "", "")


def _part(told: str) -> Part:
    kind, sign, value = told.partition("=")
    if not sign:
        return Part("name", told)
    if kind.strip().lower() not in KINDS:
        raise unknown("rule", f"{kind.strip()}=", [f"{each}=" for each in KINDS])
    return Part(kind.strip().lower(), value.strip())


def _rows(pairs: FolderPairs, part: Part) -> np.ndarray:
    """The rows that a part finds by themselves: bool, shape (n,)."""
    if part.kind == "regex":
        return pairs.matches(part.value)
    if part.kind == "word":
        words = r"\s+".join(re.escape(word) for word in part.value.split())
        return pairs.matches(f"(?:^|[^{_LETTER[1:]}){words}(?:$|[^{_LETTER[1:]})", ignore_case=True)
    if part.kind == "files":
        return _listed(pairs, Path(part.value).expanduser())
    return _named(pairs, part)


def _named(pairs: FolderPairs, part: Part) -> np.ndarray:
    """The rows of a concept or a group."""
    columns = {"concept": pairs.concept, "group": pairs.group}
    asked = list(columns) if part.kind == "name" else [part.kind]
    mask, known = np.zeros(len(pairs), dtype=bool), []
    for column in (columns[name] for name in asked):
        here = np.unique(column.codes[column.codes >= 0])
        known += [column.names[code] for code in here]
        wanted = [code for code in here if _plain(column.names[code]) == _plain(part.value)]
        mask |= np.isin(column.codes, wanted)
    if not mask.any():
        kind = " or ".join(asked)
        hint = f"In captions word={part.value} finds it"
        if not known:
            raise UsageError(f"{part}: your data tells no {kind}. {hint}")
        raise unknown(kind, part.value, dict.fromkeys(known), hint)
    return mask


def _plain(name: str) -> str:
    """A name without what does not matter in it."""
    return " ".join(name.casefold().replace("-", " ").replace("_", " ").split())


def _listed(pairs: FolderPairs, file: Path) -> np.ndarray:
    """The rows of the pictures in a list."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"files={file} cannot be read: {said}") from error
    paths = [line.strip().removeprefix("./") for line in lines if line.strip()]
    if not paths:
        raise UsageError(f"files={file} has no path in it: one picture a line")
    mask, missed = pairs.at_paths(paths)
    if missed:
        more = f" ({len(missed):,} such lines)" if len(missed) > 1 else ""
        raise unknown(f"picture in {file}{more}", missed[0], pairs.near_paths(missed[0]))
    return mask


def _mend(part: Part) -> str:
    return f"; regex={part.value} finds it inside longer words" if part.kind == "word" else ""
