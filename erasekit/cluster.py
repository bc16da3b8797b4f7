"""Units of work in this process, on a local Dask cluster, or on a Dask cluster by its address.

Dask schedules the units, repeats those of a lost worker, and shows its dashboard. A unit is a
module's function with one argument. Workers return outcomes; only the iterating process writes
files. A failed unit gives an outcome with its log, and does not stop the others.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

from erasekit.errors import RunError, UsageError
from erasekit.extras import needed
from erasekit.local_cluster import be_quiet, local_cluster
from erasekit.same_versions import differs, environment, type_and_reason

#: Timeouts in seconds for a scheduler's answer, and for the return of a lost scheduler.
ANSWER, RETURN = 6.0, 120.0
#: Seconds between two looks for lost workers: the list of a thousand is long.
LOOK_EVERY = 1.0
#: Maximum number of outcomes that this process holds; further ones wait on their workers.
MOST_WAITING = 8


@dataclass(frozen=True)
class Workers:
    """The workers that run units.

    Attributes:
        count: processes of a local cluster. None means as many as the CPU cores allow, at
            `threads` each, if Dask is installed, and only this process otherwise.
        scheduler: address of a Dask scheduler, whose workers run the units.
        memory: memory limit of a local worker, such as 4GiB.
        threads: CPU threads of a unit.
    """

    count: int | None = None
    scheduler: str = ""
    memory: str = ""
    threads: int = 1

    def __post_init__(self) -> None:
        for option, value in (("--workers", self.count), ("--memory", self.memory)):
            if self.scheduler and value:
                raise UsageError(
                    f"{option} {value} is for a local cluster: give it to the workers of "
                    f"{self.scheduler} where they are started"
                )

    def processes(self, units: int) -> int:
        """Number of processes of a local cluster; 1 means this process."""
        if self.count is None and find_spec("distributed") is None:
            return 1
        count = self.count or (os.cpu_count() or 1) // self.threads
        return max(1, min(count, units))


@dataclass(frozen=True)
class Outcome:
    """The outcome of a unit.

    Attributes:
        error: one-line error message; empty if there is a value.
        log: details for finding the cause of an error.
    """

    name: str
    value: Any = None
    error: str = ""
    log: str = ""
    seconds: float = 0.0


class Pool:
    """Runs units in this process, one after the other, in the order of submission."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function
        self._units: dict[str, Any] = {}

    def submit(self, name: str, unit: Any) -> None:
        """Add a unit, also while iterating over outcomes."""
        self._units[name] = unit

    def __iter__(self) -> Iterator[Outcome]:
        while self._units:
            name = next(iter(self._units))
            yield run_unit(self._function, name, self._units.pop(name))


class DaskPool(Pool):
    """Runs units on a Dask cluster; outcomes come in the order of completion."""

    def __init__(
        self, function: Callable[[Any], Any], address: Any, say: Callable[[str], None]
    ) -> None:
        super().__init__(function)
        self._address, self._say = address, say
        self._here = environment(function.__module__)
        self._begin(connect(address))
        say(f"dashboard: {self._client.dashboard_link}")
        self._check_versions()
        if not self._known:
            say("no worker has joined yet: units wait for the first one")

    def _begin(self, client: Any) -> None:
        from distributed import CancelledError, as_completed

        room = asyncio.Semaphore(MOST_WAITING)

        class Fetched(as_completed):
            """Fetches a few values ahead, so that a lost worker seldom costs a finished unit."""

            async def _track_future(self, future: Any) -> None:
                with suppress(CancelledError):  # a lost scheduler cancels all: none needs room
                    await future._state.wait()
                    await room.acquire()
                await super()._track_future(future)
                future.release()  # or Dask would compute the value again

            def __next__(self) -> Any:
                found = super().__next__()
                client.loop.add_callback(room.release)
                return found

        self._client, self._futures = client, {}
        self._suspects: list[str] = []
        self._ready = Fetched(loop=client.loop, with_results=True, raise_errors=False)
        self._known, self._looked = self._workers(), time.monotonic()
        for name, unit in self._units.items():
            self._send(name, unit)

    def close(self) -> None:
        self._client.close()

    def submit(self, name: str, unit: Any) -> None:
        super().submit(name, unit)
        self._send(name, unit)

    def _send(self, name: str, unit: Any) -> None:
        # A group, which the first part of a key names, is queued at the scheduler if it is large
        # enough. Dask blames all units that wait at a lost worker, and gives them up after four.
        key = self._function.__name__, name, time.time_ns()
        future = self._client.submit(run_on_worker, self._function, name, unit, self._here, key=key)
        self._futures[future] = name
        self._ready.add(future)

    def __iter__(self) -> Iterator[Outcome]:
        while self._units:
            if alone := not self._futures:
                suspect = self._suspects.pop(0)
                self._send(suspect, self._units[suspect])
            future, value = next(self._ready)
            name = self._futures.pop(future, None)
            if name is None or name not in self._units:
                continue
            outcome = self._outcome(name, value)
            if outcome is None:  # the scheduler is lost, with all futures
                self._begin(self._found_again())
                self._check_versions()
                continue
            self._look_for_lost()
            if _lost_all(value) and not alone:
                self._suspects.append(name)
                self._say(f"{name} was on every worker that was lost: it runs again, alone")
                continue
            del self._units[name]
            yield outcome

    def _outcome(self, name: str, value: Any) -> Outcome | None:
        if isinstance(value, tuple):
            _, error, trace = value
            said, log = (
                type_and_reason(error),
                "".join(traceback.format_exception(None, error, trace)),
            )
            if _lost_all(value):
                last = error.last_worker.address
                said = f"every worker that ran it was lost, the last at {last}"
            return Outcome(name, error=said, log=log)
        if isinstance(value, BaseException):
            return None
        if isinstance(value, str):
            raise UsageError(value)
        return value

    def _found_again(self) -> Any:
        """A new client, once a lost scheduler has been restarted."""
        with suppress(Exception):  # the old client is still reconnecting
            self._client.close(timeout=2)
        self._say(f"lost the scheduler {self._address}: waiting for it, nothing done is lost")
        deadline = time.monotonic() + RETURN
        while isinstance(self._address, str):
            try:
                return connect(self._address)
            except UsageError:
                if time.monotonic() > deadline:
                    break
        raise RunError(
            f"the scheduler {self._address} did not come back: start it, and the same command "
            "goes on where this one stopped"
        )

    def _workers(self) -> set[str]:
        return set(self._client.scheduler_info(n_workers=-1)["workers"])

    def _look_for_lost(self) -> None:
        if time.monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked, now = time.monotonic(), self._workers()
        for address in sorted(self._known - now):
            self._say(f"worker {address} was lost: its unit runs again")
        self._known = now

    def _check_versions(self) -> None:
        module = self._function.__module__
        found = self._client.run(environment, module, on_error="return")
        found = {f"worker {address}": there for address, there in found.items()}
        try:  # the scheduler reads the units too
            found["the scheduler"] = self._client.run_on_scheduler(environment, module)
        except Exception as error:  # of any type, from there
            found["the scheduler"] = error
        for where, there in found.items():
            if problem := differs(where, there, self._here):
                raise UsageError(problem)


def _lost_all(value: Any) -> bool:
    """Whether Dask gave a unit up because the workers that it was on were lost."""
    from distributed import KilledWorker

    return isinstance(value, tuple) and isinstance(value[1], KilledWorker)


@contextmanager
def open_pool(
    function: Callable[[Any], Any], workers: Workers, units: int, say: Callable[[str], None]
) -> Iterator[Pool]:
    """Open a pool that runs `function` on each submitted unit.

    Args:
        function: function of a module that the workers can import.
        workers: where to run the units.
        units: maximum number of units, which limits the workers of a local cluster.
        say: receives lines for the user, such as the dashboard's address.

    Raises:
        UsageError: when the cluster does not answer, has other versions, or Dask is missing.
    """
    processes = workers.processes(units)
    if not units or not (workers.scheduler or workers.memory or processes > 1):
        yield Pool(function)
        return
    with ExitStack() as stack:
        address = workers.scheduler or stack.enter_context(local_cluster(processes, workers.memory))
        pool = DaskPool(function, address, say)
        stack.callback(pool.close)
        yield pool


def connect(address: Any) -> Any:
    """Connect a client to a scheduler, by its address, or to a local cluster.

    Raises:
        UsageError: when no Dask scheduler answers in time.
    """
    if isinstance(address, str):
        reach(address)  # because a failed Client keeps logging errors
    import distributed

    with _no_scheduler(address), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `differs` compares versions instead
        return distributed.Client(address, timeout=ANSWER, set_as_default=False)


def reach(address: str) -> None:
    """Check that a Dask scheduler answers.

    Raises:
        UsageError: when none answers in time.
    """
    distributed = needed("distributed", "cluster", "--scheduler")
    be_quiet()

    async def ask() -> None:
        arguments = distributed.Security().get_connection_args("client")
        async with asyncio.timeout(ANSWER):  # of the handshake too, which has none of its own
            (await distributed.comm.connect(address, timeout=ANSWER, **arguments)).abort()

    with _no_scheduler(address):
        asyncio.run(ask())


@contextmanager
def _no_scheduler(address: Any) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # any type, if another program answers
        late = isinstance(error, TimeoutError)
        said = f"nothing came within {ANSWER:.0f} s" if late else type_and_reason(error)
        raise UsageError(
            f"--scheduler {address}: no Dask scheduler answers there ({said}): "
            "start one with `dask scheduler`, and give the address that it prints"
        ) from error


def run_unit(function: Callable[[Any], Any], name: str, unit: Any) -> Outcome:
    """Run one unit where it is called."""
    started = time.monotonic()
    try:
        value = function(unit)
    except Exception as error:
        log = traceback.format_exc()
        return Outcome(name, None, type_and_reason(error), log, time.monotonic() - started)
    return Outcome(name, value, seconds=time.monotonic() - started)


def run_on_worker(
    function: Callable[[Any], Any], name: str, unit: Any, asked: dict[str, str]
) -> Outcome | str:
    """Run one unit on a worker, which may have joined late; a text says why it may not.

    Args:
        asked: what `environment` gives where the unit comes from.
    """
    from distributed import get_worker

    here = environment(function.__module__)
    where = f"worker {get_worker().address}"
    return differs(where, here, asked) or run_unit(function, name, unit)


def estimate(past: Iterable[float | None], units: int, workers: Workers) -> str:
    """Estimated duration of the units in words, from the seconds of past ones."""
    known = [seconds for seconds in past if seconds]
    if not units or not known:
        return "no past run to estimate the duration from" if units else "nothing is left to run"
    each, at_once = median(known), workers.processes(units)
    said = f"about {_duration(each * units)} of work, by {len(known)} past runs"
    if workers.scheduler or at_once == 1:
        return said
    return f"{said}; {_duration(each * math.ceil(units / at_once))} on {at_once} workers"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def say(line: str) -> None:
    """Print a line on standard error, above a progress bar."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)
