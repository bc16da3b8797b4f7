"""Choice of device, mixed precision, and reproducible computation."""

from __future__ import annotations

import contextlib
import os
import random
import warnings
from collections.abc import Iterator

import numpy as np
import psutil
import torch

from erasekit import processes
from erasekit.errors import RunError, UsageError
from erasekit.settings import check


def resolve_device(name: str = "auto") -> torch.device:
    """The device called `name`; ``auto`` takes cuda, then mps, then cpu.

    With several processes, this joins them, and each gets its own device.

    Raises:
        UsageError: for an unknown name.
        RunError: for a device that this machine does not have.
    """
    check("device", name)
    have = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto" and not processes.several():
        name = next(n for n in ("cuda", "mps", "cpu") if have[n])
    if not have.get(name, True):
        raise RunError(f"device '{name}' was asked for, but there is none here: use device 'auto'")
    return processes.join(name) or torch.device(name)


@contextlib.contextmanager
def repeatable(seed: int, threads: int = 2) -> Iterator[None]:
    """Seed every generator, fix the thread count, and allow only deterministic kernels.

    The thread count changes sums in the sixth digit, so runs are equal only with equal thread
    counts. The previous state is restored when the block ends.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    state = random.getstate(), np.random.get_state()
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # pyright: ignore
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(True)
            # Filling only helps to find reads of unwritten memory, and costs 10 % of a step.
            torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore
            yield
    finally:
        random.setstate(state[0])
        np.random.set_state(state[1])
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.utils.deterministic.fill_uninitialized_memory = fill  # pyright: ignore


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Context manager for mixed precision; ``auto`` is bf16 on cuda and fp32 elsewhere.

    Mixed precision has only been tested on CPUs.

    Raises:
        UsageError: for fp16 on mps, where gradients cannot be scaled.
    """
    check("precision", precision)
    if precision == "fp16":
        if device.type == "mps":
            raise UsageError("precision 'fp16' needs device 'cuda' (or 'cpu'): use 'fp32' on mps")
        return torch.autocast(device.type, dtype=torch.float16)
    wanted = precision == "bf16" or (
        precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    )
    if not wanted:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def memory(device: torch.device) -> str:
    """Memory in words: the peak of tensors on a GPU so far; elsewhere the process's memory."""
    if device.type == "cuda":
        used = torch.cuda.max_memory_allocated(device)
    else:
        used = psutil.Process().memory_info().rss
    return f"{used / 2**30:.1f} GiB"


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence the messages of libraries during model loading, which need no action."""
    import logging

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
