"""Several processes: one erasure shared among them, and ending what was started from here.

`accelerate launch` starts the same program several times. At each step every process encodes
its share of the rows, all know all features, and gradients are averaged, so that the weights
are the same everywhere. What is not shared (training, evaluating, every file that is written)
the main one does alone while the others wait. In an ordinary run each function here does
nothing; none needs torch then.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from erasekit.errors import ErasekitError, RunError, UsageError, reason

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")
#: How long one may wait for the others: the main one may be training an oracle.
_PATIENCE = timedelta(days=7)
_alone: ContextVar[bool] = ContextVar("alone", default=False)


def launched() -> int:
    """How many processes a launcher started; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1


def rank() -> int:
    """The number of this process, 0 for the main one."""
    return int(os.environ["RANK"]) if launched() > 1 else 0


def is_main() -> bool:
    """Whether this process writes files and shows progress."""
    return rank() == 0


def several() -> bool:
    """Whether what is done now is shared with other processes."""
    return launched() > 1 and not _alone.get()


def join(device: str = "auto") -> torch.device | None:
    """Meet the other processes, once; the device of this one, or None where there are no others.

    Args:
        device: auto, cpu or cuda. Each process gets a GPU of its own, where there are any.

    Raises:
        UsageError: without `accelerate`, and for a device that cannot be shared so.
        RunError: when the others are not found.
    """
    if not several():
        return None
    if device == "mps":
        raise UsageError("device 'mps' is one: start one process, or use device 'cpu'")
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise UsageError(
            "several processes need accelerate: pip install 'erasekit[scale]'"
        ) from error
    import torch

    told = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("true", "1", "yes")
    cpu = device == "cpu" or (device == "auto" and (told or not torch.cuda.is_available()))
    with _in_touch():
        return PartialState(cpu=cpu, timeout=_PATIENCE).device


def on_main(make: Callable[[], T]) -> T:
    """What `make` gives on the main process, where alone it runs; all others wait for it.

    The value goes to the others as a pickle. An erasekit error is raised on the main process,
    and ends the others without a word.
    """
    if not several():
        return make()
    outcome: list[Any] = [None, None]
    caught: ErasekitError | None = None
    if is_main():
        token = _alone.set(True)
        try:
            outcome[0] = make()
        except ErasekitError as error:
            caught = error
            outcome[1] = error.exit_code
        finally:
            _alone.reset(token)
    from torch import distributed

    with _in_touch():
        distributed.broadcast_object_list(outcome, src=0, device=_device())
    if caught is not None:
        raise caught
    if outcome[1] is not None:
        raise SystemExit(outcome[1])
    return outcome[0]


def share(rows: Tensor) -> Tensor:
    """The rows of a step that this process encodes: all of them, if it is alone.

    Raises:
        UsageError: when there are fewer rows than processes.
    """
    if not several():
        return rows
    edges = _edges(len(rows))
    return rows[edges[rank()] : edges[rank() + 1]]


def shares(n: int) -> list[int]:
    """How many of n rows each process encodes."""
    edges = _edges(n)
    return [end - start for start, end in pairwise(edges)]


def gather(mine: Tensor, rows: int | Sequence[int]) -> Tensor:
    """The features of all rows, from what each process made of its share; differentiable.

    Every process computes the same loss of all rows, and gradients are averaged afterwards.
    A weight that features come from gets its gradient in parts, one from each process, and
    what is averaged must be so many times a part; a weight of the loss itself, as the logit
    scale, gets its whole gradient everywhere.

    Args:
        mine: shape (rows of this process, d).
        rows: how many there are, or how many each process has.
    """
    if not several():
        return mine
    import torch
    from torch import distributed
    from torch.nn.functional import pad

    count = launched()
    sizes = shares(rows) if isinstance(rows, int) else rows
    sent = pad(mine.detach(), (0, 0, 0, max(sizes) - len(mine))).contiguous()
    parts = [sent.new_empty(sent.shape) for _ in sizes]
    with _in_touch():
        distributed.all_gather(parts, sent)
    parts = [part[:size] for part, size in zip(parts, sizes, strict=True)]
    if mine.requires_grad:
        mine = mine.view_as(mine)
        mine.register_hook(lambda gradient: gradient * count)
    parts[rank()] = mine
    return torch.cat(parts)


def average(tensors: Sequence[Tensor]) -> None:
    """Give each tensor its mean over the processes, in place: the same bits in all of them."""
    if not several() or not tensors:
        return
    import torch
    from torch import distributed

    flat = torch.cat([tensor.flatten() for tensor in tensors])
    with _in_touch():
        distributed.all_reduce(flat)
    flat /= launched()
    for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))


def any_of(flag: bool) -> bool:
    """Whether it is so on any of the processes."""
    if not several():
        return flag
    import torch
    from torch import distributed

    found = torch.tensor(float(flag), device=_device())
    with _in_touch():
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return bool(found)


def end_children(patience: float = 10.0) -> None:
    """End every process that `multiprocessing` started from here.

    Args:
        patience: seconds that each has for ending its own affairs (papermill takes its kernel
            down) before it is killed; a kernel without a parent ends itself.
    """
    children = multiprocessing.active_children()
    for process in children:
        process.terminate()
    for process in children:
        process.join(patience)
        if process.is_alive():
            process.kill()


def _edges(n: int) -> list[int]:
    """Where n rows are cut into shares, as even as they can be."""
    count = launched()
    if n < count:
        raise UsageError(f"{count} processes cannot share {n} rows: start fewer, or raise a batch")
    return [n * i // count for i in range(count + 1)]


def _device() -> torch.device:
    from accelerate import PartialState

    device = PartialState().device
    assert device is not None
    return device


@contextlib.contextmanager
def _in_touch() -> Iterator[None]:
    """What goes wrong between processes, as one line.

    Raises:
        RunError: when another process is gone.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, ErasekitError):
            raise
        raise RunError(
            f"lost the other processes of this run ({reason(error).split('. ')[0]}): "
            "start all of them again, and they go on from the last checkpoint"
        ) from error
