"""Find the picture and the caption among the files of one sample, which share a key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from erasekit.data.folder.columns import OPTIONAL, Columns
from erasekit.data.folder.table_rows import json_object, texts_in
from erasekit.errors import UsageError
from erasekit.text import shown

#: Extensions of caption files, and their maximum size in bytes.
CAPTIONS, MOST_BYTES = (".txt", ".caption", ".text"), 400_000


def chosen_part(parts: Iterable[str], endings: Sequence[str], what: str) -> str:
    """Return the part with one of the `endings`: the one with exactly this name, or the only one.

    Raises:
        LookupError: when there is none or the choice is ambiguous; names the parts.
    """
    parts = list(parts)
    found = [part for part in parts if f".{part}".endswith(tuple(endings))]
    plain = [part for part in found if f".{part}" in endings]
    if len(plain) == 1 or len(found) == 1:
        return (plain if len(plain) == 1 else found)[0]
    there = ", ".join(sorted(map(shown, parts)))
    said = f"there is no {what}" if not found else f"it is not clear which part is the {what}"
    raise LookupError(f"{said}; its parts are {there}")


def check_one_sample(parts: Iterable[str], picture: str, endings: Sequence[str]) -> None:
    """Refuse parts of two samples: a key ends at the first dot, so names with dots fall together.

    A further picture without a caption of its own, such as a mask, is part of the sample.

    Args:
        picture: the part that is the sample's picture.

    Raises:
        ValueError: when another picture has its own caption; names it.
    """
    parts = set(parts)
    for part in sorted(parts - {picture}):
        stem, dot, ending = part.rpartition(".")
        if dot + ending in endings and any(stem + text in parts for text in (*CAPTIONS, ".json")):
            raise ValueError(
                f"its part {shown(part)} is a second picture with its own caption: a key ends at "
                "the first dot, so rename files whose names have a dot"
            )


def caption_of(parts: Mapping[str, Callable[[], bytes]], named: str = "") -> dict[str, str]:
    """Read caption, concept, group and split of a sample from its parts.

    The caption is a text part, or a field with a usual name in a JSON part.

    Args:
        parts: functions that read the bytes of each part.
        named: name of the caption in JSON, if it is not a usual one.

    Raises:
        LookupError: when there is no caption, or it is ambiguous.
        ValueError: when a part is damaged, or not a caption.
    """
    texts = [part for part in parts if f".{part}".endswith(CAPTIONS)]
    value = json_object(text_of(parts["json"]())) if "json" in parts else {}
    told = {role: "".join(texts_in(value.get(role), role)).strip() for role in OPTIONAL}
    if texts or "json" not in parts:
        part = chosen_part(parts, CAPTIONS, "caption")
        caption = text_of(parts[part]()).strip()
        if re.fullmatch(r"[\d\s.,:;+-]+", caption) and len(caption.split()) > 1:
            raise ValueError(f"its .{part} holds numbers, like a detector's boxes, not a caption")
        return {"caption": caption, **told}
    try:  # every sample has a picture, which is not a column here
        column = Columns("picture", named).find("", ["picture", *value])["caption"]
    except UsageError as error:
        there = ", ".join(map(shown, value)) or "nothing"
        raise LookupError(f"its .json has no caption, or more than one; it has {there}") from error
    found = texts_in(value[column], column)
    if len(found) > 1:
        raise ValueError(f"its .json has {len(found)} captions: keep one in a file of its own")
    return {"caption": "".join(found).strip(), **told}


def text_of(held: bytes) -> str:
    """Decode the text of a small file; invalid UTF-8 becomes replacement characters."""
    mark = held[:2] in (b"\xff\xfe", b"\xfe\xff")
    return held.decode("utf-16" if mark else "utf-8-sig", "replace" if mark else "surrogateescape")
