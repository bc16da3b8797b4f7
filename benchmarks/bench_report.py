"""The results of `bench.py` as a page in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from statistics import median


def put_part(path: Path, title: str, lines: Iterable[str]) -> None:
    """Write a part of the results: it replaces the part of the same title, or becomes the last.

    Each script of this folder writes one part, which begins with its title.
    """
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = re.split(r"^(?=# )", before, flags=re.MULTILINE)
    parts = {part.split("\n", 1)[0]: part.strip() for part in found}
    parts.pop("", None)
    parts[title] = "\n".join([title, "", *lines]).strip()
    path.write_text("\n\n".join(parts.values()) + "\n", encoding="utf-8")


def report(results: dict) -> list[str]:
    """The results as lines of Markdown: a sentence and a table for each question."""
    erase, step, data = results["retraining"], results["steps"], results["pipeline"]
    lines = [
        "Written by `make bench`. Ratios are medians over rounds in which the compared pieces "
        "took turns, with the least and the greatest in brackets.",
        "",
    ]
    if results["quick"]:
        lines += ["**A quick run on a small world: it shows that the script works, no more.**", ""]
    lines += [
        "## Erasing against retraining the oracle",
        "",
        f"{erase['erase_steps']} steps of erasing, {erase['train_steps']} of retraining; "
        f"profile {results['profile']}, models and pictures in memory.",
        "",
        *table(
            ["", "erasing", "retraining", "times cheaper"],
            [
                [
                    name,
                    f"{median(erase[key]['erasing']):.1f} s",
                    f"{median(erase[key]['retraining']):.1f} s",
                    spread(erase[f"{key}_ratio"]),
                ]
                for key, name in (("wall", "wall time"), ("cpu", "CPU time"))
            ],
        ),
        "",
        "## One erase step",
        "",
        f"CLIPErase on {step['pairs']} pairs. The naive step runs the towers apart for forget and "
        "retain pairs, and asks the original anew each time. The plain one is open_clip's model "
        "and loss, in training mode, on the same pairs.",
        "",
        *table(
            ["step", "milliseconds", "erasekit's takes"],
            [
                ["erasekit", f"{1000 * median(step['engine']):.0f}", ""],
                [
                    "plain open_clip training",
                    f"{1000 * median(step['plain']):.0f}",
                    f"{spread(step['to_plain'])} of it",
                ],
                [
                    "naive CLIPErase",
                    f"{1000 * median(step['naive']):.0f}",
                    f"{spread(step['to_naive'])} of it",
                ],
            ],
        ),
        "",
        "## Text towers",
        "",
        "Forward and backward pass over captions of the drawn world. Rows are sorted by length, "
        "and cut after the longest of each piece; whole rows are padded to the model's context. "
        "The features are equal up to rounding. The weights of ViT-B-32 are random.",
        "",
        *table(
            ["tower", "captions", "tokens a caption", "context", "whole", "cut", "cut takes"],
            [
                [
                    row["tower"],
                    str(row["rows"]),
                    f"{row['tokens']:.1f}",
                    str(row["context"]),
                    f"{1000 * row['whole']:.0f} ms",
                    f"{1000 * row['cut']:.0f} ms",
                    f"{spread(row['ratio'])} of whole",
                ]
                for row in results["texts"]
            ],
        ),
        "",
        "## The data pipeline",
        "",
        f"Drawing, composing and captioning fresh samples, {data['batch']} at a time: "
        f"{median(data['pipeline']):.0f} a second; a training step takes "
        f"{median(data['step']):.0f} a second. Making a batch costs {spread(data['share'])} of a "
        "training step, and is paid once for each picture, not each epoch.",
        "",
        "## Growth with the number of concepts",
        "",
        "The same model and batch (16 pairs to train, 24 to erase) in worlds of several sizes, "
        "each in a process of its own. Setting up an erasure encodes the original's features "
        "and prompts once.",
        "",
        *table(
            [
                "concepts",
                "rendering the drawings",
                "pictures a second",
                "training step",
                "erase step",
                "setting up",
                "peak memory",
            ],
            [
                [
                    f"{row['concepts']:,}",
                    f"{row['drawings_seconds']:.1f} s",
                    f"{row['pictures_a_second']:.0f}",
                    f"{1000 * row['train_step']:.0f} ms",
                    f"{1000 * row['erase_step']:.0f} ms",
                    f"{row['erase_setup']:.1f} s",
                    f"{row['peak_mib']:.0f} MiB",
                ]
                for row in results["growth"]
            ],
        ),
        "",
        "## Import time",
        "",
        *table(
            ["module", "seconds"],
            [
                [f"`{name}`", f"{median(seconds):.2f}"]
                for name, seconds in results["imports"].items()
            ],
        ),
        "",
        "## The machine",
        "",
        *table(["", ""], [[name, str(value)] for name, value in results["machine"].items()]),
        "",
    ]
    return lines


def machine() -> dict:
    """What the numbers were measured on; no names of hosts or people."""
    from erasekit.runs.provenance import provenance

    found = provenance()
    return {k: found[k] for k in ("processor", "cores", "memory_gib", "threads", "platform")} | {
        "python": found["python"],
        **found["packages"],
    }


def spread(found: dict[str, float]) -> str:
    """A ratio with its least and greatest: ``14.2 (13.8 to 15.0)``."""
    digits = 1 if found["median"] >= 10 else 2
    return f"{found['median']:.{digits}f} ({found['low']:.{digits}f} to {found['high']:.{digits}f})"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a Markdown table."""
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
