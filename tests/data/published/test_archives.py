"""Archives that are whole, and those that want out of their folder."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from erasekit.data.published import archives
from erasekit.data.published.archives import unpack, whole_folder
from erasekit.errors import RunError, UsageError

FILES = {"top/a.txt": b"first", "top/deep/b.bin": bytes(range(256)), "./c": b""}
#: Names that no archive may use, here or on another system.
BAD_NAMES = [
    "../out",
    "top/../../out",
    "top/..",
    "/tmp/out",
    "//host/out",
    "C:/out",
    "C:out",
    "top\\..\\..\\out",
    "..\\out",
]


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def unix(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    return info


def content(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def nothing_but(archive: Path) -> bool:
    """Whether the archive is alone in its folder: nothing was left, aside or beside."""
    return [p.name for p in archive.parent.iterdir()] == [archive.name]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_unpacked(tmp_path: Path, mode: str) -> None:
    folder = member("top", tarfile.DIRTYPE)
    files = [(member(name), held) for name, held in FILES.items()]
    archive = tar(tmp_path / "it.tar", (folder, b""), *files, mode=mode)
    assert unpack(archive, tmp_path / "new" / "out") == tmp_path / "new" / "out"
    assert content(tmp_path / "new" / "out") == {k.removeprefix("./"): v for k, v in FILES.items()}
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["out"]
    assert os.access(tmp_path / "new" / "out", os.R_OK | os.X_OK)


def test_a_zip_is_unpacked(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "it.zip", ("top/", b""), *FILES.items())
    assert content(unpack(archive, tmp_path / "out")) == {
        k.removeprefix("./"): v for k, v in FILES.items()
    }


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_leads_out_condemns_an_archive(tmp_path: Path, kind: str, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    if kind == "tar":
        archive = tar(folder / "it", (member("good"), b"1"), (member(name), b"2"))
    else:
        archive = zipped(folder / "it", ("good", b"1"), (name, b"2"))
    with pytest.raises(RunError, match="leads out of the folder") as caught:
        unpack(archive, folder / "out")
    assert repr(name) in str(caught.value)
    assert nothing_but(archive) and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
@pytest.mark.parametrize("link", ["/etc/passwd", "../../etc/passwd", "good"])
def test_a_link_or_a_device_condemns_a_tar(tmp_path: Path, kind: bytes, link: str) -> None:
    through = member("name/under", tarfile.REGTYPE)
    archive = tar(
        tmp_path / "it.tar",
        (member("good"), b"1"),
        (member("name", kind, link), b""),
        (through, b"2"),
    )
    with pytest.raises(RunError, match="'name' in it is a link or a device"):
        unpack(archive, tmp_path / "out")
    assert nothing_but(archive)


@pytest.mark.parametrize("kind", [0o120000, 0o020000, 0o060000, 0o010000])
def test_a_link_or_a_device_condemns_a_zip(tmp_path: Path, kind: int) -> None:
    archive = zipped(tmp_path / "it.zip", ("good", b"1"), (unix("name", kind), b"/etc/passwd"))
    with pytest.raises(RunError, match="'name' in it is a link or a device"):
        unpack(archive, tmp_path / "out")
    assert nothing_but(archive)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_absurd_growth_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    bomb = bytes(3_000_000)
    if kind == "tar":
        archive = tar(tmp_path / "it", (member("good"), b"1"), (member("bomb"), bomb))
    else:
        archive = zipped(tmp_path / "it", ("good", b"1"), ("bomb", bomb))
    assert archive.stat().st_size * archives._MOST_TIMES < 3_000_000
    # What is small in any case is let through.
    assert len(content(unpack(archive, tmp_path / "out" / "fine"))) == 2
    monkeypatch.setattr(archives, "_ALWAYS_FINE", 1_000_000)
    with pytest.raises(RunError, match=r"'bomb' in it makes it more than 1,000,000 bytes"):
        unpack(archive, tmp_path / "out" / "not")
    monkeypatch.setattr(archives, "_ALWAYS_FINE", 10_000_000)
    monkeypatch.setattr(archives, "_MOST_FILES", 1)
    with pytest.raises(RunError, match=r"'bomb' in it makes it more than 1 files"):
        unpack(archive, tmp_path / "out" / "not")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["fine"]


@pytest.mark.parametrize("kind", ["w", "w:gz", "zip"])
@pytest.mark.parametrize("keep", [0, 10, 600, 20_000])
def test_a_truncated_archive_leaves_nothing(tmp_path: Path, kind: str, keep: int) -> None:
    noise = os.urandom(40_000)
    archive = tmp_path / "it"
    if kind == "zip":
        zipped(archive, ("noise", noise))
    else:
        tar(archive, (member("noise"), noise), mode=kind)
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(RunError) as caught:
        unpack(archive, tmp_path / "out")
    assert str(archive) in str(caught.value) and "\n" not in str(caught.value)
    assert nothing_but(archive)


@pytest.mark.parametrize("keep", [1024, 1300, 2048])
def test_a_tar_that_is_cut_between_its_files_is_found_out(tmp_path: Path, keep: int) -> None:
    archive = tar(tmp_path / "it.tar", (member("a"), b"1"), (member("b"), b"2"), mode="w")
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(RunError, match="it ends early"):
        unpack(archive, tmp_path / "out")
    assert nothing_but(archive)


def test_flipped_bits_in_a_zip_are_found(tmp_path: Path) -> None:
    archive = tmp_path / "it.zip"
    with zipfile.ZipFile(archive, "w") as opened:  # stored: only its sum tells
        opened.writestr("a", b"x" * 1000)
    archive.write_bytes(archive.read_bytes().replace(b"xxxx", b"xxyx", 1))
    with pytest.raises(RunError, match=r"is damaged, or no tar or zip: Bad CRC"):
        unpack(archive, tmp_path / "out")
    assert nothing_but(archive)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "it.zip", ("a", b"secret"))
    held = bytearray(archive.read_bytes())
    held[6] |= 1  # of the file's own header, and of its entry in the directory
    held[held.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(held)
    with pytest.raises(RunError, match="'a' in it is encrypted"):
        unpack(archive, tmp_path / "out")


def test_what_is_no_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "it").write_text("<html>")
    with pytest.raises(RunError, match=r"it is damaged, or no tar or zip"):
        unpack(tmp_path / "it", tmp_path / "out")
    with pytest.raises(RunError, match=r"cannot unpack .*No such file"):
        unpack(tmp_path / "nothing", tmp_path / "out")


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "it.zip", ("a", b"1"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        unpack(archive, tmp_path / "out")
    assert content(tmp_path / "out") == {"mine": b"mine"}


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "out") as aside:
        (aside / "half").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
