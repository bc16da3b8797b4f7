"""The tables of README.md, made from committed results: python docs/readme_tables.py

The first is from the reference scorecard of the default profile, the second from the leaderboard's
records. A test compares both with README.md.
"""

from __future__ import annotations

from erasekit.files import read_json
from erasekit.leaderboard.records import SHIPPED, Records
from erasekit.leaderboard.summary import FLOOR, NAME_FILTER, gap_table, results
from erasekit.tutorial.reference import reference_path

MODELS = ("original", "erased", "control", "oracle")
#: Heading, metric, subset, and the direction; the mean of all directions where it is None.
ROWS = (
    ("named right (top-1)", "top1", "forget"),
    ("named right (top-1)", "top1", "neighbours"),
    ("named right (top-1)", "top1", "retain"),
    ("scenes found (R@1)", "recall@1", "retain"),
    ("membership AUC", "membership_auc", "forget"),
    ("similarity", "similarity", "forget"),
    ("similarity", "similarity", "neighbours"),
    ("similarity", "similarity", "holdout"),
)
SHOWN = (NAME_FILTER, FLOOR, "never_seen", "ssd", "cliperase", "fine_tune", "original")


def scorecard_table() -> str:
    """What CLIPErase leaves of five fruits, beside original, control and oracle."""
    rows = read_json(reference_path("default"))["scorecard"]["rows"]
    lines = [
        "| measure | pictures of | original | CLIPErase | control | oracle |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for heading, metric, subset in ROWS:
        cells = []
        for model in MODELS:
            found = [
                r["value"]
                for r in rows
                if (r["model"], r["metric"], r["subset"]) == (model, metric, subset)
            ]
            cells.append(_written(metric, sum(found) / len(found)))
        lines.append(f"| {heading} | {subset} | {' | '.join(cells)} |")
    return "\n".join(lines)


def leaderboard_table() -> str:
    """The mean over all tasks of some rows of the leaderboard."""
    means = gap_table(results(Records(SHIPPED).read()))["mean"]
    lines = ["| model | average gap |", "| --- | ---: |"]
    lines += [f"| {name} | {means[name]:.1f} |" for name in means.index if name in SHOWN]
    return "\n".join(lines)


def _written(metric: str, value: float) -> str:
    if metric == "similarity":
        return f"{value:+.2f}"
    return f"{value:.2f}" if metric == "membership_auc" else f"{100 * value:.1f} %"


if __name__ == "__main__":
    print(scorecard_table(), leaderboard_table(), sep="\n\n")
