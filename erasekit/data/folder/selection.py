"""Forget requests in a folder of your own pairs: a rule, or a list of pictures.

A rule has one or more parts, joined by commas; the selection is their union:

- ``apple``: a concept or a group; ``concept=apple`` and ``group=fruit``: only one of the two;
- ``word=apple``: captions with the whole word or words, in upper or lower case;
- ``regex=...``: captions that match an RE2 expression. It takes the rest of the rule,
  including commas, so it comes last;
- ``files=list.txt``: the pictures whose paths are in a file, one per line. A file name, or another
  end of a path, is enough if only one picture has it.

A picture is selected with all of its captions and its copies (files with the same pixels).
Otherwise it would be both forgotten and retained. Names, words and paths are compared in
Unicode's composed form.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from erasekit.data.folder.copies import copy_kind
from erasekit.data.folder.folder_files import BROKEN, is_picture
from erasekit.data.folder.table_text import opened_text
from erasekit.data.worlds import SPLITS
from erasekit.errors import UsageError, unknown
from erasekit.text import composed, folded, shown

if TYPE_CHECKING:
    from erasekit.data.folder.listing import FolderPairs

#: Kinds that may precede a part's ``=``; a part without one has the kind "name".
KINDS = ("concept", "group", "word", "regex", "files")
#: Kinds that select things by name; the others select pictures.
NAMES = ("name", "concept", "group")
#: A letter, its accents, or a digit: RE2's own \b knows only those of English.
LETTER = r"[\pL\pM\pN_]"
# Maximum number of missing paths for which the nearest path is looked up.
_HINTS = 20
_CALLED = {"name": "concept", "files": "list"}


class Part(NamedTuple):
    """One part of a rule."""

    kind: str  #: of `KINDS`, or "name"
    value: str

    def __str__(self) -> str:
        return self.value if self.kind == "name" else f"{self.kind}={self.value}"


@dataclass(frozen=True)
class Request:
    """A request and its matches in a folder.

    Attributes:
        pairs: the folder.
        text: the rule.
        parts: parts of the rule.
        entries: the requested items: the paths of a list, the parts of a rule.
        missing: entries without a match, each with the reason and the fix.
        completed: entries that are the end of one picture's path, each with that path.
        asked: bool, shape (n,): rows of the pictures that match the request directly.
        selected: bool, shape (n,): all rows to forget, including copies.
    """

    pairs: FolderPairs
    text: str
    parts: tuple[Part, ...]
    entries: tuple[str, ...]
    missing: dict[str, str]
    completed: dict[str, str]
    asked: np.ndarray
    selected: np.ndarray

    @property
    def named(self) -> bool:
        """Whether the request selects things by name, not pictures."""
        return all(part.kind in NAMES for part in self.parts)

    def copies(self) -> list[dict[str, str]]:
        """List the copies of requested pictures, under another name or in another file."""
        pairs, files = self.pairs, self.pairs.files
        asked = np.unique(files[self.asked])
        also = np.setdiff1d(files[self.selected], asked)
        contents = pairs.listing.contents
        first = dict(zip(contents[asked[::-1]].tolist(), asked[::-1].tolist(), strict=True))
        of = [first[content] for content in contents[also].tolist()]
        told = zip(pairs.listing.paths(also), pairs.listing.paths(of), also, of, strict=True)
        return [
            {"image": path, "copy_of": original, "kind": copy_kind(pairs.listing, copy, one)}
            for path, original, copy, one in told
        ]

    def notes(self) -> list[str]:
        """Return a line for the entries without a match, and one for the completed entries."""
        whole = [f"{shown(end)} is {shown(path)}" for end, path in self.completed.items()]
        lists = {"not found": list(map(shown, self.missing)), "completed": whole}
        return [
            f"{what}: {len(each):,} of {len(self.entries):,}: {', '.join(each[:5])}"
            + (", …" if len(each) > 5 else "")
            for what, each in lists.items()
            if each
        ]

    def by_split(self, rows: np.ndarray | None = None) -> dict[str, int]:
        """Count the selected pictures, or those of some rows, per split."""
        rows = np.flatnonzero(self.selected) if rows is None else rows
        splits, files = self.pairs.split.codes[rows], self.pairs.files[rows]
        return {name: len(np.unique(files[splits == code])) for code, name in enumerate(SPLITS)}

    def as_dict(self, erased: np.ndarray) -> dict[str, Any]:
        """Return the content of `request.json`.

        Args:
            erased: numbers of the rows in the forget set of the erasure.
        """
        kinds = {_CALLED.get(part.kind, part.kind) for part in self.parts}
        return {
            "asked": {
                "kind": kinds.pop() if len(kinds) == 1 else "several",
                "text": self.text,
                "entries": list(self.entries),
            },
            "found": [entry for entry in self.entries if entry not in self.missing],
            "completed": self.completed,
            "not_found": list(self.missing),
            "also_removed": self.copies(),
            "erased": self.pairs.listing.paths(np.unique(self.pairs.files[erased])),
            "by_split": self.by_split(erased),
        }


def parse_rule(rule: str) -> tuple[Part, ...]:
    """Parse a rule. Needs no data, so mistakes are reported before any is read.

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


def ask(pairs: FolderPairs, rule: str) -> Request:
    """Find the pairs that a rule requests.

    Entries without a match are in `Request.missing`, if at least one entry has a match.

    Args:
        pairs: pairs to select from.
        rule: the rule, see the module.

    Raises:
        UsageError: for a mistake in the rule, an unreadable list, or a rule that selects
            nothing or everything.
    """
    parts = parse_rule(rule)
    asked, entries = np.zeros(len(pairs), dtype=bool), dict[str, None]()
    missing, completed = dict[str, str](), dict[str, str]()
    for part in parts:
        if part.kind == "files":
            found, names, without, whole = _listed(pairs, Path(part.value).expanduser())
            completed |= whole
        else:
            found, names, without = _matched(pairs, part)
        asked |= found
        entries |= dict.fromkeys(names)
        missing |= without
    if not asked.any():
        more = f" ({len(missing):,} entries ask for nothing that is there)"
        raise UsageError(next(iter(missing.values())) + (more if len(missing) > 1 else ""))
    pictures = np.zeros(int(pairs.picture.max(initial=-1)) + 1, dtype=bool)
    pictures[pairs.picture[asked]] = True
    selected = pictures[pairs.picture]
    if selected.all():
        raise UsageError(
            f"forget = {rule} selects every one of {len(pairs):,} pairs: something must be kept"
        )
    itself = np.isin(pairs.files, pairs.files[asked])
    return Request(pairs, rule, parts, tuple(entries), missing, completed, itself, selected)


def select(pairs: FolderPairs, rule: str) -> np.ndarray:
    """Whether a rule selects each pair: bool, shape (n,), the same for all rows of a picture.

    Raises:
        UsageError: as `ask`.
    """
    return ask(pairs, rule).selected


def word_pattern(words: str) -> str:
    """Return an RE2 expression for whole words, to match case-folded captions."""
    pattern = r"\s+".join(re.escape(word) for word in folded(words).split())
    return f"(?:^|[^{LETTER[1:]}){pattern}(?:$|[^{LETTER[1:]})"


def _cut_regex(rule: str) -> tuple[str, str, str]:
    """Split a rule into the part before the regular expression, ``regex=``, and the expression."""
    found = re.search(r"(?:^|,)\s*regex=", rule)
    return (rule[: found.start()], "regex=", rule[found.end() :]) if found else (rule, "", "")


def _part(told: str) -> Part:
    kind, sign, value = told.partition("=")
    if not sign:
        return Part("name", told)
    if kind.strip().lower() not in KINDS:
        raise unknown("rule", f"{kind.strip()}=", [f"{each}=" for each in KINDS])
    return Part(kind.strip().lower(), value.strip())


def _matched(pairs: FolderPairs, part: Part) -> tuple[np.ndarray, Sequence[str], dict[str, str]]:
    """Return the rows that match a part, its entries, and the entries without a match."""
    if part.kind in NAMES:
        mask, without = _named(pairs, part)
    else:
        if part.kind == "regex":
            mask = pairs.matches(composed(part.value))
        else:
            mask = pairs.matches(word_pattern(part.value), fold=True)
        without = f"{part} selects nothing: no caption has it{_mend(part)}"
    return mask, [str(part)], {} if mask.any() else {str(part): without}


def _named(pairs: FolderPairs, part: Part) -> tuple[np.ndarray, str]:
    """Return the rows of a concept or a group, and the message if there are none."""
    columns = {"concept": pairs.concept, "group": pairs.group}
    asked = list(columns) if part.kind == "name" else [part.kind]
    mask, known = np.zeros(len(pairs), dtype=bool), []
    for column in (columns[name] for name in asked):
        here = np.unique(column.codes[column.codes >= 0])
        known += [column.names[code] for code in here]
        wanted = [code for code in here if _plain(column.names[code]) == _plain(part.value)]
        mask |= np.isin(column.codes, wanted)
    kind = " or ".join(asked)
    hint = f"In captions word={part.value} finds it"
    if is_picture(part.value):
        hint = "Pictures are asked for in a list, one per line: files=list.txt"
    if not known:
        return mask, f"{part}: your data has no {kind}. {hint}"
    return mask, str(unknown(kind, part.value, dict.fromkeys(known), hint))


def _plain(name: str) -> str:
    """Normalise a name for comparison."""
    return " ".join(folded(name).replace("-", " ").replace("_", " ").split())


def _listed(
    pairs: FolderPairs, file: Path
) -> tuple[np.ndarray, Sequence[str], dict[str, str], dict[str, str]]:
    """Return the rows of the pictures in a list, its paths, those missing, those completed."""
    try:
        with opened_text(file) as (opened, _):
            text = opened.read()
    except OSError as error:
        raise UsageError(f"files={file} cannot be read: {error.strerror}") from error
    if BROKEN.search(text):
        raise UsageError(f"files={file} cannot be read: it is not UTF-8; save it so")
    lines = text.splitlines()
    paths = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not paths:
        raise UsageError(f"files={file} has no path in it: one picture per line")
    root = f"{pairs.listing.folder.as_posix()}/"
    plain = {p: p.replace("\\", "/").removeprefix("./").removeprefix(root) for p in paths}
    mask, missed = pairs.at_paths(paths)
    more, missed = pairs.at_paths([plain[path] for path in missed]) if missed else (mask, missed)
    whole = _whole_paths(pairs, missed, file)
    by_end, left_out = pairs.at_paths(whole.values())
    whole = {end: path for end, path in whole.items() if path not in left_out}
    completed = {path: whole[plain[path]] for path in paths if plain[path] in whole}
    mask |= more | by_end
    _check_alone(pairs, mask, file)
    lost, without = set(missed) - set(whole), dict[str, str]()
    hint = "Write its path in the folder, one picture per line"
    for path in (path for path in paths if plain[path] in lost):
        near = pairs.near_paths(plain[path]) if len(without) < _HINTS else []
        without[path] = str(unknown(f"picture in {file}", shown(path), near, hint))
    return mask, paths, without, completed


def _check_alone(pairs: FolderPairs, listed: np.ndarray, file: Path) -> None:
    """Refuse a list with a path that several different pictures in Parquet or shards have.

    Raises:
        UsageError: names the path.
    """
    files = np.unique(pairs.files[listed])
    contents = pairs.listing.contents[files].tolist()
    first: dict[str, int] = {}
    for path, content in zip(pairs.listing.paths(files), contents, strict=True):
        if first.setdefault(path, content) != content:
            raise UsageError(
                f"files={file}: several different pictures are called '{shown(path)}': "
                "give each a name of its own, or ask by caption (word=...)"
            )


def _whole_paths(pairs: FolderPairs, ends: Sequence[str], file: Path) -> dict[str, str]:
    """Return the path of the picture that each of some entries of a list is the end of.

    An entry that is itself the path of a file is not completed: that file is meant.

    Raises:
        UsageError: for an entry that is the end of several paths; names them.
    """
    whole = {}
    for end, found in (pairs.ending_in(ends) if ends else {}).items():
        paths = list(dict.fromkeys(found))
        if not paths or os.path.lexists(pairs.listing.folder / end):
            continue
        if len(paths) > 1:
            told = ", ".join(map(shown, paths[:3])) + (", …" if len(paths) > 3 else "")
            raise UsageError(
                f"files={file}: '{shown(end)}' could be any of {len(paths):,} pictures ({told}): "
                "write its whole path in the folder"
            )
        whole[end] = paths[0]
    return whole


def _mend(part: Part) -> str:
    return f"; regex={part.value} finds it inside longer words" if part.kind == "word" else ""
