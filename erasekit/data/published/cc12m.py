"""Conceptual 12M as a folder of webdataset shards.

Google publishes only addresses and captions. Others have downloaded the pictures with
img2dataset, which writes the shards: ``shards/*.tar`` with ``KEY.jpg``, ``KEY.txt`` and
``KEY.json``. The shards are kept unchanged and listed in ``shards.csv``.
"""

from __future__ import annotations

import csv
import io
import re
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from erasekit.data.published.archives import check_end
from erasekit.data.published.common import CARD, at_mirrors, check_picture, link_or_copy, writing
from erasekit.data.published.download import download
from erasekit.errors import ErasekitError, RunError, UsageError, reason
from erasekit.files import sha256_file, write_text
from erasekit.progress import progress_bar

#: Folder of the shards, and the file that lists them.
SHARDS, INDEX = "shards", "shards.csv"
#: Conceptual 12M as downloaded by Hugging Face's pixparse in 2023.
CC12M = (
    "https://huggingface.co/datasets/pixparse/cc12m-wds/resolve/main/cc12m-train-{0000..2175}.tar"
)


@dataclass(frozen=True)
class Shard:
    """A shard: its name, number of pairs, size and SHA-256."""

    shard: str
    pairs: int
    bytes: int
    sha256: str


def fetch_cc12m(
    pattern: str,
    out: Path,
    *,
    mirrors: Sequence[str] = (),
    sums: Mapping[str, tuple[str, int | None]] | None = None,
    most: int | None = None,
    progress: bool = True,
) -> tuple[Shard, ...]:
    """Download shards one after another; each is listed as soon as it is complete.

    A further call resumes: it skips shards that are listed and have the listed size.

    Args:
        pattern: address of the shards, with a range of numbers such as ``{0000..2175}``.
        out: folder to fill.
        mirrors: addresses of folders to try first.
        sums: checksum (``sha256:HEX``) and size of each shard; see `hub_sums` and `read_sums`.
        most: download only the first `most` shards.
        progress: whether to show bars.

    Raises:
        UsageError: for an invalid pattern or number.
        RunError: when a shard is unavailable or damaged. Earlier shards are kept.
    """
    urls = _first(shard_urls(pattern), most)
    listed: tuple[Shard, ...] = ()
    with progress_bar("shards", "shard", len(urls), show=progress) as bar:
        for url in urls:
            name = _shard_name(url)
            if sums and name not in sums:
                raise UsageError(f"there is no checksum of {name} among those of the others")
            if not _is_there(out, _read_index(out).get(name)):
                checksum, size = (sums or {}).get(name, (None, None))
                download(
                    [*at_mirrors(mirrors, name), url],
                    out / SHARDS / name,
                    checksum=checksum,
                    size=size,
                    progress=progress,
                )
                listed = index_cc12m(out, progress=False)
            bar.update()
    return listed or index_cc12m(out, progress=progress)


def take_cc12m(
    folder: Path, out: Path, *, most: int | None = None, progress: bool = True
) -> tuple[Shard, ...]:
    """Import shards from a local folder, linked where the disk allows it, and list them.

    Raises:
        UsageError: when the folder has no shards.
        RunError: when a shard is damaged or cannot be copied.
    """
    if not Path(folder).is_dir():
        raise UsageError(f"{folder} is not a folder of shards, and no address either")
    files = _first(sorted(Path(folder).glob("*.tar")), most)
    if not files:
        raise UsageError(f"{folder} has no shards: they are called *.tar")
    with writing(out, new=False):
        (out / SHARDS).mkdir(exist_ok=True)
        for file in files:
            if not (out / SHARDS / file.name).exists():
                link_or_copy(file, out / SHARDS / file.name)
    return index_cc12m(out, progress=progress)


def index_cc12m(out: Path, *, progress: bool = True) -> tuple[Shard, ...]:
    """List the shards in ``out/shards`` and write ``shards.csv`` and the card.

    Each shard is read once to count its pairs, and its first picture is opened. Shards that are
    listed with their current size are not read again.

    Raises:
        UsageError: when there are no shards.
        RunError: when a shard is damaged or empty; when the list cannot be written.
    """
    files = sorted((out / SHARDS).glob("*.tar"))
    if not files:
        raise UsageError(f"{out / SHARDS} has no shards: they are called *.tar")
    listed = {name: each for name, each in _read_index(out).items() if _is_there(out, each)}
    with writing(out, new=False), progress_bar(INDEX, "shard", len(files), show=progress) as bar:
        for file in files:
            if file.name not in listed:
                pairs = _count_pairs(file)
                size = file.stat().st_size
                listed[file.name] = Shard(file.name, pairs, size, sha256_file(file))
                # Written after each shard, since listing thousands of shards takes an hour.
                _write_index(out, listed)
            bar.update()
        _write_index(out, listed)
        card = _CARD.format(
            shards=len(listed),
            pairs=sum(each.pairs for each in listed.values()),
            bytes=sum(each.bytes for each in listed.values()),
            version=version("erasekit"),
        )
        write_text(out / CARD, card)
    return tuple(listed[file.name] for file in files)


def _write_index(out: Path, listed: Mapping[str, Shard]) -> None:
    told = io.StringIO()
    table = csv.DictWriter(told, ["shard", "pairs", "bytes", "sha256"], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(listed[name]) for name in sorted(listed))
    write_text(out / INDEX, told.getvalue())


def _read_index(out: Path) -> dict[str, Shard]:
    """Read the list of shards; empty if it is missing or unreadable."""
    try:
        rows = csv.DictReader(io.StringIO((out / INDEX).read_text(encoding="utf-8")))
        shards = [Shard(r["shard"], int(r["pairs"]), int(r["bytes"]), r["sha256"]) for r in rows]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return {}
    return {each.shard: each for each in shards}


def _is_there(out: Path, shard: Shard | None) -> bool:
    """Whether a listed shard exists with the listed size."""
    if shard is None:
        return False
    file = out / SHARDS / shard.shard
    return file.is_file() and file.stat().st_size == shard.bytes


def _count_pairs(file: Path) -> int:
    """Count the keys of a shard that have a picture and a caption."""
    members: dict[str, dict[str, tarfile.TarInfo]] = {}
    try:
        with file.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:") as opened:
            for member in opened:
                there = PurePosixPath(member.name)
                key, _, kind = there.name.partition(".")
                if member.isfile():
                    members.setdefault(f"{there.parent}/{key}", {})[kind] = member
            pairs = [each for each in members.values() if {"jpg", "txt"} <= each.keys()]
            if not pairs:
                raise RunError(
                    f"{file} has no pairs of KEY.jpg and KEY.txt: it is not such a shard"
                )
            picture, caption = (opened.extractfile(pairs[0][kind]) for kind in ("jpg", "txt"))
            assert picture is not None and caption is not None  # both are regular files
            check_picture(picture, f"{file}: {pairs[0]['jpg'].name}")
            caption.read().decode("utf-8")
            check_end(raw)
    except ErasekitError:
        raise
    except Exception as error:  # damaged bytes raise many kinds of errors
        raise RunError(
            f"{file} is damaged: {reason(error)}. Remove it to download it again"
        ) from error
    return len(pairs)


def shard_urls(pattern: str) -> list[str]:
    """Expand a pattern such as ``https://.../{0000..2175}.tar`` to addresses.

    Raises:
        UsageError: when a range is reversed, or two shards would have the same name.
    """
    found = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if found is None:
        _shard_name(pattern)
        return [pattern]
    first, last = found[1], found[2]
    if int(first) > int(last):
        raise UsageError(f"{found[0]} runs backwards: write {{{last}..{first}}}")
    numbers = [f"{i:0{len(first)}}" for i in range(int(first), int(last) + 1)]
    urls = [
        url
        for number in numbers
        for url in shard_urls(pattern[: found.start()] + number + pattern[found.end() :])
    ]
    if len({_shard_name(url) for url in urls}) < len(urls):
        raise UsageError(f"'{pattern}' gives two shards one name: put the range into the name")
    return urls


def _shard_name(url: str) -> str:
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    if not re.fullmatch(r"\w[\w.-]*\.tar", name):
        raise UsageError(f"'{url}' is not the address of a shard: it ends with NAME.tar")
    return name


def _first(shards: list[Any], most: int | None) -> list[Any]:
    if most is not None and most < 1:
        raise UsageError(f"most = {most}: take one shard at least")
    return shards[:most]


def read_sums(file: Path) -> dict[str, tuple[str, int | None]]:
    """Read checksums by name from a file in the format of ``sha256sum``.

    Raises:
        UsageError: when the file is missing, or a line has another format.
    """
    sums: dict[str, tuple[str, int | None]] = {}
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the checksums {file}: {reason(error)}") from error
    for number, line in enumerate(filter(str.strip, lines), 1):
        found = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line.strip())
        if found is None:
            raise UsageError(f"{file}, line {number}: write 64 hexadecimal digits and a name")
        sums[PurePosixPath(found[2]).name] = f"sha256:{found[1].lower()}", None
    return sums


def hub_sums(pattern: str) -> dict[str, tuple[str, int | None]]:
    """Return checksum and size of each shard from the Hugging Face hub; empty for other hosts.

    If the list is unavailable, a line on standard error says so: shards are then downloaded
    with only their length checked.
    """
    found = re.match(r"https://huggingface\.co/datasets/([^/]+/[^/]+)/resolve/([^/]+)/", pattern)
    if found is None:
        return {}
    try:
        from huggingface_hub import HfApi

        tree = HfApi().list_repo_tree(found[1], repo_type="dataset", revision=found[2])
        return {
            PurePosixPath(each.path).name: (f"sha256:{lfs.sha256}", lfs.size)
            for each in tree
            if (lfs := getattr(each, "lfs", None)) is not None
        }
    except Exception as error:  # no network, unknown data set: many kinds
        print(f"note: {found[1]} does not tell its checksums: {reason(error)}", file=sys.stderr)
        return {}


_CARD = """# Dataset card: Conceptual 12M

Pictures from the web, each with the text that stood beside it there.

| shards | pairs | bytes |
| --- | --- | --- |
| {shards:,} | {pairs:,} | {bytes:,} |

## Source and terms

Soravit Changpinyo, Piyush Sharma, Nan Ding and Radu Soricut, "Conceptual 12M: Pushing Web-Scale
Image-Text Pre-Training To Recognize Long-Tail Visual Concepts", CVPR 2021,
<https://github.com/google-research-datasets/conceptual-12m>, where the terms are. Google publishes
addresses and captions, not the pictures, whose rights are their owners'; some have gone since.

## How it was made

By `data_scripts/get_cc12m.py` of erasekit {version}. The shards are as they came: webdataset, that
is tar files with `KEY.jpg`, `KEY.txt` and `KEY.json`. Those of the Hugging Face data set
`pixparse/cc12m-wds`, where shards come from unless others were named, were fetched with img2dataset
and made smaller, to a short side of 512 pixels, where they were larger. There are no splits.

## Limits

Nobody looked at the pictures one by one: expect people, offensive things and wrong captions. Which
pictures are here depends on when they were fetched.

## Checksums

`shards.csv` has the number of pairs, the size and the SHA-256 of each shard.
"""
