"""Flickr30K with Karpathy's split, as a folder of pairs.

The pictures are available only on request. The split is the list ``images`` in
``dataset_flickr30k.json``; each entry has ``filename``, ``split`` and ``sentences``, whose ``raw``
is the caption.
"""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from erasekit.data.published.archives import unpack, whole_folder
from erasekit.data.published.common import (
    IMAGES,
    Source,
    check_picture,
    counts_of,
    finish,
    link_or_copy,
    source_line,
    table_of,
    writing,
)
from erasekit.errors import ErasekitError, RunError, UsageError
from erasekit.files import read_json
from erasekit.progress import progress_bar

#: Form to request the pictures.
FLICKR30K_FORM = "https://forms.illinois.edu/sec/229675"
#: The publisher gives no checksum: this one is from TensorFlow Datasets.
KARPATHY = Source(
    "caption_datasets.zip",
    ("https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip",),
    "sha256:4cfd70132527b80933105e5829dc9034eaab9573482e2e680abbab6130244817",
    36_745_453,
)

_KARPATHY_JSON = "dataset_flickr30k.json"
_KARPATHY_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_MOST_JSON = 1 << 30


def make_flickr30k(
    karpathy: Path, images: Path, out: Path, *, progress: bool = True
) -> dict[str, int]:
    """Write Flickr30K as a folder of pairs: one row per caption, with Karpathy's split.

    Pictures are linked where the disk allows it, to save space.

    Args:
        karpathy: ``dataset_flickr30k.json``, or ``caption_datasets.zip`` with it inside.
        images: the pictures, as an archive or a folder, including subfolders.
        out: folder to fill.
        progress: whether to show bars.

    Returns:
        The number of pairs in each split.

    Raises:
        UsageError: when `out` already holds pairs or pictures, an input is missing, or the split
            is for other pictures; without the package pyarrow.
        RunError: when a file is damaged or a picture is missing; when `out` cannot be written.
    """
    for given in (karpathy, images):
        if not Path(given).exists():
            raise UsageError(f"{given} does not exist")
    with writing(out):
        told = _karpathy(karpathy)
        if Path(images).is_dir():
            _take_pictures(Path(images), told, out, progress)
        else:
            with tempfile.TemporaryDirectory(dir=out, prefix=".unpacked.") as aside:
                unpacked = unpack(images, Path(aside) / "all", progress=progress)
                _take_pictures(unpacked, told, out, progress, named=images)
        rows = [
            (f"{IMAGES}/{name}", caption, split)
            for name, split, captions in told
            for caption in captions
        ]
        counts = counts_of(split for *_, split in rows)
        pictures = counts_of(split for _, split, _ in told)
        given = "a folder of pictures" if Path(images).is_dir() else source_line(images)
        card = _CARD.format(
            rows=table_of("pictures | captions", [pictures, counts]),
            karpathy=source_line(karpathy),
            images=given,
            version=version("erasekit"),
        )
        finish(out, ("image", "caption", "split"), rows, card)
    return counts


def _karpathy(path: Path) -> list[tuple[str, str, list[str]]]:
    """Read name, split and captions of each picture."""
    content = _zipped_json(path) if zipfile.is_zipfile(path) else read_json(path)
    entries = content.get("images") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise RunError(f"{path} is not a split by Karpathy: it has no list 'images'")
    if content.get("dataset", "flickr30k") != "flickr30k":
        raise UsageError(f"{path} is the split of {content['dataset']}: give {_KARPATHY_JSON}")
    told: dict[str, tuple[str, str, list[str]]] = {}
    for i, entry in enumerate(entries):
        place = f"{path}, image {i}"
        try:
            name, split = entry["filename"], entry["split"]
            captions = [sentence["raw"].strip() for sentence in entry["sentences"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(
                f"{place}: filename, split and sentences with raw are not there"
            ) from error
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
            raise RunError(f"{place}: {name!r} is not the name of a picture")
        if split not in _KARPATHY_SPLITS:
            raise RunError(f"{place}: the split {split!r} is none of {', '.join(_KARPATHY_SPLITS)}")
        if name in told:
            raise RunError(f"{place}: {name} is there a second time")
        told[name] = name, _KARPATHY_SPLITS[split], [each for each in captions if each]
    return list(told.values())


def _zipped_json(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                there = PurePosixPath(member.filename)
                if there.name != _KARPATHY_JSON or "__MACOSX" in there.parts:
                    continue
                if member.file_size > _MOST_JSON:
                    raise RunError(f"{path}: {there} is larger than {_MOST_JSON:,} bytes")
                return json.loads(archive.read(member))
    except ErasekitError:
        raise
    except Exception as error:  # damaged bytes raise many kinds of errors
        raise RunError(f"{path} is damaged: {error}") from error
    raise RunError(f"{path} has no {_KARPATHY_JSON}")


def _take_pictures(
    folder: Path,
    told: Sequence[tuple[str, str, list[str]]],
    out: Path,
    progress: bool,
    *,
    named: Path | None = None,
) -> None:
    """Put the pictures of the split into `out`; `named` is the user's path, for errors."""
    found = {each.name: each for each in sorted(folder.rglob("*")) if each.is_file()}
    missing = [name for name, *_ in told if name not in found]
    if missing:
        raise RunError(
            f"{named or folder} lacks {len(missing):,} of {len(told):,} pictures, {missing[0]} "
            "among them: give all of flickr30k-images"
        )
    with (
        whole_folder(out / IMAGES) as images,
        progress_bar("Flickr30K", "picture", len(told), show=progress) as bar,
    ):
        for name, *_ in told:
            check_picture(found[name], f"{named or folder}: {name}")
            link_or_copy(found[name], images / name)
            bar.update()


_CARD = """# Dataset card: Flickr30K

Photographs of everyday doings, mostly of people, each described by several people in a sentence.
A row is a caption; the captions of a picture are all in one split.

{rows}

## Source and terms

Pictures and captions: Peter Young, Alice Lai, Micah Hodosh and Julia Hockenmaier, "From image
descriptions to visual denotations", TACL 2014, <https://shannon.cs.illinois.edu/DenotationGraph/>.
The pictures are given out on request, for research and teaching that earn nothing, and fall under
Flickr's terms of use; the rights in them are their photographers'. Do not pass them on.

Split: Andrej Karpathy and Li Fei-Fei, "Deep Visual-Semantic Alignments for Generating Image
Descriptions", CVPR 2015, <https://cs.stanford.edu/people/karpathy/deepimagesent/>.

## How it was made

By `data_scripts/get_flickr30k.py` of erasekit {version}. The pictures are the published files.
Captions are the published sentences as they were written, without blanks at their ends; an empty
one is left out. `validation` is what Karpathy calls val.

## Limits

People are shown who were not asked. Captions guess at what cannot be seen, such as kinship, origin
and mood, and guess as their writers' surroundings do.

## Checksums

- split: {karpathy}
- pictures: {images}
"""
