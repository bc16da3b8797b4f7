"""The arithmetic of the simulated cluster; each script keeps the part of the other one."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        return importlib.import_module("cluster")


def test_without_overhead_every_worker_works_all_the_time(script):
    assert script.Plan(workers=10, unit=60, schedule=0, write=0).run() == (600, 0, 1)


def test_the_writer_or_the_scheduler_can_be_the_bottleneck(script):
    done, writing, _ = script.Plan(workers=10, unit=1, schedule=0, write=2).run()
    assert done == (3600 - 1) // 2
    assert writing == pytest.approx(1, abs=1e-3)
    done, writing, working = script.Plan(workers=10, unit=1, schedule=2, write=0).run()
    assert done == (3600 - 1) // 2
    assert working == pytest.approx(1 / 2 / 10, rel=0.01)


def test_the_report_replaces_its_own_part_alone(script, tmp_path, monkeypatch):
    out = tmp_path / "RESULTS.md"
    out.write_text("# What erasing costs\n\n12\n")
    for name, value in (("seconds_of", 2.0), ("writer_seconds", 0.5), ("append_seconds", 0.25)):
        monkeypatch.setattr(script, name, lambda *given, value=value: value)
    monkeypatch.setattr(script, "workers", lambda count: nullcontext("tcp://nowhere:1"))
    script.main(["--out", str(out)])
    first = out.read_text()
    script.main(["--out", str(out)])
    assert first.startswith("# What erasing costs\n\n12\n\n# Units on a cluster\n")
    assert "| ratio | 1.00 |" in first
    assert "| the writer appends a record | 250.0 ms |" in first
    assert out.read_text().count("# Units on a cluster") == 1
