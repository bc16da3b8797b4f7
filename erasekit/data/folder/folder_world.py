"""World and erasure task of a folder of your own pairs.

The whole request is forgotten, in all splits, and evaluated on its own pictures. The other lists
are bounded: an erasure reads a part that is drawn once by the seed, so that memory hardly grows
with the folder. Pictures stay on the disk and are decoded when their pixels are needed.

Pictures with a concept are identified by its name. A picture without a concept is a thing of its
own, named by its caption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from torch import Tensor

from erasekit.data.data_spec import FolderSpec
from erasekit.data.folder.listing import FolderPairs
from erasekit.data.folder.selection import Request
from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.data.worlds import SPLITS, Concept, Lessons
from erasekit.errors import UsageError
from erasekit.files import sha256_json

# Captions per concept that are inspected to decide whether they only name it.
_LOOKED_AT = 50
_LONGEST_NAME = 60
# Maximum number of captions to train a tokenizer on.
_READ = 100_000
# Number of pictures that represent the retained ones if none has a name.
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
        """Picture numbers, equal for rows with the same picture, shape (n,)."""
        return self._source.picture[self._rows]

    def take(self, indices: np.ndarray) -> Pictures:
        """Return the pictures at `indices`, without reading them."""
        return Pictures(self._source, self._rows[indices], self._size)


@dataclass(frozen=True)
class DiskPairs(Pairs):
    """`Pairs` whose `images` stay on the disk until they are indexed, see `Pictures`.

    Attributes:
        names: number of named concepts; higher numbers are single pictures.
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
        """The pairs with a named picture, which zero-shot classification uses."""
        return self.take([i for i, shown in enumerate(self.concepts) if shown[0] < self.names])

    @property
    def scenes(self) -> DiskPairs:
        """Each picture with its first caption: two would compete in retrieval."""
        pictures = cast("Pictures", self.images).numbers
        return self.take(np.sort(np.unique(pictures, return_index=True)[1]))

    def answers(self) -> Sequence[str]:
        return self.captions


class FolderWorld:
    """The pairs of a folder. A CLIP can be trained on them; it is not a drawing world.

    Args:
        spec: specification of the world.
        source: all pairs of the folder.
        request: the forget request.
        size: side of the pictures in pixels, as the model reads them.
    """

    def __init__(self, spec: FolderSpec, source: FolderPairs, request: Request, size: int) -> None:
        self.spec, self.request = spec, request
        self._source, self._selected, self._size = source, request.selected, size
        selected = request.selected
        codes = source.concept.codes
        named = request.named or spec.forget_split == "train"
        # If only some pictures of a concept are forgotten, they get no name, since the concept is
        # retained. Nor do pictures that were requested one by one: they are evaluated one by one.
        # The last element of each array is for rows without a concept, whose code is −1.
        goes, stays = np.zeros((2, len(source.concept.names) + 1), dtype=bool)
        goes[codes[selected]] = True
        stays[codes[~selected]] = True
        goes[-1] = stays[-1] = False
        here = np.flatnonzero(goes | stays)
        number = np.full(len(goes), -1, dtype=np.int32)
        number[here] = np.arange(len(here), dtype=np.int32)
        #: Concept of each row, −1 for a picture without a name.
        self._named = number[codes]
        self._named[selected & ((goes & stays)[codes] | (not named))] = -1
        whole = goes[here] & ~stays[here] & named
        self.concepts = tuple(self._concept(code, i) for i, code in enumerate(here.tolist()))
        self.trained = tuple(range(len(here)))
        self.holdout: tuple[int, ...] = ()
        self.forgotten = tuple(np.flatnonzero(whole).tolist())
        self._first_rows = {i: np.flatnonzero(self._named == i)[:_LOOKED_AT] for i in self.trained}
        self._lists: dict[str, DiskPairs] = {}

    @property
    def content(self) -> str:
        """The sha256 of the data: the same for the same rows and pictures."""
        return self._source.listing.identity

    @property
    def image_size(self) -> int:
        return self._size

    def identity(self) -> dict[str, Any]:
        """The same for every request, so that an original is trained once."""
        words = sha256_json(self.vocabulary())
        return {"content": self.content, "image_size": self._size, "vocabulary": words}

    def vocabulary(self) -> list[str]:
        """Return captions of the whole folder, and the names of its concepts."""
        rng = np.random.default_rng([self.spec.seed, len(SPLITS) + 1])
        rows = _some(rng, np.arange(len(self._source)), _READ)
        prompts = [text for concept in self.concepts for text in concept.prompts]
        return [*self._source.captions(rows), *prompts]

    def texts(self) -> set[str]:
        return set(self.vocabulary())

    def lessons(self, pairs: Pairs) -> Lessons:
        """Return the training list: pairs with the same caption or picture are positives.

        A caption that only names its concept is used as it is and in each template, so that
        the model learns the zero-shot prompts.
        """
        captions = []
        for caption, row in zip(pairs.captions, pairs.positions.tolist(), strict=True):
            named = caption == self._source.concept[row]
            options = [caption, *self._prompts(caption)] if named else [caption]
            captions.append(options[row % len(options)])
        _, same = np.unique(np.array(pairs.captions), return_inverse=True)
        pictures = self._source.picture[pairs.positions]
        return Lessons(captions, np.stack([same, pictures], axis=1))

    def _prompts(self, name: str) -> tuple[str, ...]:
        return tuple(template.replace("{}", name) for template in self.spec.templates)

    def _concept(self, code: int, index: int) -> Concept:
        source, name = self._source, self._source.concept.names[code]
        return Concept(
            index=index,
            name=name,
            emoji="",
            group=source.group[int(np.argmax(source.concept.codes == code))] or "",
            names={"en": name},
            article="",
            prompts=self._prompts(name),
        )

    def concept(self, index: int) -> Concept:
        """Return a named concept, or a single picture, named by its first caption."""
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
            # As many prompts as a named concept, so that one table can average both.
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
        """Whether the captions of each named concept only name it."""
        return np.array(
            [len(set(self._source.captions(rows))) == 1 for rows in self._first_rows.values()],
            dtype=bool,
        )

    def goes(self, index: int) -> bool:
        """Whether a concept, or a single picture, must be forgotten."""
        if index < len(self.concepts):
            return index in self.forgotten
        return bool(self._selected[self._row_of[index - len(self.concepts)]])

    def pairs(self, split: str) -> DiskPairs:
        """Return the pairs of a split that this world reads, in their order."""
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
            self._lists[split] = self._list(np.sort(np.concatenate(rows)))
        return self._lists[split]

    @cached_property
    def requested(self) -> DiskPairs:
        """Every pair to forget, of all splits or only of train."""
        goes = self._selected
        if self.spec.forget_split == "train":
            goes = goes & (self._source.split.codes == SPLITS.index("train"))
        return self._list(np.flatnonzero(goes))

    def judged(self, split: str) -> DiskPairs:
        """Return the pairs to forget of all splits, then the pairs to retain of one split.

        If only train is forgotten, both are from the one split.
        """
        if self.spec.forget_split == "train":
            return self.pairs(split)
        if (name := f"judged on {split}") not in self._lists:
            rng = np.random.default_rng([self.spec.seed, len(SPLITS)])
            asked = _some(rng, np.flatnonzero(self._selected), self.spec.judged_pairs)
            mine = self.pairs(split).positions
            self._lists[name] = self._list(np.concatenate([asked, mine[~self._selected[mine]]]))
        return self._lists[name]

    def splits(self, pairs: Pairs) -> np.ndarray:
        """Return the split of each pair as its position in `SPLITS`, shape (n,)."""
        return self._source.split.codes[pairs.positions]

    def of_asked_concepts(self, pairs: Pairs) -> np.ndarray:
        """Whether pairs show a concept that pictures of the request show: bool, shape (n,)."""
        codes = self._source.concept.codes
        asked = np.unique(codes[self._selected])
        return np.isin(codes[pairs.positions], asked[asked >= 0])

    def _list(self, rows: np.ndarray) -> DiskPairs:
        source, k = self._source, len(self.concepts)
        shown = []
        for name, picture in zip(self._named[rows], source.picture[rows], strict=True):
            if name < 0:
                shown.append((int(k + picture),))
            elif self._only_names[name]:
                shown.append((int(name),))
            else:  # its caption says more than the name: no false negative in a batch
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
        """Return the selected concepts and single pictures, and the concepts to retain.

        If no retained picture has a name, some pictures represent the retained concepts.
        """
        for split in ("train", "test"):
            goes, stays = self.sizes(split)
            if not stays or (not goes and self.spec.forget_split == "train"):
                raise UsageError(
                    f"the {split} split has no pair to {'forget' if stays else 'retain'}: "
                    "give a column `split`, more pictures, or another rule"
                )
        forgotten = {shown[0] for shown in self.requested.concepts}
        firsts = [shown[0] for shown in self.pairs("train").concepts]
        named = tuple(i for i, rows in self._first_rows.items() if len(rows) and not self.goes(i))
        pictures = tuple(first for first in firsts if not self.goes(first))[:_COMPARED]
        return tuple(sorted(forgotten)), named or pictures

    def sizes(self, split: str) -> tuple[int, int]:
        """Return the number of pairs to forget and to retain in a split."""
        mine = self._source.split.codes == SPLITS.index(split)
        gone = int((mine & self._selected).sum())
        return gone, int(mine.sum()) - gone


class FolderTask(ErasureTask):
    """The erasure task of a request in a folder.

    Args:
        world: the folder's world, with the request.
        trained: whether the original was trained on the folder's training split, and so never
            saw the pictures of other splits.

    Raises:
        UsageError: when train or test has no pair to retain.
    """

    def __init__(self, world: FolderWorld, *, trained: bool = False) -> None:
        super().__init__(world, world.request.text)
        self._folder, self._trained = world, trained

    @property
    def named(self) -> bool:
        """Whether both forgotten and retained pictures have names."""
        return bool(self._folder.forgotten) and self.retained[0] in self._folder.trained

    @property
    def pictures(self) -> bool:
        return not self.named and self._folder.spec.forget_split == "all"

    def touches(self, concepts: tuple[int, ...]) -> bool:
        return any(self._folder.goes(i) for i in concepts)

    @cached_property
    def forget(self) -> Pairs:
        """The forget set: everything requested, and its copies, in any split."""
        return self._folder.requested

    def judged(self, split: str) -> Pairs:
        return self._folder.judged(split)

    def members(self, split: str) -> tuple[Pairs, Pairs]:
        """Return members and non-members of the training data.

        For things requested by name: their training pictures, and those of another split, where
        both exist. For individual pictures: these, and held-out ones of the same concepts, if any.
        """
        if self._folder.spec.forget_split == "train":
            return super().members(split)
        splits = self._folder.splits(self.forget)
        if self.named:
            parts = [np.flatnonzero(splits == SPLITS.index(part)) for part in ("train", split)]
            own, other = map(self.forget.take, parts)
            both = {shown[0] for shown in own.concepts} & {shown[0] for shown in other.concepts}
            return own.where(lambda s: s[0] in both), other.where(lambda s: s[0] in both)
        asked = self.judged(split).where(self.touches)
        trained = self._folder.splits(asked) == SPLITS.index("train")
        if self._trained and trained.any():
            asked = asked.take(np.flatnonzero(trained))
        kept = self.judged(split).where(lambda shown: not self.touches(shown))
        return asked, kept.take(np.flatnonzero(self._folder.of_asked_concepts(kept)))

    def describe(self) -> dict:
        judged = self.judged("test").where(self.touches)
        return {
            "data": "folder",
            "forget": [self._folder.request.text],
            "forget_languages": [],  # the language of a folder's captions is unknown
            "forget_pairs": len(self.forget),
            "retain_pairs": self._folder.sizes("train")[1],
            "read_pairs": {"forget": len(self.forget), "retain": len(self.retain)},
            "judged_pairs": len(judged),
            "world": {**self.world.spec.as_dict(), "path": None, "content": self._folder.content},
        }


def _some(rng: np.random.Generator, rows: np.ndarray, most: int) -> np.ndarray:
    """Draw at most `most` rows without replacement, in their order."""
    if len(rows) <= most:
        return rows
    return np.sort(rng.choice(rows, size=most, replace=False))
