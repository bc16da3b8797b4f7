"""Downloads from a server on this machine that breaks off, lies, or is not there."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from erasekit.data.published import download as module
from erasekit.data.published.download import download, verify
from erasekit.errors import RunError, UsageError

CONTENT = random.Random(0).randbytes(30_000)
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content` under every name.

    Attributes:
        cuts: how many bytes the next answers send before they break off.
        ranges: whether a Range is heeded.
        status: sent instead, with an empty body, unless it is 200.
        asked: the Range of each request, None where there was none.
        then: called after a cut answer, before the line is closed.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.cuts: list[int] = []
        self.ranges = True
        self.told_length = True
        self.status = 200
        self.asked: list[str | None] = []
        self.then: Any = lambda: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data.bin"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server, told = self.server, self.headers.get("Range")
        assert isinstance(server, Server)
        server.asked.append(told)
        if server.status != 200:
            self.send_response(server.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(told.removeprefix("bytes=").rstrip("-")) if told and server.ranges else 0
        if start >= len(server.content) and start:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            last = len(server.content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(server.content)}")
        if server.told_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else None
        self.wfile.write(body[:cut])
        self.wfile.flush()
        if cut is not None:
            server.then()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Starts servers, and stops them all."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    monkeypatch.setattr(module, "_CHUNK", 1000)
    started = []

    def start() -> Server:
        server = Server()
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(servers: Any) -> Server:
    return servers()


def part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "data.bin"


@pytest.mark.parametrize("checksum", [MD5, SHA256, SHA256.upper().replace("SHA", "sha"), None])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_file_arrives_whole(
    server: Server, target: Path, checksum: str | None, size: int | None
) -> None:
    assert download([server.url], target, checksum=checksum, size=size) == target
    assert target.read_bytes() == CONTENT
    assert [p.name for p in target.parent.iterdir() if p.suffix != ".lock"] == ["data.bin"]
    # Asked again, nothing is fetched.
    download([server.url], target, checksum=checksum, size=size)
    assert server.asked == [None]


@pytest.mark.parametrize("checksum", [SHA256, None])
def test_a_truncated_download_is_noticed_and_resumed(
    server: Server, target: Path, checksum: str | None
) -> None:
    server.cuts = [12_000, 5_000]
    download([server.url], target, checksum=checksum)
    assert server.asked == [None, "bytes=12000-", "bytes=17000-"]
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_is_asked_for_all_again(server: Server, target: Path) -> None:
    server.ranges, server.cuts = False, [12_000, 29_000]
    download([server.url], target, checksum=SHA256)
    assert server.asked == [None, "bytes=12000-", "bytes=29000-"]
    assert target.read_bytes() == CONTENT


def test_a_server_that_tells_no_length_is_held_to_the_known_one(
    server: Server, target: Path
) -> None:
    server.told_length, server.cuts = False, [12_000]
    download([server.url], target, size=len(CONTENT))
    assert server.asked == [None, "bytes=12000-"]
    assert target.read_bytes() == CONTENT
    server.content = CONTENT + b"more"
    with pytest.raises(RunError, match="sends more than the 30,000 bytes"):
        download([server.url], target.with_name("other"), size=len(CONTENT))


def test_one_that_breaks_off_for_ever_is_given_up(server: Server, target: Path) -> None:
    server.cuts = [100] * 50
    with pytest.raises(RunError, match="it broke off after 500 bytes") as caught:
        download([server.url], target, checksum=SHA256)
    assert len(server.asked) == module._TRIES
    assert "\n" not in str(caught.value)
    # What came stays, and the next attempt begins there.
    server.cuts = []
    download([server.url], target, checksum=SHA256)
    assert server.asked[-1] == "bytes=500-" and target.read_bytes() == CONTENT


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """A shell's background job ignores Ctrl-C, and what it starts does too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_leaves_a_part_that_resumes(server: Server, target: Path) -> None:
    def interrupt() -> None:
        time.sleep(0.1)  # the client waits for the rest by now
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

    server.cuts, server.then = [12_000], interrupt
    with pytest.raises(KeyboardInterrupt):
        download([server.url], target, checksum=SHA256)
    had = part(target).stat().st_size
    assert 0 < had <= 12_000 and not target.exists()
    assert part(target).read_bytes() == CONTENT[:had]
    download([server.url], target, checksum=SHA256)
    assert server.asked == [None, f"bytes={had}-"]
    assert target.read_bytes() == CONTENT and not part(target).exists()


def test_a_whole_part_is_named_without_a_request(server: Server, target: Path) -> None:
    target.parent.mkdir()
    part(target).write_bytes(CONTENT)
    download([server.url], target, checksum=SHA256, size=len(CONTENT))
    assert server.asked == [] and target.read_bytes() == CONTENT
    # Without its size the server has to say that there is no more.
    target.unlink()
    part(target).write_bytes(CONTENT)
    download([server.url], target, checksum=SHA256)
    assert server.asked == ["bytes=30000-", None] and target.read_bytes() == CONTENT


@pytest.mark.parametrize("old", [b"x" * 12_000, b"x" * 40_000])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_an_old_part_of_another_file_is_found_out(
    server: Server, target: Path, old: bytes, size: int | None
) -> None:
    target.parent.mkdir()
    part(target).write_bytes(old)
    download([server.url], target, checksum=SHA256, size=size)
    assert target.read_bytes() == CONTENT
    assert server.asked[-1] is None


def test_without_a_checksum_an_old_part_is_not_trusted(server: Server, target: Path) -> None:
    target.parent.mkdir()
    part(target).write_bytes(b"x" * 12_000)
    download([server.url], target)
    assert server.asked == [None] and target.read_bytes() == CONTENT


def test_a_wrong_checksum_names_both_and_removes_the_part(server: Server, target: Path) -> None:
    server.content = CONTENT[:-1] + b"!"
    found = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(RunError) as caught:
        download([server.url], target, checksum=SHA256)
    assert found in str(caught.value) and SHA256[7:] in str(caught.value)
    assert not target.exists() and not part(target).exists()


def test_a_mirror_that_lies_is_passed_over(
    servers: Any, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    liar, honest = servers(), servers()
    liar.content = CONTENT[::-1]
    download([liar.url, honest.url], target, checksum=SHA256)
    assert target.read_bytes() == CONTENT
    assert honest.asked == [None]
    assert "its sha256 is" in capsys.readouterr().err


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_mirror_that_is_down_falls_through_with_a_line(
    servers: Any, target: Path, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    down, up = servers(), servers()
    down.status = status
    download([down.url, up.url], target, checksum=SHA256)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"note: {down.url}: it answers {status} ")
    assert said.rstrip().endswith(f"asking {up.url}")
    assert len(down.asked) == 1 and target.read_bytes() == CONTENT


def test_another_mirror_goes_on_where_one_broke_off(servers: Any, target: Path) -> None:
    broken, other = servers(), servers()
    broken.cuts = [2_000] * module._TRIES
    download([broken.url, other.url], target, checksum=SHA256)
    assert other.asked == ["bytes=10000-"] and target.read_bytes() == CONTENT


def test_without_a_checksum_another_mirror_starts_anew(servers: Any, target: Path) -> None:
    broken, other = servers(), servers()
    broken.cuts = [2_000] * module._TRIES
    download([broken.url, other.url], target)
    assert other.asked == [None] and target.read_bytes() == CONTENT


def test_a_wrong_length_is_refused_before_it_is_fetched(server: Server, target: Path) -> None:
    server.content = b"<html>please log in</html>"
    with pytest.raises(RunError, match="it has 26 bytes there, not 30,000"):
        download([server.url], target, checksum=SHA256, size=len(CONTENT))


def test_all_that_are_down_are_named_with_their_reasons(
    servers: Any, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", (0.2, 0.2))
    gone, silent, stopped = servers(), servers(), servers()
    gone.status = 404
    silent.cuts, silent.then = [0], lambda: time.sleep(0.4)
    stopped.shutdown()
    stopped.server_close()
    secret = gone.url.replace("//", "//me:secret@") + "?signature=secret"
    with pytest.raises(RunError) as caught:
        download([secret, silent.url, stopped.url], target, checksum=SHA256)
    said = str(caught.value)
    assert said.startswith("cannot fetch data.bin: ") and "\n" not in said
    assert f"{gone.url}: it answers 404 Not Found; " in said
    assert f"{silent.url}: it does not answer in time; " in said
    assert f"{stopped.url}: it refuses the connection. " in said
    assert "secret" not in said and not target.exists()


def test_a_file_that_is_there_and_is_another_one_is_left_alone(
    server: Server, target: Path
) -> None:
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(RunError, match=r"data\.bin is not the file .* Remove it"):
        download([server.url], target, checksum=MD5)
    assert server.asked == [] and target.read_bytes() == b"mine"
    with pytest.raises(RunError, match=r"its md5 is \w+, not "):
        verify(target, MD5)
    with pytest.raises(RunError, match="cannot read"):
        verify(target.with_name("nothing"), MD5)
    verify(target, None)


def test_two_at_once_fetch_it_once(server: Server, target: Path) -> None:
    server.cuts, server.then = [12_000], lambda: time.sleep(0.2)
    threads = [
        threading.Thread(target=download, args=([server.url], target), kwargs={"checksum": MD5})
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=12000-"]


@pytest.mark.parametrize(
    "checksum", ["", "md5", "md5:12", "sha1:" + "0" * 40, "sha256:" + "g" * 64]
)
def test_what_is_no_checksum_is_refused(server: Server, target: Path, checksum: str) -> None:
    with pytest.raises(UsageError, match="is not a checksum: write sha256:"):
        download([server.url], target, checksum=checksum)
    assert server.asked == []


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://host/file", "/etc/hostname", ""])
def test_what_is_no_address_is_refused(target: Path, url: str) -> None:
    with pytest.raises(UsageError, match="is not an address"):
        download([url], target)
    with pytest.raises(UsageError, match="no place to fetch"):
        download([], target)


def test_a_folder_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot write .*data\.bin"):
        download([server.url], tmp_path / "file" / "data.bin")
    (tmp_path / "data.bin.part").mkdir()  # no mirror is blamed for what the disk does
    with pytest.raises(RunError, match="cannot write"):
        download([server.url], tmp_path / "data.bin", checksum=MD5)


def test_without_requests_the_extra_is_named(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(UsageError, match=r"pip install 'erasekit\[data\]'"):
        download(["http://127.0.0.1/x"], target)
