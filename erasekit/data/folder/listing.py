"""A finite list of a user's own pairs; texts and pixels stay on the disk.

Memory holds only a few numbers per row. Captions and paths are in Arrow files in the cache, which
are mapped only for short look-ups or read batch by batch, so that mapped pages do not accumulate.
A picture is decoded when its pixels are needed. `erasekit.data.folder.check` creates such lists.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from erasekit.cache import MANIFEST
from erasekit.data.arrow_files import arrow, batches, looked_up, numbers, texts
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
    """A column of names, encoded as integers.

    Attributes:
        names: the distinct names.
        codes: integers, shape (n,): position of each row in `names`, −1 for none.
    """

    names: tuple[str, ...]
    codes: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> str | None:
        code = int(self.codes[row])
        return None if code < 0 else self.names[code]


class Listing:
    """All rows of a folder in the cache, shared by every view of it.

    Args:
        folder: folder to which the paths are relative.
        read: cache entry with the rows and the pictures.
        checked: cache entry with the results of the checks: kept rows, their splits, and
            pictures with the same content.
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
        #: The sha256 of rows, pictures and results of the checks.
        self.identity = sha256_json([read_json(e / MANIFEST)["files"] for e in (read, checked)])

    def captions(self, rows: Sequence[int] | np.ndarray) -> list[str]:
        """Return the captions of rows, in that order."""
        return [caption for (caption,) in looked_up(self.rows, ("caption",), rows)]

    def spots(self, pictures: Sequence[int] | np.ndarray) -> list[Spot]:
        """Return the locations of pictures, in that order."""
        return [Spot(*told) for told in looked_up(self.pictures, Spot._fields, pictures)]

    def paths(self, pictures: Sequence[int] | np.ndarray) -> list[str]:
        """Return the paths of pictures in the folder, in that order."""
        return [spot.path for spot in self.spots(pictures)]

    def line(self, row: int) -> int:
        """Return a row's line or number in its source."""
        ((line,),) = looked_up(self.rows, ("line",), [row])
        return line

    @cached_property
    def picture(self) -> np.ndarray:
        """Picture of each row: int32, shape (rows,)."""
        return numbers(self.rows, "picture")

    @cached_property
    def concept(self) -> np.ndarray:
        """Concept of each row, −1 for none: int32, shape (rows,)."""
        return numbers(self.rows, "concept")

    @cached_property
    def group(self) -> np.ndarray:
        """Group of each row, −1 for none: int32, shape (rows,)."""
        return numbers(self.rows, "group")


@dataclass(frozen=True)
class FolderPairs:
    """A finite list of pairs of a picture and a caption, or a view of one.

    Each view counts its rows from 0. Views of the same folder share everything except `rows`.

    Attributes:
        listing: the whole folder.
        rows: int32, shape (n,): the view's rows of the folder, in order.
    """

    listing: Listing
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Sequence[int] | np.ndarray) -> FolderPairs:
        """Return the pairs at `indices`, in that order."""
        return FolderPairs(self.listing, self.rows[np.asarray(indices, dtype=np.int64)])

    def where(self, mask: np.ndarray) -> FolderPairs:
        """Return the pairs where a boolean mask, shape (n,), is true.

        Raises:
            UsageError: when the mask has another length.
        """
        mask = np.asarray(mask, dtype=bool)
        if mask.shape != self.rows.shape:
            raise UsageError(f"the mask has shape {mask.shape}, and there are {len(self)} pairs")
        return FolderPairs(self.listing, self.rows[mask])

    @cached_property
    def concept(self) -> Coded:
        """The concept that a row assigns to its picture."""
        return Coded(self.listing.names["concept"], self.listing.concept[self.rows])

    @cached_property
    def group(self) -> Coded:
        """The group that a row assigns to its concept."""
        return Coded(self.listing.names["group"], self.listing.group[self.rows])

    @cached_property
    def split(self) -> Coded:
        """The split, one of `SPLITS`: the same for all rows of a picture."""
        return Coded(SPLITS, self.listing.splits[self.rows])

    @cached_property
    def picture(self) -> np.ndarray:
        """Number of each row's picture: int32, shape (n,).

        Files with the same pixels are one picture, if the folder was read with all checks.
        """
        return self.listing.contents[self.files]

    def caption(self, row: int) -> str:
        """Return the caption of a row, unchanged."""
        return self.captions([row])[0]

    def captions(self, indices: Sequence[int] | np.ndarray) -> list[str]:
        """Return the captions at `indices`, in that order."""
        return self.listing.captions(self.rows[np.asarray(indices, dtype=np.int64)])

    def path(self, row: int) -> str:
        """Return the path of a row's picture; in a shard, the shard's path and the member's."""
        return self.listing.spots([self.files[row]])[0].path

    def row(self, row: int) -> str:
        """Describe the source of a row: a line of the table, a file, or a key of a shard."""
        line = self.listing.line(int(self.rows[row]))
        return FORMS[self.listing.form].place(self.listing.tables, line, self.path(row))

    def matches(self, pattern: str, *, ignore_case: bool = False, fold: bool = False) -> np.ndarray:
        """Whether a regular expression matches in each caption: bool, shape (n,).

        Captions are compared in Unicode's composed form; with `fold`, also case-folded.

        The syntax is RE2's, which runs in linear time for any pattern; it has no look-around
        and no back-references.

        Raises:
            UsageError: when the pattern is invalid.
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
        """Whether each row shows a file in `paths`: bool, shape (n,); and the unmatched paths.

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

    def ending_in(self, ends: Sequence[str]) -> dict[str, list[str]]:
        """Map each of some file names, or ends of paths, to the paths in the folder that end so.

        Paths of pictures with a problem are included: they may be meant too. Paths are compared
        in Unicode's composed form.
        """
        found, wanted = {end: list[str]() for end in ends}, defaultdict(list)
        for end in ends:
            wanted[composed(posixpath.basename(end))].append(end)
        for path in texts(self.listing.pictures, "path"):
            for end in wanted.get(composed(posixpath.basename(path)), ()):
                if f"/{composed(path)}".endswith(f"/{composed(end)}"):
                    found[end].append(path)
        return found

    def near_paths(self, path: str, most: int = 1000) -> list[str]:
        """Return some paths with the file name of `path`, or else from its folder."""
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
        """Return the pictures at `indices`, preprocessed as for CLIP except normalisation.

        The shorter side is resized to `size` by bicubic interpolation, then the centre is cropped.

        Returns:
            RGB pictures, uint8, shape (n, 3, size, size).

        Raises:
            RunError: when a picture is no longer readable; names its row and file.
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
        """Number of each row's picture file: int32, shape (n,); copies have different numbers."""
        return self.listing.picture[self.rows]
