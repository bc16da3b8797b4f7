"""How far the scorecard of a profile moves with nothing but the seed, as its tolerance.

Another processor sums in another order, and training turns that into another model of
the same quality: much as another seed does. The tolerance of a model, metric and subset
is one and a half times the largest difference between the reference and the given
seeds (a few seeds do not show the widest), and at least 0.05. On another processor than
the reference's its own seed says something too, and `--widen` keeps what was measured before.

    python benchmarks/measure_tolerance.py --profile smoke --seeds 1 2 3    # 1 minute a seed
    python benchmarks/measure_tolerance.py --profile default --seeds 1 2    # 6 minutes a seed
    python benchmarks/measure_tolerance.py --profile smoke --seeds 0 1 2 3 4 5 --threads 1 --widen
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict

import erasekit
from erasekit.evaluate.scorecard import Row
from erasekit.files import read_json, write_json
from erasekit.tutorial.reference import reference_path, tolerance_key

LEAST, FACTOR = 0.05, 1.5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=2, help="they too change how sums come out")
    parser.add_argument(
        "--widen", action="store_true", help="keep a committed tolerance where it is wider"
    )
    given = parser.parse_args()
    path = reference_path(given.profile)
    reference = read_json(path)
    widest: dict[str, float] = defaultdict(lambda: LEAST)
    for seed in given.seeds:
        experiment = erasekit.load(given.profile, seed=seed, threads=given.threads)
        erased = experiment.erase()
        card = experiment.evaluate({"erased": erased, "control": experiment.control(erased.steps)})
        for row in reference["scorecard"]["rows"]:
            found = card.value(row["model"], row["metric"], row["subset"], row["direction"])
            key = tolerance_key(Row(**row))
            widest[key] = max(widest[key], FACTOR * abs(found - row["value"]))
    before = reference["tolerance"] if given.widen else {}
    reference["tolerance"] = {
        k: max(before.get(k, 0.0), math.ceil(round(100 * v, 3)) / 100)
        for k, v in sorted(widest.items())
    }
    how = (
        f"{FACTOR} times the largest difference to seeds {', '.join(map(str, given.seeds))}, "
        f"at least {LEAST}: "
        f"python benchmarks/measure_tolerance.py --profile {given.profile} "
        f"--seeds {' '.join(map(str, given.seeds))} --threads {given.threads}"
    )
    if given.widen:
        how = f"{reference['how_tolerance_was_set']}; then, on another processor, {how} --widen"
    reference["how_tolerance_was_set"] = how
    write_json(path, reference)
    print(f"{path}: {reference['tolerance']}")


if __name__ == "__main__":
    main()
