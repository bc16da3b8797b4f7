"""Units on real Dask workers: one is killed, one joins late, the scheduler is restarted."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
import support_cluster as units

from erasekit import cluster
from erasekit.cluster import Outcome, Workers, open_pool
from erasekit.errors import UsageError

pytest.importorskip("distributed")


#: What users get; the tests wait longer, since the machine that runs them may be busy.
ANSWER = cluster.ANSWER


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER", 60.0)


def outcomes(function, given, workers: Workers, say=print) -> dict[str, Outcome]:
    with open_pool(function, workers, len(given), say) as pool:
        for number in given:
            pool.submit(f"unit {number}", number)
        return {outcome.name: outcome for outcome in pool}


class Running:
    """A cluster that somebody started: a scheduler and two workers, each a process."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack, self.port = stack, units.free_port()
        self.workers = Workers(scheduler=f"tcp://127.0.0.1:{self.port}")
        self.scheduler = self.start(units.scheduler)
        self.pair = self.start(units.worker), self.start(units.worker)

    def start(self, what) -> Popen[bytes]:
        return self._stack.enter_context(what(self.port))


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """One cluster for this file; a test replaces a worker, and the last one restarts it."""
    with ExitStack() as stack:
        yield Running(stack)


def test_in_this_process_a_unit_that_fails_stops_no_other():
    check_failures(outcomes(units.fails_at_three, range(6), Workers(1)))


def test_on_a_local_cluster_a_unit_that_ends_its_worker_stops_no_other():
    """Dask starts the worker anew, and gives up what ended four of them, here one.

    The unit that waits at the worker is blamed too. Both run again, one at a time.
    """
    import dask

    told, given = [], [units.ENDS, *range(6)]
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        open_pool(units.fails_at_three, Workers(1, memory="4GiB"), 7, told.append) as pool,
    ):
        for number in given:
            pool.submit(f"unit {number}", number)
        found = {outcome.name: outcome for outcome in pool}
    assert "every worker that ran it was lost" in found.pop(f"unit {units.ENDS}").error
    check_failures(found)
    assert "dashboard: http" in told[0]
    again = {line.partition(" was on")[0] for line in told if "it runs again, alone" in line}
    assert again == {f"unit {units.ENDS}", "unit 0"}


def check_failures(found: dict[str, Outcome]) -> None:
    assert {name: one.value for name, one in found.items() if not one.error} == {
        f"unit {n}": n for n in (0, 1, 2, 4, 5)
    }
    assert found["unit 3"].error == "ValueError: three is"
    assert "fails_at_three" in found["unit 3"].log


def test_a_killed_worker_costs_one_unit_and_a_late_one_takes_its_part(
    running, tmp_path, monkeypatch
):
    monkeypatch.setattr(cluster, "LOOK_EVERY", 0.0)
    told, found, late = [], {}, None
    with open_pool(units.waits_for_a_gate, running.workers, 8, told.append) as pool:
        pool._client.wait_for_workers(2, timeout=120)
        before = pool._workers()
        for number in range(8):
            pool.submit(str(number), (str(tmp_path), number))
        for outcome in pool:
            found[outcome.name] = outcome.value
            if late is None:
                # Both are in the middle of a unit, and have sent the one before. That of the one
                # that is killed was fetched, and waits.
                wait_until(lambda: len(list(tmp_path.iterdir())) == 4 and pool._ready.has_ready())
                assert "queued" in pool._client.run_on_scheduler(states), "not at a worker"
                lost, kept = sorted(running.pair, key=lambda one: one.pid == outcome.value[1])
                lost.kill()
                late = running.start(units.worker)
                running.pair = kept, late
                wait_until(lambda: pool._workers() - before)
                Path(f"{tmp_path}-gate").touch()
                # Nothing is taken from what waits until the workers have nothing left to do.
                wait_until(lambda: pool._client.run_on_scheduler(states) <= {"memory", "released"})
    assert sorted(int(name) for name in found) == list(range(8))
    processes = {process for _, process in found.values()}
    assert {kept.pid, late.pid} <= processes
    marks = [path.name for path in tmp_path.iterdir()]
    assert len(marks) <= 8 + 1, "only what the killed worker had in hand ran twice"
    assert any("was lost: its unit runs again" in line for line in told)


def wait_until(done: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def states(dask_scheduler: Any) -> set[str]:
    return {task.state for task in dask_scheduler.tasks.values()}


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "tcp://[", "", "silent"])
def test_where_nobody_answers_it_says_so_within_ten_seconds(address, monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes a call, and says nothing
        if address == "silent":
            address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
            hangs_up = threading.Timer(10, silent.close)
            hangs_up.daemon = True
            hangs_up.start()
        started = time.monotonic()
        with pytest.raises(UsageError, match="no Dask scheduler answers there") as caught:
            cluster.reach(address)
    assert time.monotonic() - started < 0.3 + 5
    assert ANSWER < 8, "what is imported before takes its time too"
    assert "\n" not in str(caught.value)


def test_a_worker_with_other_versions_is_refused_by_name(running, monkeypatch):
    here = cluster.environment("support_cluster")
    monkeypatch.setattr(cluster, "environment", lambda module: {**here, "torch": "1.0"})
    with pytest.raises(UsageError, match=r"worker tcp://\S+ has torch 2\S+, and .* has 1.0"):
        outcomes(units.double, range(2), running.workers)


def test_a_worker_with_other_versions_that_joins_late_is_refused(running, monkeypatch):
    monkeypatch.setattr(cluster.DaskPool, "_check_versions", lambda pool: None)
    here = cluster.environment("support_cluster")
    monkeypatch.setattr(cluster, "environment", lambda module: {**here, "dask": "1.0"})
    with pytest.raises(UsageError, match=r"worker tcp://\S+ has dask 2\S+, and .* has 1.0"):
        outcomes(units.double, range(2), running.workers)


@pytest.mark.parametrize(("shared", "made"), [(True, 1), (False, 2)])
def test_a_model_is_made_once_on_a_shared_disk_and_once_a_worker_elsewhere(
    running, tmp_path, shared, made
):
    log = tmp_path / "log"
    with open_pool(units.model, running.workers, 6, print) as pool:
        for number in range(6):
            pool.submit(str(number), (str(log), str(tmp_path), shared))
        assert {outcome.value for outcome in pool} == {"model"}
    lines = log.read_text().split()
    assert len(lines) == len(set(lines)) == made


def test_outcomes_that_nobody_asked_for_yet_wait_on_their_workers(running, tmp_path):
    """Or a writer slower than the workers would hold all results in its memory."""
    units_, most = 3 * cluster.MOST_WAITING, 0
    with open_pool(units.waits, running.workers, units_, print) as pool:
        for number in range(units_):
            pool.submit(str(number), (str(tmp_path), number, 0.0))
        wait_until(lambda: len(list(tmp_path.iterdir())) == units_)
        time.sleep(0.5)
        names = set()
        for outcome in pool:
            most = max(most, 1 + pool._ready.queue.qsize())
            names.add(outcome.name)
    assert len(names) == units_
    assert cluster.MOST_WAITING / 2 < most <= cluster.MOST_WAITING + 1


def test_a_scheduler_that_cannot_read_the_units_is_refused_by_name(running, monkeypatch):
    def broken(client, function, *args):
        raise ModuleNotFoundError("No module named 'erasekit'")

    monkeypatch.setattr("distributed.Client.run_on_scheduler", broken)
    with pytest.raises(UsageError, match=r"the scheduler cannot run erasekit .*: install the same"):
        outcomes(units.double, range(2), running.workers)


def test_what_a_running_cluster_decides_itself_is_refused():
    for given in ({"count": 2}, {"memory": "1GiB"}):
        with pytest.raises(UsageError, match="is for a local cluster"):
            Workers(scheduler="tcp://a:1", **given)
    with pytest.raises(UsageError, match="--memory lots"):
        outcomes(units.double, range(2), Workers(2, memory="lots"))


def test_without_dask_one_worker_works_and_more_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    assert outcomes(units.double, [4], Workers())["unit 4"].value == 8
    with pytest.raises(UsageError, match=r"pip install 'erasekit\[cluster\]'"):
        outcomes(units.double, range(3), Workers(2))
    with pytest.raises(UsageError, match=r"pip install 'erasekit\[cluster\]'"):
        outcomes(units.double, range(3), Workers(scheduler="tcp://a:1"))


def test_a_local_cluster_is_no_larger_than_the_work_or_the_machine(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert Workers().processes(100) == 8
    assert Workers(threads=3).processes(100) == 2
    assert Workers(threads=16).processes(100) == 1
    assert Workers(4).processes(3) == 3
    assert Workers(4).processes(0) == 1


def test_a_restarted_scheduler_gets_what_is_not_done(running, tmp_path):
    told, found = [], []
    with open_pool(units.waits, running.workers, 6, told.append) as pool:
        for number in range(6):
            pool.submit(str(number), (str(tmp_path), number, 0.3))
        for outcome in pool:
            assert not outcome.error
            found.append(int(outcome.name))
            if len(found) == 2:
                running.scheduler.kill()
                running.scheduler.wait()
                running.start(units.scheduler)
                running.start(units.worker)
    assert sorted(found) == list(range(6)), "each once"
    assert any("lost the scheduler" in line for line in told)
