"""Devices, seeds and precision."""

from __future__ import annotations

import logging
import random

import numpy as np
import pytest
import torch

from erasekit.device import autocast, memory, quiet_libraries, repeatable, resolve_device
from erasekit.errors import RunError, UsageError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(False, False, "cpu"), (True, True, "cuda"), (False, True, "mps"), (True, False, "cuda")],
)
def test_auto_takes_the_best_there_is(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device("auto").type == expected
    assert resolve_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(RunError, match=f"device '{name}' was asked for, but there is none here"):
        resolve_device(name)


def test_an_unknown_device_or_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="device = 'gpu' must be one of auto, cpu, cuda, mps"):
        resolve_device("gpu")
    with pytest.raises(UsageError, match="precision = 'fp8' must be one of"):
        autocast(CPU, "fp8")


def test_precision_is_mixed_where_asked_for() -> None:
    a = torch.ones(4, 4)
    for precision, dtype in (
        ("auto", torch.float32),
        ("fp32", torch.float32),
        ("bf16", torch.bfloat16),
        ("fp16", torch.float16),
    ):
        with autocast(CPU, precision):
            assert (a @ a).dtype is dtype


def test_half_precision_without_scaled_gradients_is_refused() -> None:
    with pytest.raises(UsageError, match="precision 'fp16' needs device 'cuda'"):
        autocast(torch.device("mps"), "fp16")


def test_memory_is_told_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    used = psutil.Process().memory_info().rss / 2**30
    assert float(memory(CPU).removesuffix(" GiB")) == pytest.approx(used, abs=0.2)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**29)
    assert memory(torch.device("cuda")) == "1.5 GiB"


def draw() -> tuple[float, ...]:
    return random.random(), np.random.random(), float(torch.rand(1))


def test_everything_is_seeded_for_a_while() -> None:
    threads = torch.get_num_threads()
    with repeatable(7, threads):
        undisturbed = draw(), draw()
    drawn = []
    with repeatable(7, threads):
        first = draw()
        for seed in (5, 5, 6):
            with repeatable(seed, threads + 1):
                drawn.append(draw())
                assert torch.are_deterministic_algorithms_enabled()
                assert torch.get_num_threads() == threads + 1
        assert torch.get_num_threads() == threads
        assert (first, draw()) == undisturbed
    assert drawn[0] == drawn[1]
    assert all(a != b for a, b in zip(drawn[0], drawn[2], strict=True))
    assert not torch.are_deterministic_algorithms_enabled()


def test_libraries_are_quiet_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    level = logging.getLogger().level
    with quiet_libraries():
        logging.warning("chatter")
    assert logging.getLogger().level == level
    logging.warning("news")
    assert "chatter" not in caplog.text
    assert "news" in caplog.text
