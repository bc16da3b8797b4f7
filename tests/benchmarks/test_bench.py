"""The benchmark's arithmetic and its report; never its times."""

from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        return importlib.import_module("bench")


@pytest.fixture(scope="module")
def pages(bench: Any) -> Any:
    return sys.modules["bench_report"]


@pytest.fixture
def results(bench: Any) -> dict:
    """Numbers made up so that every figure of the report can be told apart."""
    wall = {"erasing": [2.0, 3.0, 4.0], "retraining": [60.0, 60.0, 60.0]}
    steps = {"engine": [0.1, 0.2], "plain": [0.2, 0.2], "naive": [0.4, 0.2]}
    return {
        "quick": True,
        "profile": "smoke",
        "retraining": {
            "erase_steps": 70,
            "train_steps": 701,
            "wall": wall,
            "cpu": wall,
            "wall_ratio": bench.ratio(wall["retraining"], wall["erasing"]),
            "cpu_ratio": bench.ratio(wall["retraining"], wall["erasing"]),
        },
        "steps": {
            "pairs": 96,
            **steps,
            "to_plain": bench.ratio(steps["engine"], steps["plain"]),
            "to_naive": bench.ratio(steps["engine"], steps["naive"]),
        },
        "texts": [
            {
                "tower": "ViT-B-32",
                "rows": 32,
                "context": 77,
                "tokens": 9.25,
                "cut": 0.4,
                "whole": 1.6,
                "ratio": {"median": 0.25, "low": 0.2, "high": 0.3},
            }
        ],
        "pipeline": {
            "batch": 64,
            "pipeline": [5000.0, 5100.0],
            "step": [400.0, 410.0],
            "share": {"median": 0.08, "low": 0.07, "high": 0.09},
        },
        "growth": [
            {
                "concepts": n,
                "drawings": n,
                "drawings_seconds": 0.5,
                "pictures": 8 * n,
                "pictures_a_second": 4321.0,
                "train_step": 0.05,
                "erase_step": 0.06,
                "erase_setup": 0.7,
                "peak_mib": 812.0,
            }
            for n in (16, 1024)
        ],
        "imports": {"erasekit": [0.01, 0.02, 0.03], "open_clip": [3.0, 4.0, 5.0]},
        "machine": {"processor": "A processor", "cores": 2, "torch": "2.14.1"},
    }


def test_a_ratio_is_of_values_of_one_round(bench: Any) -> None:
    assert bench.ratio([60, 60, 60], [2, 3, 6]) == {"median": 20, "low": 10, "high": 30}


def test_pieces_take_turns(bench: Any) -> None:
    order: list[str] = []
    pieces = {name: (lambda n=name: order.append(n)) for name in ("a", "b")}
    seconds = bench.in_turns(pieces, 3)
    assert order == ["a", "b"] * 4  # the first round warms up
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}
    assert all(value >= 0 for values in seconds.values() for value in values)


def test_a_spread_has_the_digits_it_deserves(pages: Any) -> None:
    assert pages.spread({"median": 20.04, "low": 15.0, "high": 30.0}) == "20.0 (15.0 to 30.0)"
    assert pages.spread({"median": 0.625, "low": 0.25, "high": 1.0}) == "0.62 (0.25 to 1.00)"


def test_the_report_says_what_was_measured(pages: Any, results: dict) -> None:
    text = "\n".join(pages.report(results))
    assert "A quick run on a small world" in text
    for cells in (
        "| wall time | 3.0 s | 60.0 s | 20.0 (15.0 to 30.0) |",
        "| erasekit | 150 |  |",
        "| plain open_clip training | 200 | 0.75 (0.50 to 1.00) of it |",
        "| naive CLIPErase | 300 | 0.62 (0.25 to 1.00) of it |",
        "| ViT-B-32 | 32 | 9.2 | 77 | 1600 ms | 400 ms | 0.25 (0.20 to 0.30) of whole |",
        "| 1,024 | 0.5 s | 4321 | 50 ms | 60 ms | 0.7 s | 812 MiB |",
        "| `open_clip` | 4.00 |",
        "| processor | A processor |",
    ):
        assert cells in text
    assert "5050 a second" in text and "0.08 (0.07 to 0.09) of a training step" in text
    assert "A quick run" not in "\n".join(pages.report({**results, "quick": False}))


def test_every_table_is_whole(pages: Any, results: dict) -> None:
    lines = pages.report(results)
    for before, line in itertools.pairwise(lines):
        if before.startswith("|") and line.startswith("|"):
            assert before.count("|") == line.count("|")


def test_the_steps_that_are_compared_run(bench: Any, tiny_experiment) -> None:
    """One step of each, on copies: the original stays as it is."""
    from support import fingerprint

    before = fingerprint(tiny_experiment.original.model)
    for make in (bench.plain_step, bench.naive_step):
        make(tiny_experiment)()
    bench.train_step(tiny_experiment, 8)()
    assert fingerprint(tiny_experiment.original.model) == before


def test_the_machine_has_no_name(pages: Any) -> None:
    import socket

    facts = pages.machine()
    assert {"processor", "cores", "threads", "python", "torch"} <= set(facts)
    assert socket.gethostname() not in " ".join(map(str, facts.values()))
