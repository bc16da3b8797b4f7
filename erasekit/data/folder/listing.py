"""A finite list of a user's own pairs, whose texts and pixels stay on the disk.

What is held in memory is a few numbers a row. Captions and paths lie in Arrow files in the
cache: some are looked up where the file is mapped for as long as it takes, all are read batch by
batch, so that what was mapped does not add up. A picture is decoded when its pixels are asked for.
`erasekit.data.folder.check` makes such lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from erasekit.cache import MANIFEST
from erasekit.data.arrow_files import arrow, batches, looked_up, numbers
from erasekit.data.folder.forms import FORMS
from erasekit.data.folder.spots import Spot, content
from erasekit.data.picture_files import cut_square, decode, in_threads
from erasekit.data.worlds import SPLITS
from erasekit.errors import RunError, UsageError, reason
from erasekit.files import read_json, sha256_json
from erasekit.text import composed, folded, shown

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Coded:
    """A column of names, each row's as a number.

    Attributes:
        names: each name once.
        codes: whole numbers, shape (n,): each row's position in `names`, −1 where it has none.
    """

    names: tuple[str, ...]
    codes: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> str | None:
        code = int(self.codes[row])
        return None if code < 0 else self.names[code]


class Listing:
    """All rows of a folder as the cache holds them, shared by every view of it.

    Args:
        folder: whose paths the list tells.
        read: the cache entry with the rows and the pictures.
        checked: the cache entry with what was found of them: which rows are kept, their
            splits, and which pictures have the same content.
    """

    def __init__(self, folder: Path, read: Path, checked: Path) -> None:
        self.folder = folder
        about = read_json(read / "about.json")
        self.form: str = about["form"]
        self.tables: list[str] = about["tables"]
        self.names: dict[str, tuple[str, ...]] = {
            key: tuple(about[key]) for key in ("concept", "group")
        }
        self.rows, self.pictures = read / "rows.arrow", read / "pictures.arrow"
        self.kept: np.ndarray = np.load(checked / "kept.npy")
        self.splits: np.ndarray = np.load(checked / "splits.npy")
        self.contents: np.ndarray = np.load(checked / "contents.npy")
        self.hashes: np.ndarray = np.load(checked / "hashes.npy")
        #: The sha256 of rows, pictures and what was found of them.
        self.identity = sha256_json([read_json(e / MANIFEST)["files"] for e in (read, checked)])

    def captions(self, rows: Sequence[int] | np.ndarray) -> list[str]:
        """What the captions of rows say, in that order."""
        return [caption for (caption,) in looked_up(self.rows, ("caption",), rows)]

    def spots(self, pictures: Sequence[int] | np.ndarray) -> list[Spot]:
        """Where pictures lie, in that order."""
        return [Spot(*told) for told in looked_up(self.pictures, Spot._fields, pictures)]

    def paths(self, pictures: Sequence[int] | np.ndarray) -> list[str]:
        """The paths of pictures in the folder, in that order."""
        return [spot.path for spot in self.spots(pictures)]

    def line(self, row: int) -> int:
        """The line or the number that a row has where it comes from."""
        ((line,),) = looked_up(self.rows, ("line",), [row])
        return line

    @cached_property
    def picture(self) -> np.ndarray:
        """Each row's picture: int32, shape (rows,)."""
        return numbers(self.rows, "picture")

    @cached_property
    def concept(self) -> np.ndarray:
        """Each row's concept, −1 where none is told: int32, shape (rows,)."""
        return numbers(self.rows, "concept")

    @cached_property
    def group(self) -> np.ndarray:
        """Each row's group, −1 where none is told: int32, shape (rows,)."""
        return numbers(self.rows, "group")


@dataclass(frozen=True)
class FolderPairs:
    """A finite list of pairs of a picture and a caption, or a view of one.

    Rows are counted from 0 in each view. Two views of a folder share everything but `rows`.

    Attributes:
        listing: the whole folder.
        rows: int32, shape (n,): which rows of it are here, in this order.
    """

    listing: Listing
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Sequence[int] | np.ndarray) -> FolderPairs:
        """The pairs at `indices`, in that order."""
        return FolderPairs(self.listing, self.rows[np.asarray(indices, dtype=np.int64)])

    def where(self, mask: np.ndarray) -> FolderPairs:
        """The pairs at which a boolean mask, shape (n,), is true.

        Raises:
            UsageError: when the mask is of another length.
        """
        mask = np.asarray(mask, dtype=bool)
        if mask.shape != self.rows.shape:
            raise UsageError(f"the mask has shape {mask.shape}, and there are {len(self)} pairs")
        return FolderPairs(self.listing, self.rows[mask])

    @cached_property
    def concept(self) -> Coded:
        """What is told to be on the picture."""
        return Coded(self.listing.names["concept"], self.listing.concept[self.rows])

    @cached_property
    def group(self) -> Coded:
        """The group that the concept is told to belong to."""
        return Coded(self.listing.names["group"], self.listing.group[self.rows])

    @cached_property
    def split(self) -> Coded:
        """`SPLITS`: the same for all rows of a picture."""
        return Coded(SPLITS, self.listing.splits[self.rows])

    @cached_property
    def picture(self) -> np.ndarray:
        """int32, shape (n,): a number for each picture, the same in every row that shows it.

        Files of the same pixels count as one picture, if the folder was read with all checks.
        """
        return self.listing.contents[self.files]

    def caption(self, row: int) -> str:
        """The caption of a row, as it was told."""
        return self.captions([row])[0]

    def captions(self, indices: Sequence[int] | np.ndarray) -> list[str]:
        """The captions at `indices`, in that order."""
        return self.listing.captions(self.rows[np.asarray(indices, dtype=np.int64)])

    def path(self, row: int) -> str:
        """The path of a row's picture in the folder; in a shard, of the shard and in it."""
        return self.listing.spots([self.files[row]])[0].path

    def row(self, row: int) -> str:
        """Where a row comes from, in words: a line of the table, a file, a key of a shard."""
        line = self.listing.line(int(self.rows[row]))
        return FORMS[self.listing.form].place(self.listing.tables, line, self.path(row))

    def matches(self, pattern: str, *, ignore_case: bool = False, fold: bool = False) -> np.ndarray:
        """Which captions a regular expression is found in: bool, shape (n,).

        Captions are compared in Unicode's composed form; with `fold`, without upper case too.

        The syntax is RE2's, which takes linear time whatever the pattern, so that none can hang;
        it has no look-around and no back-references.

        Raises:
            UsageError: when the pattern is not of that syntax.
        """
        pa = arrow()
        found = []
        try:
            for part in batches(self.listing.rows, ("caption",)):
                texts = pa.compute.utf8_normalize(part.column(0), "NFC")
                if fold:
                    texts = pa.array([folded(text) for text in texts.to_pylist()])
                hits = pa.compute.match_substring_regex(texts, pattern, ignore_case=ignore_case)
                found.append(hits.to_numpy(zero_copy_only=False))
        except pa.ArrowInvalid as error:
            said = str(error).splitlines()[0].partition(": ")[2]
            raise UsageError(
                f"regex={shown(pattern)} is not understood ({said}): it takes RE2's syntax, "
                "without look-around and back-references"
            ) from error
        return np.concatenate(found)[self.rows]

    def at_paths(self, paths: Iterable[str]) -> tuple[np.ndarray, list[str]]:
        """Which rows show a file of `paths`: bool, shape (n,); and the paths that none has.

        Paths are compared in Unicode's composed form.
        """
        pa = arrow()
        asked = list(paths)
        wanted = pa.array(list(map(composed, asked)), pa.large_string())
        found = []
        for part in batches(self.listing.pictures, ("path",)):
            known = pa.compute.utf8_normalize(part.column(0), "NFC").cast(pa.large_string())
            found.append(pa.compute.is_in(known, value_set=wanted).to_numpy(zero_copy_only=False))
        chosen = np.concatenate(found)
        here = np.zeros(len(chosen), dtype=bool)
        here[self.files] = True
        spots = self.listing.spots(np.flatnonzero(chosen & here))
        there = {composed(spot.path) for spot in spots}
        return chosen[self.files], [path for path in asked if composed(path) not in there]

    def near_paths(self, path: str, most: int = 1000) -> list[str]:
        """Some paths of the listing: those with the name of `path`, or else from its folder."""
        compute = arrow().compute
        folder, slash, name = path.rpartition("/")
        for matches, told in (
            (compute.ends_with, f"/{name}"),
            (compute.starts_with, folder + slash),
        ):
            found: list[str] = []
            for part in batches(self.listing.pictures, ("path",)):
                known = part.column(0)
                found += known.filter(matches(known, told)).to_pylist()[: most - len(found)]
            if found:
                return found
        return []

    def pixels(self, indices: Sequence[int] | np.ndarray, size: int) -> Tensor:
        """The pictures at `indices` as CLIP sees them before it normalises.

        The shorter side is resized to `size` by bicubic interpolation, then the centre is cut out.

        Returns:
            uint8, shape (n, 3, size, size), RGB.

        Raises:
            RunError: when a picture cannot be read any more; names its row and file.
        """
        import torch

        rows = np.asarray(indices, dtype=np.int64)
        out = np.empty((len(rows), 3, size, size), dtype=np.uint8)
        spots = self.listing.spots(self.files[rows])

        def fill(at: int) -> None:
            spot = spots[at]
            try:
                out[at] = cut_square(decode(content(self.listing.folder, spot)), size)
            except (OSError, ValueError) as error:
                raise RunError(
                    f"{self.row(int(rows[at]))}: {shown(spot.path)} cannot be read: {reason(error)}"
                ) from error

        for _ in in_threads(fill, range(len(rows))):
            pass
        return torch.from_numpy(out)

    @cached_property
    def files(self) -> np.ndarray:
        """int32, shape (n,): each row's picture file; copies are files of their own."""
        return self.listing.picture[self.rows]
