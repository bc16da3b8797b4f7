"""Give the committed records today's keys, once a change is known to leave results alone.

A key holds the fingerprint of the code behind a result, so any change of that code makes every
record look stale. Recompute some results first (`--check N`): each must agree with its record.

    python benchmarks/rekey_records.py --check 2
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from erasekit.files import write_text
from erasekit.leaderboard import records
from erasekit.leaderboard.plan import CLIP, LANGUAGE, Kind
from erasekit.leaderboard.run import Unit


def unit_of(record: Mapping[str, Any], kind: Kind) -> Unit:
    """The unit that makes a record."""
    tuning = record["split"] == "validation"
    return Unit(record["profile"], record[kind.task_field], record["seed"], (), tuning, kind)


def rekey(path: Path, kind: Kind) -> int:
    """Write the file anew with today's keys; how many keys changed."""
    lines, changed = [], 0
    for record in records.Records(path).read():
        now = unit_of(record, kind).key(record)
        changed += now != record["key"]
        lines.append(json.dumps({**record, "key": now}, ensure_ascii=False, allow_nan=False))
    write_text(path, "\n".join(lines) + "\n")
    return changed


def check(count: int) -> None:
    """Recompute the first `count` trials of every method on one task, and print how they agree."""
    found = [r for r in records.Records(records.SHIPPED).read() if r["task"] == "one_group"]
    trials = [r for r in found if r["split"] == "validation" and r["metrics"]]
    bench = unit_of(trials[0], CLIP).bench()
    for method in dict.fromkeys(record["method"] for record in trials):
        for record in [r for r in trials if r["method"] == method][:count]:
            metrics = bench.result(method, record["trial"], "validation")["metrics"]
            apart = max(abs(metrics[name] - value) for name, value in record["metrics"].items())
            print(f"{method:24} largest difference of a measure {apart:.4f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", type=int, default=0, metavar="N", help="trials of each method")
    given = parser.parse_args()
    if given.check:
        check(given.check)
    for path, kind in ((records.SHIPPED, CLIP), (records.SHIPPED_LANGUAGE, LANGUAGE)):
        print(f"{path.name}: {rekey(path, kind)} keys changed")
