"""Compare the methods for multimodal language models, over seeds, and write the page.

    python benchmarks/compare_mllm.py --out runs/mllm.jsonl                  # default: an hour
    python benchmarks/compare_mllm.py --profile smoke --seeds 0 --out runs/mllm.jsonl

Results are appended as they come; what is in the file is not run again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from erasekit.cluster import Workers
from erasekit.leaderboard.answer_page import write_page
from erasekit.leaderboard.answer_summary import comparison_table
from erasekit.leaderboard.plan import LANGUAGE, pick_methods
from erasekit.leaderboard.run import run_benchmark


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="default")
    parser.add_argument("--forget", default="fruit")
    parser.add_argument("--methods", nargs="+", default=["all"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, required=True, help="file of results")
    parser.add_argument("--workers", type=int, default=1, help="processes at once")
    parser.add_argument("--page", type=Path, help="folder that receives the page")
    given = parser.parse_args()
    methods = pick_methods(given.methods, LANGUAGE)
    records = run_benchmark(
        given.profile,
        methods,
        [given.forget],
        given.seeds,
        given.out,
        kind=LANGUAGE,
        workers=Workers(given.workers),
    ).read()
    print(comparison_table(records).round(3).to_string())
    if given.page:
        print(write_page(records, given.page))


if __name__ == "__main__":
    main()
