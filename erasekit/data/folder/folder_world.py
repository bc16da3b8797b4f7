"""A folder of one's own pairs, as the world and the task that everything else works with.

A world's lists are bounded: of each set an erasure reads a part that is drawn once, by the
seed, so that memory hardly grows with the folder. Pictures stay on the disk and are decoded
when their pixels are asked for.

Pictures are told apart by name where the folder names them (a concept), and else one by one:
a picture without a concept is a thing of its own, which its caption names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from torch import Tensor

from erasekit.data.data_spec import FolderSpec
from erasekit.data.folder.listing import FolderPairs
from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.data.worlds import SPLITS, Concept
from erasekit.errors import UsageError

# Captions of a concept that are looked at to tell whether they only name it.
_LOOKED_AT = 50
_LONGEST_NAME = 60
# Pictures that stand for the retained where none has a name.
_COMPARED = 100


class Pictures:
    """Pictures on the disk; indexing decodes them: uint8, shape (n, 3, size, size)."""

    def __init__(self, source: FolderPairs, rows: np.ndarray, size: int) -> None:
        self._source, self._rows, self._size = source, rows, size

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int | slice | np.ndarray | Tensor | Sequence[int]) -> Tensor:
        chosen = self._rows[np.asarray(index) if isinstance(index, Tensor) else index]
        pixels = self._source.pixels(np.atleast_1d(chosen), self._size)
        return pixels if np.ndim(chosen) else pixels[0]

    @property
    def numbers(self) -> np.ndarray:
        """What tells pictures apart: the same for rows that show the same, shape (n,)."""
        return self._source.picture[self._rows]

    def take(self, indices: np.ndarray) -> Pictures:
        """The pictures at `indices`, still on the disk."""
        return Pictures(self._source, self._rows[indices], self._size)


@dataclass(frozen=True)
class DiskPairs(Pairs):
    """`Pairs` whose `images` are `Pictures`: on the disk until they are indexed.

    Attributes:
        names: how many concepts have a name; those of higher numbers are single pictures.
    """

    names: int

    def take(self, indices: Sequence[int] | np.ndarray) -> DiskPairs:
        indices = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            images=cast("Pictures", self.images).take(indices),
            captions=tuple(self.captions[i] for i in indices),
            concepts=tuple(self.concepts[i] for i in indices),
            languages=tuple(self.languages[i] for i in indices),
            positions=self.positions[indices],
        )

    @property
    def singles(self) -> DiskPairs:
        """The pairs whose picture has a name: those that zero-shot classification is asked for."""
        return self.take([i for i, shown in enumerate(self.concepts) if shown[0] < self.names])

    @property
    def scenes(self) -> DiskPairs:
        """Each picture with the first of its captions: with two it would be its own rival."""
        pictures = cast("Pictures", self.images).numbers
        return self.take(np.sort(np.unique(pictures, return_index=True)[1]))

    def answers(self) -> Sequence[str]:
        return self.captions


class FolderWorld:
    """The pairs of a folder. It gives pairs, and cannot draw.

    Args:
        spec: what is taken of the folder.
        source: all of its pairs.
        selected: which of them must go, shape (n,), the same for all rows of a picture.
        size: side of the pictures in pixels, as the model reads them.
    """

    def __init__(
        self, spec: FolderSpec, source: FolderPairs, selected: np.ndarray, size: int
    ) -> None:
        self.spec = spec
        self._source, self._selected, self._size = source, selected, size
        codes = source.concept.codes
        # Of a concept of which some pictures stay, those that go have no name: it must stay.
        # The last place of each is for rows without a concept, whose code is −1.
        goes, stays = np.zeros((2, len(source.concept.names) + 1), dtype=bool)
        goes[codes[selected]] = True
        stays[codes[~selected]] = True
        goes[-1] = stays[-1] = False
        here = np.flatnonzero(goes | stays)
        number = np.full(len(goes), -1, dtype=np.int32)
        number[here] = np.arange(len(here), dtype=np.int32)
        #: Each row's concept, −1 for a picture without a name.
        self._named = number[codes]
        self._named[selected & (goes & stays)[codes]] = -1
        whole = goes[here] & ~stays[here]
        self.concepts = tuple(self._concept(code, i) for i, code in enumerate(here.tolist()))
        self.trained = tuple(range(len(here)))
        self.holdout: tuple[int, ...] = ()
        self.forgotten = tuple(np.flatnonzero(whole).tolist())
        self._first_rows = {i: np.flatnonzero(self._named == i)[:_LOOKED_AT] for i in self.trained}
        self._lists: dict[str, DiskPairs] = {}

    @property
    def content(self) -> str:
        """The sha256 of what was read: the same for the same rows and pictures."""
        return self._source.listing.identity

    def _concept(self, code: int, index: int) -> Concept:
        source = self._source
        name = source.concept.names[code]
        row = int(np.argmax(source.concept.codes == code))
        return Concept(
            index=index,
            name=name,
            emoji="",
            group=source.group[row] or "",
            names={"en": name},
            article="",
            prompts=tuple(t.replace("{}", name) for t in self.spec.templates),
        )

    def concept(self, index: int) -> Concept:
        """A named concept, or a single picture by its number, named by its first caption."""
        if index < len(self.concepts):
            return self.concepts[index]
        row = int(self._row_of[index - len(self.concepts)])
        text = self._source.caption(row)
        return Concept(
            index=index,
            name=text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…",
            emoji="",
            group="",
            names={"en": text},
            article="",
            # As many as a named concept has, so that both can be averaged in one table.
            prompts=(text,) * len(self.spec.templates),
        )

    @cached_property
    def _row_of(self) -> np.ndarray:
        pictures = self._source.picture
        first = np.full(int(pictures.max()) + 1, -1, dtype=np.int32)
        first[pictures[::-1]] = np.arange(len(pictures) - 1, -1, -1, dtype=np.int32)
        return first

    @cached_property
    def _only_names(self) -> np.ndarray:
        """Of each named concept, whether its captions do nothing but name it."""
        return np.array(
            [len(set(self._source.captions(rows))) == 1 for rows in self._first_rows.values()],
            dtype=bool,
        )

    def goes(self, index: int) -> bool:
        """Whether a concept, or a single picture by its number, must be forgotten."""
        if index < len(self.concepts):
            return index in self.forgotten
        return bool(self._selected[self._row_of[index - len(self.concepts)]])

    def pairs(self, split: str) -> DiskPairs:
        """The pairs of a split that this world reads, those to forget first."""
        if split not in self._lists:
            if split not in SPLITS:
                raise UsageError(f"unknown split '{split}': one of {', '.join(SPLITS)}")
            number = SPLITS.index(split)
            mine = self._source.split.codes == number
            most = self.spec.most_pairs if split == "train" else self.spec.judged_pairs
            rng = np.random.default_rng([self.spec.seed, number])
            rows = [
                _some(rng, np.flatnonzero(mine & part), most)
                for part in (self._selected, ~self._selected)
            ]
            self._lists[split] = self._list(np.concatenate(rows))
        return self._lists[split]

    def _list(self, rows: np.ndarray) -> DiskPairs:
        source, k = self._source, len(self.concepts)
        shown = []
        for name, picture in zip(self._named[rows], source.picture[rows], strict=True):
            if name < 0:
                shown.append((int(k + picture),))
            elif self._only_names[name]:
                shown.append((int(name),))
            else:  # its caption says more than the name: no false negative beside its like
                shown.append((int(name), int(k + picture)))
        return DiskPairs(
            images=cast("Tensor", Pictures(source, rows, self._size)),
            captions=tuple(source.captions(rows)),
            concepts=tuple(shown),
            languages=("en",) * len(rows),
            positions=rows,
            names=k,
        )

    def captions_in(self, pairs: Pairs, split: str, language: str) -> list[str]:
        return list(pairs.captions)

    def choose(
        self, forget: str | Sequence[str], gone: Sequence[str] = ()
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Concepts and single pictures to forget, and concepts to retain: as they were selected.

        Where no retained picture has a name, some pictures stand for the retained concepts.
        """
        for split in ("train", "test"):
            for number, fate in zip(self.sizes(split), ("forget", "retain"), strict=True):
                if not number:
                    raise UsageError(
                        f"the {split} split has no pair to {fate}: "
                        "give a column `split`, more pictures, or another rule"
                    )
        firsts = [shown[0] for shown in self.pairs("train").concepts]
        forgotten = {first for first in firsts if self.goes(first)}
        named = tuple(i for i in self.trained if not self.goes(i))
        pictures = tuple(first for first in firsts if not self.goes(first))[:_COMPARED]
        return tuple(sorted(forgotten)), named or pictures

    def sizes(self, split: str) -> tuple[int, int]:
        """How many pairs a split has to forget and to retain."""
        mine = self._source.split.codes == SPLITS.index(split)
        gone = int((mine & self._selected).sum())
        return gone, int(mine.sum()) - gone


class FolderTask(ErasureTask):
    """A forget set and a retain set in a folder: of both, the parts that an erasure reads.

    Args:
        world: the folder, which knows what was selected.
        rule: what was asked for, in words.

    Raises:
        UsageError: when train or test has no pair to forget, or none to retain.
    """

    def __init__(self, world: FolderWorld, rule: str) -> None:
        super().__init__(world, rule)
        self._folder, self.rule = world, rule

    @property
    def named(self) -> bool:
        """Whether forgotten and retained pictures have names, so that they can be asked for."""
        return bool(self._folder.forgotten) and self.retained[0] in self._folder.trained

    def touches(self, concepts: tuple[int, ...]) -> bool:
        return any(self._folder.goes(i) for i in concepts)

    def describe(self) -> dict:
        forget, retain = self._folder.sizes("train")
        return {
            "data": "folder",
            "forget": [self.rule],
            "forget_languages": list(self.forget_languages),
            "forget_pairs": forget,
            "retain_pairs": retain,
            "read_pairs": {"forget": len(self.forget), "retain": len(self.retain)},
            "world": {**self.world.spec.as_dict(), "path": None, "content": self._folder.content},
        }


def _some(rng: np.random.Generator, rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows, drawn without a doublet, in their order."""
    if len(rows) <= most:
        return rows
    return np.sort(rng.choice(rows, size=most, replace=False))
