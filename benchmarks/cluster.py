"""Measure what a cluster adds to a unit, and simulate what 1,000 workers would do with it.

    python benchmarks/cluster.py            # about two minutes on two cores
    python benchmarks/cluster.py --quick    # does the script work at all?

The results replace the last part of benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import heapq
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_report import put_part, table
from distributed import LocalCluster

from erasekit.cluster import Workers, open_pool
from erasekit.files import sha256_folder, write_json
from erasekit.leaderboard.records import Records
from erasekit.tutorial.notebook_unit import RECORD, pack
from erasekit.tutorial.sweep import unpack_run

RESULTS = Path(__file__).with_name("RESULTS.md")
MIB = 2**20
BUSY = (
    " Other programs used the cores meanwhile: the ratio is below what the workers give on an idle "
    "machine, and every time is longer."
)


def burn(seconds: float) -> None:
    """Use a processor for so many seconds of its time."""
    started = time.process_time()
    while time.process_time() - started < seconds:
        sum(range(1000))


def give(size: int) -> bytes:
    """A value of so many bytes, as a run folder comes back."""
    return bytes(size)


@contextmanager
def workers(count: int) -> Iterator[str]:
    """The address of a cluster with so many workers."""
    with LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=logging.CRITICAL,
    ) as local:
        yield local.scheduler_address


def seconds_of(function: Callable[[Any], Any], units: list[Any], address: str) -> float:
    """Wall seconds of units on workers that have started and imported already."""
    team = Workers(scheduler=address)
    with open_pool(function, team, len(units), lambda line: None) as pool:
        for number in range(4):
            pool.submit(f"first {number}", units[0])
        list(pool)
        started = time.perf_counter()
        for number, unit in enumerate(units):
            pool.submit(str(number), unit)
        failed = [outcome.error for outcome in pool if outcome.error]
        assert not failed, failed
        return time.perf_counter() - started


def writer_seconds(size: int) -> float:
    """What the writer takes to check and unpack one run folder."""
    with tempfile.TemporaryDirectory() as place:
        made = Path(place) / "made"
        made.mkdir()
        (made / "model").write_bytes(os.urandom(size))
        write_json(made / RECORD, {"key": "k", "files": sha256_folder(made)})
        archive = pack(made, "")
        started = time.perf_counter()
        unpack_run(Path(place) / "out" / "run", archive, "k")
        return time.perf_counter() - started


def append_seconds() -> float:
    """What the writer takes to append one record of the benchmark."""
    with tempfile.TemporaryDirectory() as place:
        records = Records(Path(place) / "records.jsonl")
        started = time.perf_counter()
        for number in range(100):
            records.append({"key": str(number), "metrics": dict.fromkeys(map(str, range(40)), 0.5)})
        return (time.perf_counter() - started) / 100


@dataclass(frozen=True)
class Plan:
    """A simulated hour: workers side by side, one scheduler and one writer, a unit at a time each.

    Attributes:
        unit: seconds of a unit on its worker.
        schedule: seconds of the scheduler for each unit.
        write: seconds of the writer for each unit.
    """

    workers: int
    unit: float
    schedule: float
    write: float

    def run(self, hours: float = 1.0) -> tuple[int, float, float]:
        """Units written, the share of the hour that the writer works, and that workers do."""
        end = 3600 * hours
        free = [0.0] * self.workers  # when each worker asks for its next unit
        scheduler = writer = worked = written_for = 0.0
        done = 0
        while free[0] < end:
            begun = scheduler = max(scheduler, heapq.heappop(free)) + self.schedule
            ready = begun + self.unit
            heapq.heappush(free, ready)
            writer = max(writer, ready) + self.write
            if writer <= end:
                done += 1
                written_for += self.write
            worked += max(0.0, min(end, ready) - min(end, begun))
        return done, written_for / end, worked / end / self.workers


def report(found: dict[str, Any]) -> Iterator[str]:
    """The results as Markdown."""
    one, two, empty = found["one"], found["two"], found["empty"]
    yield (
        f"Written by `python benchmarks/cluster.py` on {os.cpu_count()} cores, whose load was "
        f"{found['load']:.1f} before the start."
        + (BUSY if found["load"] > (os.cpu_count() or 1) / 2 else "")
    )
    yield ""
    rows = [
        [f"{found['units']} equal units on one worker", f"{one:.1f} s"],
        ["the same on two workers", f"{two:.1f} s"],
        ["ratio", f"{one / two:.2f}"],
        ["an empty unit: scheduling, sending, returning", f"{1000 * empty:.1f} ms"],
        [f"a unit that returns {found['size'] // MIB} MiB", f"{1000 * found['sent']:.0f} ms"],
        ["the writer checks and unpacks that", f"{1000 * found['unpacked']:.0f} ms"],
        ["the writer appends a record", f"{1000 * found['appended']:.1f} ms"],
    ]
    yield from table(["", "measured"], rows)
    yield ""
    yield (
        "Simulated from these numbers, not run: one hour of 1,000 workers with one scheduler and "
        "one writer. The writer receives and unpacks one run at a time; where it is busy all the "
        "time, finished runs wait for it."
    )
    yield ""
    lines = []
    for minutes in (1, 5, 20):
        for what, size, write in (
            ("a record", 1000, found["appended"]),
            ("a run folder", found["size"], found["sent"] + found["unpacked"]),
        ):
            done, writing, working = Plan(1000, 60 * minutes, empty, write).run()
            lines.append(
                [
                    f"{minutes} min, {what}",
                    f"{done:,}",
                    f"{done * size / 2**30:.2f} GiB",
                    f"{100 * writing:.0f} %",
                    f"{100 * working:.0f} %",
                ]
            )
    head = ["a unit takes, and returns", "units an hour", "through the writer"]
    yield from table([*head, "writer busy", "workers busy"], lines)
    yield ""
    yield "Units that are written after the hour do not count."


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="short units, and few")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the results go")
    chosen = parser.parse_args(arguments)
    import cluster  # units are found by their module, and this one is called __main__

    size, units, each = (MIB, 4, 0.05) if chosen.quick else (16 * MIB, 32, 0.2)
    found: dict[str, Any] = {"load": os.getloadavg()[0], "units": units, "size": size}
    many = 20 if chosen.quick else 500
    with workers(1) as one:
        found["one"] = seconds_of(cluster.burn, [each] * units, one)
    with workers(2) as two:
        found["two"] = seconds_of(cluster.burn, [each] * units, two)
        found["empty"] = seconds_of(cluster.burn, [0.0] * many, two) / many
        found["sent"] = seconds_of(cluster.give, [size] * units, two) / units
    found["unpacked"] = writer_seconds(size)
    found["appended"] = append_seconds()
    put_part(chosen.out, "# Units on a cluster", report(found))
    print(chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
