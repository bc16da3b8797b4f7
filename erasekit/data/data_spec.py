"""What decides a world, written down and checked before a single picture is made or read.

Nothing here needs torch, so the command line can refuse what no world can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import emoji

from erasekit.errors import UsageError, unknown
from erasekit.settings import check, default

#: Languages that the package `emoji` has names in.
LANGUAGES = tuple(emoji.LANGUAGES)
#: The data sets there are, each in a sentence.
DATASETS = {
    "openmoji": "OpenMoji drawings composed into captioned scenes; embedded, needs no network",
    "folder:PATH": "your own pictures and captions; `erasekit preview --help` says in which form",
}
#: What the name of a data set begins with that lies in a folder.
FOLDER = "folder:"


def check_dataset(name: str) -> str:
    """`name`, if there is such a data set.

    Raises:
        UsageError: if there is not, with those that there are; for a folder that is none.
    """
    if name.startswith(FOLDER):
        if not Path(name.removeprefix(FOLDER)).expanduser().is_dir():
            raise UsageError(f"data = {name}: there is no such folder")
    elif name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    return name


class _Spoken:
    """What has captions in some languages."""

    languages: tuple[str, ...]

    def pick_languages(self, wanted: Sequence[str] | None) -> tuple[str, ...]:
        """The languages whose captions are in the forget set: those wanted, or all.

        Raises:
            UsageError: for a language that this world does not speak.
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
    """Everything that decides what is taken from a folder of one's own pairs.

    Attributes:
        path: the folder.
        skip_bad: whether rows with a problem are left out; else they are an error.
        most_pairs: of the forget set and of the retain set, drawn by the seed: what an erasure
            can read in its steps. It bounds memory, however large the folder is.
        judged_pairs: the same of validation and of test, for each of the two sets.
        templates: what a picture is compared with when it is named, ``{}`` for the name.
        image_column: of a table, with the pictures' paths; empty for the usual names.
        caption_column: of a table, with the captions; empty for the usual names.
        seed: of what is drawn.
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
    """Everything that decides what a world contains.

    Attributes:
        concepts: how many concepts to train, or names of groups and concepts.
        pictures: training pictures with one concept, for each concept.
        scenes: training scenes, for each concept (a scene shows two or three).
        held_out_pictures: validation and test pictures, for each concept and split
            (validation gets a third of them).
        languages: of the captions; English is half of them, the others share the rest.
        image_size: side of a picture in pixels.
        seed: of the world; another seed is another set of pictures.
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
