"""A finite list of a user's own pairs, whose texts and pixels stay on the disk.

What is held in memory is a few numbers a row. Captions and paths lie in Arrow files in the
cache: some are looked up where the file is mapped for as long as it takes, all are read batch by
batch, so that what was mapped does not add up. A picture is decoded when its pixels are asked for.
`erasekit.data.folder.check` makes such lists.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from erasekit.cache import MANIFEST
from erasekit.errors import RunError, UsageError
from erasekit.files import read_json, sha256_json

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

#: The parts of a list, by their codes.
SPLITS = ("train", "validation", "test")
#: Rows of a batch in the Arrow files: only the last one of a file may have fewer.
BATCH = 16_384
# Rows that are looked up before a file is mapped anew: each holds some pages in memory.
_LOOKED_UP = 64
#: Formats that PIL decodes by itself; others, such as EPS, start further programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")

_MOST_PIXELS = 50_000_000
_MOST_BYTES = 200_000_000
_LONGEST = 16  # times as long as short
_THREADS = min(8, os.cpu_count() or 1)

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Spot(NamedTuple):
    """Where a picture's bytes lie: a file of its own, or a piece of a shard."""

    path: str  #: relative to the folder; in a shard the shard's path, a slash, the member's name
    offset: int = -1  #: in the shard; −1 for a file of its own
    length: int = 0


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
        self.table: str = about["table"]
        self.names: dict[str, tuple[str, ...]] = {
            key: tuple(about[key]) for key in ("concept", "group")
        }
        self.rows, self.pictures = read / "rows.arrow", read / "pictures.arrow"
        self.kept: np.ndarray = np.load(checked / "kept.npy")
        self.splits: np.ndarray = np.load(checked / "splits.npy")
        self.contents: np.ndarray = np.load(checked / "contents.npy")
        #: The sha256 of rows, pictures and what was found of them.
        self.identity = sha256_json([read_json(e / MANIFEST)["files"] for e in (read, checked)])

    def captions(self, rows: Sequence[int] | np.ndarray) -> list[str]:
        """What the captions of rows say, in that order."""
        return [caption for (caption,) in looked_up(self.rows, ("caption",), rows)]

    def spots(self, pictures: Sequence[int] | np.ndarray) -> list[Spot]:
        """Where pictures lie, in that order."""
        return [Spot(*told) for told in looked_up(self.pictures, Spot._fields, pictures)]

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

        Files of the same content count as one picture, if the folder was read with all checks.
        """
        return self.listing.contents[self._pictures]

    def caption(self, row: int) -> str:
        """The caption of a row, as it was told."""
        return self.captions([row])[0]

    def captions(self, indices: Sequence[int] | np.ndarray) -> list[str]:
        """The captions at `indices`, in that order."""
        return self.listing.captions(self.rows[np.asarray(indices, dtype=np.int64)])

    def path(self, row: int) -> str:
        """The path of a row's picture in the folder; in a shard, of the shard and in it."""
        return self.listing.spots([self._pictures[row]])[0].path

    def row(self, row: int) -> str:
        """Where a row comes from, in words: a line of the table, a file, a key of a shard."""
        line = self.listing.line(int(self.rows[row]))
        return place(self.listing.form, self.listing.table, line, self.path(row))

    def matches(self, pattern: str, *, ignore_case: bool = False) -> np.ndarray:
        """Which captions a regular expression is found in: bool, shape (n,).

        The syntax is RE2's, which takes linear time whatever the pattern, so that none can hang;
        it has no look-around and no back-references.

        Raises:
            UsageError: when the pattern is not of that syntax.
        """
        pa = arrow()
        found = []
        try:
            for part in batches(self.listing.rows, ("caption",)):
                texts = part.column(0)
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
        """Which rows show a file of `paths`: bool, shape (n,); and the paths that none has."""
        pa = arrow()
        wanted = pa.array(list(paths), pa.large_string())
        found = [
            pa.compute.is_in(part.column(0), value_set=wanted).to_numpy(zero_copy_only=False)
            for part in batches(self.listing.pictures, ("path",))
        ]
        chosen = np.concatenate(found)
        here = np.zeros(len(chosen), dtype=bool)
        here[self._pictures] = True
        there = [spot.path for spot in self.listing.spots(np.flatnonzero(chosen & here))]
        known = pa.array(there, pa.large_string())
        missed = wanted.filter(pa.compute.invert(pa.compute.is_in(wanted, value_set=known)))
        return chosen[self._pictures], missed.to_pylist()

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
        spots = self.listing.spots(self._pictures[rows])

        def fill(at: int) -> None:
            spot = spots[at]
            try:
                out[at] = cut_square(decode(content(self.listing.folder, spot)), size)
            except (OSError, ValueError) as error:
                said = reason(error)
                place = self.row(int(rows[at]))
                raise RunError(f"{place}: {shown(spot.path)} cannot be read: {said}") from error

        for _ in in_threads(fill, range(len(rows))):
            pass
        return torch.from_numpy(out)

    @cached_property
    def _pictures(self) -> np.ndarray:
        return self.listing.picture[self.rows]


def place(form: str, table: str, line: int, path: str) -> str:
    """Where a row comes from, in words."""
    if form == "shards":
        shard, member = shard_and_member(path)
        return f"shard {shown(shard)}, key {shown(sample_key(member))}"
    if form == "classes":
        return f"file {shown(path)}"
    return f"{table}, {'row' if form == 'parquet' else 'line'} {line}"


def shard_and_member(path: str) -> tuple[str, str]:
    """The two halves of a path into a shard."""
    shard, _, member = path.partition(".tar/")
    return f"{shard}.tar", member


def sample_key(member: str) -> str:
    """What the files of one sample share: their name up to the first dot."""
    folder, slash, name = member.rpartition("/")
    return folder + slash + name.partition(".")[0]


def shown(text: str) -> str:
    """A text from the data as one harmless line, however it was broken."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:300]
    )


def reason(error: Exception) -> str:
    """What an error says, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return shown((str(error).strip() or type(error).__name__).splitlines()[0])


def content(folder: Path, spot: Spot) -> bytes:
    """A picture's bytes as they are stored.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when it is too large, or the shard is shorter than it was.
    """
    inside = spot.offset >= 0
    name = shard_and_member(spot.path)[0] if inside else spot.path
    with (folder / name).open("rb") as file:
        if inside:
            file.seek(spot.offset)
        held = file.read(min(spot.length, _MOST_BYTES + 1) if inside else _MOST_BYTES + 1)
    if len(held) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
    if inside and len(held) < spot.length:
        raise ValueError("the shard ends before the picture does")
    return held


def opened(file: Path | IO[bytes]) -> Image.Image:
    """A picture whose header has been read, and whose pixels have not.

    Raises:
        ValueError: when it is damaged, of another format, or too large; says which.
    """
    from PIL import Image

    try:
        picture = Image.open(file, formats=FORMATS)
    except Exception as error:  # PIL's decoders raise errors of many kinds
        # PIL's own words for an unknown kind name an address in memory, which tells nobody a thing
        said = "no JPEG, PNG, WebP, GIF or BMP" if "identify" in str(error) else reason(error)
        raise ValueError(said) from error
    width, height = picture.size
    if width * height > _MOST_PIXELS:
        picture.close()
        raise ValueError(f"it is {width} × {height}, more than {_MOST_PIXELS:,} pixels")
    return picture


def decode(held: bytes) -> Image.Image:
    """A picture from its bytes, mode RGB; of a moving one, the first frame.

    Raises:
        ValueError: as `opened`.
    """
    with opened(io.BytesIO(held)) as picture:
        try:
            # Alone, PIL would warn of transparency that goes by the palette.
            by_palette = picture.mode == "P" and "transparency" in picture.info
            return (picture.convert("RGBA") if by_palette else picture).convert("RGB")
        except Exception as error:  # as above
            raise ValueError(reason(error)) from error


def cut_square(picture: Image.Image, size: int) -> np.ndarray:
    """The centre of a picture as CLIP's preprocessing cuts it: uint8, shape (3, size, size)."""
    from PIL import Image

    # Resized as a whole, a very long picture would not fit into memory; nobody sees its ends.
    most = _LONGEST * min(picture.size)
    if max(picture.size) > most:
        picture = _middle(picture, min(picture.width, most), min(picture.height, most))
    # The longer side in whole pixels, as torchvision rounds it.
    short = min(picture.size)
    width, height = (size * side // short for side in picture.size)
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(_middle(resized, size, size)).transpose(2, 0, 1)


def _middle(picture: Image.Image, width: int, height: int) -> Image.Image:
    left, top = round((picture.width - width) / 2), round((picture.height - height) / 2)
    return picture.crop((left, top, left + width, top + height))


def in_threads(do: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """`do` of each item, in order, by a few threads: PIL and the disk let others work."""
    with ThreadPoolExecutor(_THREADS) as threads:
        yield from threads.map(do, items)


def mapped(path: Path) -> Any:
    """The table in an Arrow IPC file, mapped into memory."""
    pa = arrow()
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def looked_up(
    path: Path, columns: Sequence[str], rows: Sequence[int] | np.ndarray
) -> Iterator[tuple]:
    """What some rows of an Arrow IPC file have in columns, row by row in the order given.

    The file is mapped for a few rows at a time: a row touches pages that stay in memory as long
    as the file is mapped.
    """
    for first in range(0, len(rows), _LOOKED_UP):
        table = mapped(path)
        chunks = [table[name].chunks for name in columns]
        for row in rows[first : first + _LOOKED_UP]:
            # Batches are as long as each other, so that a row is found without a search.
            number, at = divmod(int(row), BATCH)
            yield tuple(each[number][at].as_py() for each in chunks)
        del table, chunks


def batches(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Columns of an Arrow IPC file, batch by batch: each is read, and let go again."""
    pa = arrow()
    with pa.OSFile(str(path)) as file:
        schema = pa.ipc.open_file(file).schema
        wanted = [schema.get_field_index(name) for name in columns]
        only = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=wanted))
        for number in range(only.num_record_batches):
            yield only.get_batch(number).select(list(columns))


def numbers(path: Path, name: str) -> np.ndarray:
    """A column of numbers, shape (n,)."""
    table = mapped(path)
    found = np.empty(len(table), dtype=table.schema.field(name).type.to_pandas_dtype())
    at = 0
    for part in batches(path, (name,)):
        found[at : at + len(part)] = part.column(0).to_numpy()
        at += len(part)
    return found


def arrow() -> Any:
    """The package pyarrow, with its parts `compute` and `ipc`.

    Raises:
        UsageError: when it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.ipc
    except ImportError as error:
        raise UsageError(
            "your own data takes the package pyarrow: pip install 'erasekit[data]'"
        ) from error
    return pyarrow
