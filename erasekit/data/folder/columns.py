"""Find the columns of a table: pictures, captions, and the optional ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from erasekit.errors import UsageError
from erasekit.text import shown

#: Required and optional columns of a table.
NEEDED, OPTIONAL = ("image", "caption"), ("concept", "group", "split")
# Usual names of columns; case does not matter, spaces and hyphens count as underscores.
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
    """Column names given by the user; the usual names are found automatically.

    Attributes:
        image: name of the column with the pictures' paths.
        caption: name of the column with the captions.
    """

    image: str = ""
    caption: str = ""

    def find(self, table: str, names: Sequence[str]) -> dict[str, str]:
        """Find the column of each role in `NEEDED`, and of the roles in `OPTIONAL` if present.

        Args:
            table: name of the table, for messages.
            names: names of its columns.

        Raises:
            UsageError: when a column is missing, duplicated or ambiguous.
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
    """Return the columns named like a role, or else those with one of its usual names."""
    plain = {name: re.sub(r"[\s-]+", "_", name.strip().lower()) for name in names}
    exact = [name for name in names if plain[name] == role]
    return exact or [name for name in names if plain[name] in _USUAL.get(role, ())]
