"""Progress: a bar where somebody watches, few whole lines in a log, nothing if silenced."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tqdm import tqdm

from erasekit import progress
from erasekit.progress import LogLines, hidden, progress_bar


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for users: most tests silence it."""
    monkeypatch.delenv("ERASEKIT_PROGRESS")


def log(label: str, unit: str, total: int, **more: int) -> tuple[LogLines, Clock, io.StringIO]:
    clock, file = Clock(), io.StringIO()
    return LogLines(label, unit, total, file=file, clock=clock, **more), clock, file


def test_a_long_work_tells_begin_minutes_and_end() -> None:
    lines, clock, file = log("original", "step", 600)
    with lines:
        for _ in range(600):
            clock.now += 0.25  # 150 seconds in all
            lines.update()
            lines.set_postfix(loss="1.500", refresh=False)
    assert file.getvalue().splitlines() == [
        "original: started, 0 of 600 steps",
        "original: 240 of 600 steps, 01:00 gone, 01:30 left, loss=1.500",
        "original: 480 of 600 steps, 02:00 gone, 00:30 left, loss=1.500",
        "original: ended after 150 s, 600 of 600 steps",
    ]


def test_a_short_work_tells_its_begin_alone() -> None:
    lines, clock, file = log("checking", "picture", 3)
    with lines:
        clock.now += 4.9
        lines.update(3)
    assert file.getvalue() == "checking: started, 0 of 3 pictures\n"


def test_what_was_done_before_counts_as_done_but_not_as_fast() -> None:
    lines, clock, file = log("original", "step", 600, done=400)
    clock.now += 60
    lines.update(100)
    lines.close()
    assert file.getvalue().splitlines() == [
        "original: started, 400 of 600 steps",
        "original: 500 of 600 steps, 01:00 gone, 01:00 left",
        "original: ended after 60 s, 500 of 600 steps",
    ]


def test_bytes_are_short_and_an_unknown_total_promises_no_time() -> None:
    lines, clock, file = log("a\r\nb.tar", "B", 0)
    clock.now += 90
    lines.update(1_500_000)
    lines.close()
    assert file.getvalue().splitlines() == [
        "a b.tar: started, 0.00B",
        "a b.tar: 1.50MB, 01:30 gone",
        "a b.tar: ended after 90 s, 1.50MB",
    ]
    lines, _, file = log("b.tar", "B", 2_000_000_000)
    lines.close()
    assert file.getvalue() == "b.tar: started, 0.00B of 2.00GB\n"


def test_a_work_inside_another_tells_its_minutes_alone() -> None:
    outer, clock, file = log("shards", "shard", 2)
    with outer:
        for seconds in (50, 70):
            inner = LogLines("one.tar", "B", 10, file=file, clock=clock)
            with inner:
                clock.now += seconds
                inner.update(10)
            outer.set_postfix_str("one.tar")
            outer.update()
    assert file.getvalue().splitlines() == [
        "shards: started, 0 of 2 shards",
        "one.tar: 10.0B of 10.0B, 01:10 gone, 00:00 left",
        "shards: 2 of 2 shards, 02:00 gone, 00:00 left, one.tar",
        "shards: ended after 120 s, 2 of 2 shards",
    ]
    outer.close()
    assert file.getvalue().count("\n") == 4, "an end is told once"


@given(st.lists(st.tuples(st.floats(0, 200), st.integers(0, 5)), max_size=40))
def test_never_more_than_a_line_a_minute(moves: list[tuple[float, int]]) -> None:
    lines, clock, file = log("any", "step", 50)
    times, shown = [], 1
    for seconds, n in moves:
        clock.now += seconds
        lines.update(n)
        if file.getvalue().count("\n") > shown:
            shown = file.getvalue().count("\n")
            times.append(clock.now)
    lines.close()
    before = [1000.0, *times]
    assert all(b - a >= 60 for a, b in zip(before, times, strict=False))
    assert "\r" not in file.getvalue()
    assert lines.n == sum(n for _, n in moves)


def test_a_terminal_has_a_moving_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar("original", "step", 2) as bar:
        bar.update()
    assert isinstance(bar, tqdm)
    assert "\roriginal:   0%|" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r")


def test_a_notebook_has_a_bar_and_a_plain_ipython_in_a_pipe_has_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def inside(shell: object) -> bool:
        ipython = types.SimpleNamespace(get_ipython=lambda: shell)
        monkeypatch.setitem(sys.modules, "IPython", ipython)  # type: ignore[arg-type]
        return progress.watched()

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert inside(types.SimpleNamespace(kernel=1))
    assert not inside(types.SimpleNamespace())
    assert not inside(None)


@pytest.mark.parametrize("file", [Terminal, io.StringIO], ids=["terminal", "log"])
def test_nothing_is_shown_where_it_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch, file: type[io.StringIO]
) -> None:
    stderr = file()
    monkeypatch.setattr(sys, "stderr", stderr)

    def work(**how: bool) -> None:
        with progress_bar("original", "step", 2, **how) as bar:
            bar.update(2)

    work(show=False)
    with hidden():
        work()
    monkeypatch.setenv("ERASEKIT_PROGRESS", "0")
    work()
    assert stderr.getvalue() == ""
    monkeypatch.setenv("ERASEKIT_PROGRESS", "1")
    work()
    assert "original" in stderr.getvalue()


@pytest.mark.parametrize("silenced", [False, True])
def test_a_process_whose_errors_go_to_a_file_writes_few_whole_lines(
    tmp_path: Path, silenced: bool
) -> None:
    code = (
        "from erasekit.progress import progress_bar\n"
        "for label in ('one', 'two'):\n"
        "    with progress_bar(label, 'step', 20_000) as bar:\n"
        "        for step in range(20_000):\n"
        "            bar.update()\n"
        "            bar.set_postfix(loss=step)\n"
    )
    path = tmp_path / "log"
    environment = dict(os.environ, **({"ERASEKIT_PROGRESS": "0"} if silenced else {}))
    with path.open("wb") as file:
        subprocess.run([sys.executable, "-c", code], stderr=file, env=environment, check=True)
    found = path.read_bytes().replace(os.linesep.encode(), b"\n")
    expected = b"one: started, 0 of 20000 steps\ntwo: started, 0 of 20000 steps\n"
    assert found == (b"" if silenced else expected)
