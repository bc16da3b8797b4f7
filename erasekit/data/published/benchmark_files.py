"""Read the parquet files of published benchmarks of multimodal language models."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from erasekit.data.arrow_files import arrow
from erasekit.data.picture_files import decode, opened
from erasekit.data.question_list import Question, Questions
from erasekit.errors import RunError, UsageError, reason, unknown
from erasekit.extras import needed

if TYPE_CHECKING:
    from PIL import Image

_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Benchmark:
    """A published benchmark and how to read it.

    Attributes:
        repository: repository on the Hugging Face hub.
        percents: published forget sets, in percent of the people.
        subsets: published folders with questions.
        folders: maps a percentage to the folders of each part: forget, test, retain and real.
        beside: maps a part to another part whose folders identify its people.
        read: maps the data set's folder, the folders of all parts and a part to its questions.
    """

    repository: str
    percents: tuple[int, ...]
    subsets: tuple[str, ...]
    folders: Callable[[int], dict[str, tuple[str, ...]]]
    beside: Mapping[str, str]
    read: Callable[[Path, Mapping[str, tuple[str, ...]], str], Questions]


@dataclass
class Pictures:
    """Encoded pictures, each decoded to RGB on access.

    Attributes:
        contents: encoded bytes of each picture.
        places: source file and row of each picture, for error messages.
    """

    contents: list[bytes] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.contents)

    def __getitem__(self, index: int) -> Image.Image:
        """Return the picture at a position, mode RGB.

        Raises:
            RunError: when the picture is damaged.
        """
        content, place = self.contents[index], self.places[index]
        try:
            return decode(content)
        except ValueError as error:
            raise _unreadable(place, error) from error

    def add(self, picture: Any, place: str) -> int:
        """Add one cell of an image column and return its position.

        Uses only the bytes: a path in untrusted data could point anywhere. Reads the header
        now, so that files of another kind are detected before a run starts.

        Raises:
            RunError: when the cell has no bytes, or they are not a picture.
        """
        content = picture.get("bytes") if isinstance(picture, dict) else None
        if not isinstance(content, bytes) or not content:
            raise RunError(f"{place}: there are no bytes of a picture")
        try:
            with opened(io.BytesIO(content)):
                pass
        except ValueError as error:
            raise _unreadable(place, error) from error
        self.contents.append(content)
        self.places.append(place)
        return len(self.contents) - 1


def _unreadable(place: str, error: ValueError) -> RunError:
    return RunError(f"{place}: the picture cannot be read: {error}")


def fetched(repository: str, folders: Sequence[str]) -> Path:
    """Download folders of a data set into the Hugging Face cache and return the path."""
    hub = needed("huggingface_hub", "mllm", "fetching a benchmark")
    patterns = [f"{each}/*.parquet" for each in folders]
    try:
        return Path(hub.snapshot_download(repository, repo_type="dataset", allow_patterns=patterns))
    except Exception as error:  # no network, unknown data set, full disk: many kinds
        raise RunError(
            f"cannot fetch {repository} from the Hugging Face hub: {reason(error)}"
        ) from error


def joined(parts: Sequence[Questions]) -> Questions:
    """Concatenate several subsets."""
    if len(parts) == 1:
        return parts[0]
    items: list[Question] = []
    pictures = Pictures()
    for part in parts:
        before = len(pictures)
        pictures.contents += part.images.contents
        pictures.places += part.images.places
        for q in part:
            image = None if q.image is None else q.image + before
            items.append(Question(q.text, q.answer, q.kind, q.about, image, q.choices))
    return Questions(tuple(items), pictures)


def rows_of(
    folder: Path, benchmark: Benchmark, subset: str, columns: Sequence[tuple[str, ...]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row of a subset with its place: the file, and the row counted from 0.

    `columns` lists alternative names per column; the first one that a file has is read.
    """
    repository, known = benchmark.repository, benchmark.subsets
    if subset not in known:
        raise unknown(f"subset of {repository}", subset, known)
    pa = arrow("mllm")
    if not Path(folder).is_dir():
        raise UsageError(f"{folder} is not a folder: give the one that {repository} is in")
    if not (Path(folder) / subset).is_dir():
        there = [each.name for each in sorted(Path(folder).iterdir()) if each.name in known]
        hint = f"Get it from the data set {repository}"
        raise unknown(f"subset in {folder}", subset, there or ["none"], hint)
    files = sorted((Path(folder) / subset).glob("*.parquet"))
    if not files:
        raise UsageError(f"{Path(folder) / subset} has no parquet file")
    for file in files:
        row = 0
        try:
            with file.open("rb") as opened, pa.parquet.ParquetFile(opened) as table:
                chosen = _chosen(file, table.schema_arrow.names, columns)
                for batch in table.iter_batches(_ROWS_AT_ONCE, columns=chosen):
                    for line in batch.to_pylist():
                        yield f"{file}, row {row}", line
                        row += 1
        # Invalid UTF-8 is detected only at the conversion to str.
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise RunError(f"{file} is damaged: {_said(file, error)}") from error


def _chosen(file: Path, there: Sequence[str], columns: Sequence[tuple[str, ...]]) -> list[str]:
    chosen = []
    for names in columns:
        found = [name for name in names if name in there]
        if not found:
            raise RunError(f"{file} has no column '{names[0]}'; it has {', '.join(there)}")
        chosen.append(found[0])
    return chosen


def _said(file: Path, error: Exception) -> str:
    """Describe the problem with a file in one line."""
    try:
        with file.open("rb") as opened:
            if opened.read(40).startswith(b"version https://git-lfs"):
                return "it stands for a file that Git LFS has not fetched; run `git lfs pull`"
    except OSError:
        pass
    return reason(error)


def field_of(entry: Any, key: str, place: str) -> Any:
    """Return a required field of a published entry."""
    if not isinstance(entry, dict) or key not in entry:
        raise RunError(f"{place}: there is no field '{key}'")
    return entry[key]


def text_of(entry: Any, key: str, place: str) -> str:
    """Return the non-empty text of a required field."""
    told = field_of(entry, key, place)
    if not isinstance(told, str) or not told.strip():
        raise RunError(f"{place}: '{key}' is empty")
    return told
