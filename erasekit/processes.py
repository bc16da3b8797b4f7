"""Data-parallel erasure with several processes, and the end of child processes.

`accelerate launch` starts the same program several times. At each step, every process encodes
its share of the rows, features are gathered, and gradients are averaged, so that all processes
have the same weights. The main process does everything else (training, evaluation, writing
files) while the others wait. In a run with one process, these functions do nothing and need no
torch.
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
#: Timeout for other processes; long, because the main one may be training an oracle.
_PATIENCE = timedelta(days=7)
_alone: ContextVar[bool] = ContextVar("alone", default=False)


def launched() -> int:
    """Number of processes that a launcher started; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1


def rank() -> int:
    """The number of this process, 0 for the main one."""
    return int(os.environ["RANK"]) if launched() > 1 else 0


def is_main() -> bool:
    """Whether this process writes files and shows progress."""
    return rank() == 0


def several() -> bool:
    """Whether the current work is shared with other processes."""
    return launched() > 1 and not _alone.get()


def join(device: str = "auto") -> torch.device | None:
    """Join the other processes, once.

    Args:
        device: auto, cpu or cuda. On GPUs, each process gets its own.

    Returns:
        the device of this process; None if there are no other processes.

    Raises:
        UsageError: when `accelerate` is not installed, and for an unsupported device.
        RunError: when the other processes cannot be reached.
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
    """Run `make` on the main process only, and return its value on all processes.

    The value is sent as a pickle. An erasekit error is raised on the main process, and ends the
    others silently.
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
    """The rows of a step that this process encodes: all of them in a run with one process.

    Raises:
        UsageError: when there are fewer rows than processes.
    """
    if not several():
        return rows
    edges = _edges(len(rows))
    return rows[edges[rank()] : edges[rank() + 1]]


def shares(n: int) -> list[int]:
    """Number of rows, out of n, that each process encodes."""
    edges = _edges(n)
    return [end - start for start, end in pairwise(edges)]


def gather(mine: Tensor, rows: int | Sequence[int]) -> Tensor:
    """Gather the features of all rows from all processes; differentiable.

    Every process computes the same loss over all rows, and gradients are averaged afterwards. For
    weights of the encoder, each process only has the gradient of its own rows; this is multiplied
    by the number of processes, so that the average is the whole gradient. Weights of the loss,
    such as the logit scale, have the whole gradient on every process.

    Args:
        mine: features of this process, shape (rows of this process, d).
        rows: total number of rows, or the number of rows of each process.
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
    """Average each tensor over the processes, in place; results are bit-identical on all."""
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
    """Whether the flag is true on any process."""
    if not several():
        return flag
    import torch
    from torch import distributed

    found = torch.tensor(float(flag), device=_device())
    with _in_touch():
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return bool(found)


def end_children(patience: float = 10.0) -> None:
    """End every process that `multiprocessing` started from this one.

    Args:
        patience: seconds for each to end by itself (papermill shuts its kernel down) before it is
            killed; a kernel without a parent ends by itself.
    """
    children = multiprocessing.active_children()
    for process in children:
        process.terminate()
    for process in children:
        process.join(patience)
        if process.is_alive():
            process.kill()


def _edges(n: int) -> list[int]:
    """Boundaries that split n rows into shares as even as possible."""
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
    """Convert communication errors to a one-line error.

    Raises:
        RunError: when another process has ended.
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
