"""Which column of a table holds the pictures, the captions, and what else may be told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from erasekit.errors import UsageError
from erasekit.text import shown

#: What a table must tell of a row, and what it may.
NEEDED, OPTIONAL = ("image", "caption"), ("concept", "group", "split")
# The usual names of columns; in any case, and with spaces or hyphens for underscores.
_USUAL = {
    "image": (
        *("image_name", "image_path", "image_file", "image_filename", "imagepath", "img"),
        *("img_name", "img_path", "file_name", "filename", "file", "filepath", "file_path"),
        *("path", "picture", "photo"),
    ),
    "caption": (
        *("captions", "text", "title", "comment", "description", "sentence", "sentences"),
        *("prompt", "alt_text", "alt", "txt"),
    ),
    "split": ("data_split", "subset", "partition"),
}


@dataclass(frozen=True)
class Columns:
    """The columns that a user names; the usual names are found without.

    Attributes:
        image: the column with the pictures' paths.
        caption: the column with the captions.
    """

    image: str = ""
    caption: str = ""

    def find(self, table: str, names: Sequence[str]) -> dict[str, str]:
        """The column of each of `NEEDED`, and of those of `OPTIONAL` that are there.

        Args:
            table: its name, for messages.
            names: of its columns.

        Raises:
            UsageError: when a column is missing, twice there, or one of several could be meant.
        """
        found = {}
        for role in (*NEEDED, *OPTIONAL):
            asked = getattr(self, role, "")
            here = [n for n in names if n == asked] if asked else _called(role, names)
            if len(here) > 1:
                twice = len(set(here)) == 1
                said = "twice" if twice else f"and the column '{shown(here[1])}'"
                by_option = role in NEEDED and not twice
                mend = f"choose one with --{role}-column" if by_option else "rename one of them"
                raise UsageError(f"{table} has the column '{shown(here[0])}' {said}: {mend}")
            if here:
                found[role] = here[0]
            elif role in NEEDED:
                told = ", ".join(map(shown, names)) or "none"
                raise UsageError(
                    f"{table} has no column '{asked or role}'; it has {told}. Rename one, or name "
                    f"it with --{role}-column"
                )
        return found


def _called(role: str, names: Sequence[str]) -> list[str]:
    """The columns that have the name of a role, or else one of its usual names."""
    plain = {name: re.sub(r"[\s-]+", "_", name.strip().lower()) for name in names}
    exact = [name for name in names if plain[name] == role]
    return exact or [name for name in names if plain[name] in _USUAL.get(role, ())]
