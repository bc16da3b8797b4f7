"""Give the committed records the keys of today's code, after a change that leaves results alone.

A key holds the fingerprint of the code behind a result, so any change of that code makes every
record look stale. Recompute some results first (`--check N`): each must agree with its record.

    python benchmarks/rekey_records.py --check 2
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from erasekit.experiment.language_experiment import load
from erasekit.files import write_text
from erasekit.leaderboard import answer_run, records
from erasekit.leaderboard.plan import settings_of, tasks_of
from erasekit.leaderboard.run import Unit, _Bench


def key_of_clip(record: Mapping[str, Any]) -> str:
    """The key of a CLIP's record by today's code."""
    names = ("profile", "task", "seed", "split", "method", "trial")
    task = tasks_of(record["profile"])[record["task"]]
    settings = asdict(settings_of(record["profile"], task, record["seed"]))
    settings.pop("draws")
    return records.key_of({**{name: record[name] for name in names}, "settings": settings})


def key_of_language_model(record: Mapping[str, Any]) -> str:
    """The key of a language model's record by today's code."""
    experiment = load(
        record["profile"], seed=record["seed"], forget=record["forget"], threads=1, progress=False
    )
    asked = answer_run._asked(experiment, record["method"], record["trial"], record["split"])
    return answer_run._key(asked)


def rekey(path: Path, key: Callable[[Mapping[str, Any]], str]) -> int:
    """Write the file anew with today's keys; how many keys changed."""
    lines, changed = [], 0
    for record in records.Records(path).read():
        now = key(record)
        changed += now != record["key"]
        lines.append(json.dumps({**record, "key": now}, ensure_ascii=False, allow_nan=False))
    write_text(path, "\n".join(lines) + "\n")
    return changed


def check(count: int) -> None:
    """Recompute the first `count` trials of every method on one task, and print how they agree."""
    found = [r for r in records.Records(records.SHIPPED).read() if r["task"] == "one_group"]
    trials = [r for r in found if r["split"] == "validation" and r["metrics"]]
    bench = _Bench(Unit("benchmark", "one_group", 0, (), tuning=True))
    for method in dict.fromkeys(record["method"] for record in trials):
        for record in [r for r in trials if r["method"] == method][:count]:
            metrics = bench.result(record)["metrics"]
            apart = max(abs(metrics[name] - value) for name, value in record["metrics"].items())
            print(f"{method:24} largest difference of a measure {apart:.4f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", type=int, default=0, metavar="N", help="trials of each method")
    given = parser.parse_args()
    if given.check:
        check(given.check)
    for path, key in (
        (records.SHIPPED, key_of_clip),
        (answer_run.SHIPPED, key_of_language_model),
    ):
        print(f"{path.name}: {rekey(path, key)} keys changed")
