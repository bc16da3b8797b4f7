"""Specifications of worlds, checked before any picture is drawn or read.

This module does not need torch, so the command line can reject invalid worlds quickly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import emoji

from erasekit.errors import UsageError, unknown
from erasekit.settings import check, default

#: Languages for which the package `emoji` has names.
LANGUAGES = tuple(emoji.LANGUAGES)
#: Available data sets, each with a one-sentence description.
DATASETS = {
    "openmoji": "OpenMoji drawings composed into captioned scenes; embedded, needs no network",
    "folder:PATH": "your own pictures and captions; `erasekit preview --help` says in which form",
}
#: Prefix of the name of a data set in a folder.
FOLDER = "folder:"


def check_dataset(name: str) -> str:
    """Return `name` if the data set exists.

    Raises:
        UsageError: for an unknown data set (lists the known ones), or a missing folder.
    """
    if name.startswith(FOLDER):
        if not Path(name.removeprefix(FOLDER)).expanduser().is_dir():
            raise UsageError(f"data = {name}: there is no such folder")
    elif name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    return name


class _Spoken:
    """Base of specifications with captions in several languages."""

    languages: tuple[str, ...]

    def pick_languages(self, wanted: Sequence[str] | None) -> tuple[str, ...]:
        """Return the languages of the forget set's captions: `wanted`, or all.

        Raises:
            UsageError: for a language that this world does not have.
        """
        for language in wanted or ():
            if language not in self.languages:
                raise UsageError(
                    f"forget language '{language}' is not in this world: "
                    f"choose from {', '.join(self.languages)}"
                )
        return tuple(wanted or self.languages)


@dataclass(frozen=True)
class FolderSpec(_Spoken):
    """Specification of a world that is read from a folder of your own pairs.

    Attributes:
        path: the folder.
        skip_bad: whether rows with a problem are skipped; otherwise they are an error.
        most_pairs: maximum size of the forget set and of the retain set, drawn by the seed.
            It bounds memory for folders of any size.
        judged_pairs: the same maximum for each of the two sets in validation and test.
        templates: zero-shot templates with ``{}`` for the name.
        image_column: table column with the pictures' paths; empty for the usual names.
        caption_column: table column with the captions; empty for the usual names.
        seed: seed of the drawing.
    """

    path: str
    forget_split: str = default("forget_split")
    skip_bad: bool = default("skip_bad")
    most_pairs: int = default("most_pairs")
    judged_pairs: int = default("judged_pairs")
    templates: tuple[str, ...] = tuple(default("templates").split("|"))
    image_column: str = default("image_column")
    caption_column: str = default("caption_column")
    seed: int = default("world_seed")

    languages = ("en",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "templates", tuple(self.templates))
        for name in ("most_pairs", "judged_pairs"):
            check(name, getattr(self, name))
        for template in self.templates or ("",):
            if "{}" not in template:
                raise UsageError(f"template '{template}' must hold {{}}, where the name goes")

    def as_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class WorldSpec(_Spoken):
    """Specification of the embedded world.

    Attributes:
        concepts: number of concepts to train, or names of groups and concepts.
        pictures: training pictures with one concept, per concept.
        scenes: training scenes per concept (a scene shows two or three concepts).
        held_out_pictures: test pictures per concept (validation gets a third of this).
        languages: languages of the captions; half are English, the others share the rest.
        image_size: side of a picture in pixels.
        seed: seed of the world; each seed gives a different set of pictures.
    """

    concepts: int | tuple[str, ...] = default("concepts")
    pictures: int = default("pictures")
    scenes: int = default("scenes")
    held_out_pictures: int = default("held_out_pictures")
    languages: tuple[str, ...] = tuple(default("languages").split(","))
    image_size: int = default("image_size")
    seed: int = default("world_seed")

    def __post_init__(self) -> None:
        if not isinstance(self.concepts, int):
            object.__setattr__(self, "concepts", tuple(self.concepts))
        object.__setattr__(self, "languages", tuple(self.languages))
        for name in ("pictures", "scenes", "held_out_pictures", "image_size"):
            check(name, getattr(self, name))
        check("world_seed", self.seed)
        if "en" not in self.languages:
            raise UsageError(f"languages = {list(self.languages)}: 'en' must be one of them")
        for language in self.languages:
            if language not in LANGUAGES:
                raise UsageError(
                    f"language '{language}' has no names: choose from {', '.join(LANGUAGES)}"
                )

    def as_dict(self) -> dict:
        return asdict(self)
