"""What a person reads: the report of a run, the tutorial's page, and notebooks as pages.

Every page stands alone: style and pictures are in it, and nothing comes from a network.
A report is made from the files of its run folder, so it can be made again at any time.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape

from erasekit import __version__
from erasekit.audit.audit_result import Audit, AuditRow
from erasekit.audit.verdict import AS_THE_ORACLE, LESS, MORE
from erasekit.errors import RunError
from erasekit.evaluate.scorecard import Scorecard
from erasekit.files import read_json, write_text
from erasekit.runs.run_folder import AUDIT

REPORT_FILE = "report.html"
#: Top-1 on the forgotten up to which they count as forgotten, and the drop on the
#: retained up to which they count as kept. The glossary on the page says so too.
FORGOTTEN_AT_MOST, DROP_AT_MOST = 0.05, 0.10

_MEASURES = {
    "top1": "top-1",
    "top5": "top-5",
    "top1_among_forgotten": "top-1 among forgotten names",
    "recall@1": "R@1",
    "recall@5": "R@5",
    "recall@10": "R@10",
    "similarity": "similarity",
    "neighbourhood_kept": "neighbourhood kept",
    "membership_auc": "membership AUC",
}
_CAPTIONS = {
    "forget_retain": "Forgotten against retained: the nearer to the oracle, the better. "
    "Bars are 95 % intervals over concepts.",
    "scorecard_bars": "Zero-shot top-1 and similarity of each model on each subset, with "
    "95 % intervals.",
    "similarity_distributions": "Similarity of every test picture with its own name. "
    "What the erased model does to holdout concepts shows whether forgetting spread.",
    "similarity_matrix": "Pictures (rows) against names (columns). The forgotten come first "
    "and are framed.",
    "embedding_shift": "Where each concept stood before (dot) and stands after (drawing), in "
    "one map fitted on both models. In t-SNE, only nearness has a meaning.",
    "retrieval_gallery": "The five pictures that a name finds first, before and after. Right "
    "ones have a thick frame and a tick.",
    "loss_terms": "Each term of the loss over the steps, weights included; below, top-1 on "
    "the validation split.",
    "compare": "Several runs side by side.",
    "audit_verdicts": "Of each audit test the value that decides its verdict. Zero is the "
    "mean of the oracles, the grey band how far oracles differ among themselves; without an "
    "oracle, zero is the original.",
    "audit_relearning_curves": "How fast each model relearns the forgotten from a few pairs. The "
    "oracle, which never knew them, sets the pace.",
    "audit_readable_layers": "How well a linear probe reads the forgotten concepts off each layer.",
    "audit_language_map": "Top-1 on each forgotten concept, named in each language; a dash where "
    "the original does not know it by that name.",
    "audit_collateral": "The retained concepts that lost most, chosen on validation and measured "
    "on test.",
}
# The tutorial's notebooks call some of them by a shorter name.
_CAPTIONS |= {
    "scorecard": _CAPTIONS["scorecard_bars"],
    "ablation": _CAPTIONS["scorecard_bars"],
    "similarity": _CAPTIONS["similarity_distributions"],
    "matrix": _CAPTIONS["similarity_matrix"],
    "tsne": _CAPTIONS["embedding_shift"],
    "pca": "The same shift along the first two principal components, where directions and "
    "lengths have a meaning.",
    "gallery": _CAPTIONS["retrieval_gallery"],
    "loss": _CAPTIONS["loss_terms"],
    "concepts": "Every drawing of this world, by group; the dashed ones are held out.",
    "pictures": "Pictures with their captions.",
    "singles": "Pictures of one concept, with their captions.",
    "scenes": "Scenes of two and three concepts, with their captions.",
    "forget_set": "Pairs of the forget set.",
}
#: Pictures of an audit begin with this; those named here are shown, the others are folded.
_OF_AUDIT = "audit_"
_AUDIT_MAIN = (
    "audit_verdicts",
    "audit_relearning_curves",
    "audit_readable_layers",
    "audit_language_map",
    "audit_collateral",
)
_MOODS = {AS_THE_ORACLE: "good", LESS: "bad", MORE: "bad"}
_MAIN = ("forget_retain", "scorecard", "audit_verdicts", "similarity", "tsne", "matrix", "gallery")


@dataclass(frozen=True)
class Sentence:
    """One line of the verdict: how it reads, and whether it is good news."""

    lead: str
    text: str
    mood: str  #: good, bad or plain


def headline(scorecard: Scorecard) -> list[Sentence]:
    """What the scorecard says, in plain words: forgotten? kept? and against the oracle?

    Raises:
        RunError: when there is no erased model in it.
    """
    if "erased" not in scorecard.models:
        raise RunError("the scorecard has no erased model: there is nothing to tell of")
    sentences = [_forgotten(scorecard), _kept(scorecard)]
    if "oracle" in scorecard.models:
        sentences.append(_against_oracle(scorecard))
        sentences.append(_average(scorecard))
    else:
        text = "How far from retraining this is cannot be said: there is no oracle in this run."
        sentences.append(Sentence("No oracle.", text, "plain"))
    return sentences


def _forgotten(card: Scorecard) -> Sentence:
    metric, (measure, things) = card.main_metric, _main(card)
    before, after = (card.value(m, metric, "forget") for m in ("original", "erased"))
    text = f"{measure} on the forgotten {things} went from {_percent(before)} to {_percent(after)}"
    if "oracle" in card.models:
        text += f"; the oracle has {_percent(card.value('oracle', metric, 'forget'))}"
    if after <= FORGOTTEN_AT_MOST:
        return Sentence("Forgotten.", text + ".", "good")
    lead = "Forgotten in part." if after <= before / 2 else "Not forgotten."
    return Sentence(lead, text + ".", "bad")


def _kept(card: Scorecard) -> Sentence:
    metric, (measure, things) = card.main_metric, _main(card)
    before, after = (card.value(m, metric, "retain") for m in ("original", "erased"))
    text = f"{measure} on the retained {things} went from {_percent(before)} to {_percent(after)}"
    near_before = near_after = 0.0
    if card.has(metric, "neighbours"):
        near_before, near_after = (
            card.value(m, metric, "neighbours") for m in ("original", "erased")
        )
        text += (
            f", on the neighbours of the forgotten from {_percent(near_before)} to "
            f"{_percent(near_after)}"
        )
    if "control" in card.models:
        control = card.value("control", metric, "retain")
        text += f"; further training alone, without forgetting, gives {_percent(control)} retained"
    if before - after > DROP_AT_MOST:
        return Sentence("Damaged.", text + ".", "bad")
    if near_before - near_after > DROP_AT_MOST:
        return Sentence("Kept, but the neighbours are damaged.", text + ".", "bad")
    return Sentence("Kept.", text + ".", "good")


def _main(card: Scorecard) -> tuple[str, str]:
    """What the first sentences measure, and on what."""
    return ("Top-1", "concepts") if card.main_metric == "top1" else ("R@1", "pairs")


def _against_oracle(card: Scorecard) -> Sentence:
    erased, oracle = (_row(card, m, "similarity", "forget") for m in ("erased", "oracle"))
    text = (
        f"Pictures of the forgotten have a similarity of {_signed(erased.value)} with their names, "
        f"against {_signed(oracle.value)} in the oracle, which never learned them "
        f"(gap {_points(card.gap('similarity', 'forget'))} points)."
    )
    if erased.high < oracle.low:
        return Sentence("Forgot more than the oracle.", text, "bad")
    if erased.low > oracle.high:
        return Sentence("Forgot less than the oracle.", text, "bad")
    return Sentence("About as the oracle.", text + " The two intervals overlap.", "good")


def _average(card: Scorecard) -> Sentence:
    text = f"{card.average_gap():.1f} points away from the oracle"
    if "control" in card.models:
        text += (
            f"; the control, which forgets nothing on purpose, {card.average_gap('control'):.1f}"
        )
    text += f"; the original {card.average_gap('original'):.1f}."
    return Sentence("Average gap:", text, "plain")


def _audited(audit: Audit, pictures: Sequence[Path]) -> dict[str, Any]:
    """The audit as a reader meets it: the verdicts, the pictures, then every value."""
    drawn = {path.stem: path for path in pictures if path.stem.startswith(_OF_AUDIT)}
    main = [drawn[name] for name in _AUDIT_MAIN if name in drawn]
    tests = []
    for found in audit.tests:
        own = drawn.get(f"{_OF_AUDIT}values_{found.name}")
        rows = [row for row in audit.rows if row.test == found.name]
        tests.append(
            {
                "report": found,
                "mood": _MOODS.get(found.verdict, "plain"),
                "figures": _figures([own] if own else []),
                "lines": [_audit_line(row) for row in rows],
            }
        )
    return {
        "verdict": audit.verdict,
        "oracles": len(audit.oracles),
        "gap": "gap" if audit.oracles else "gap to the original",
        "tests": tests,
        "figures": _figures(main),
    }


def _audit_line(row: AuditRow) -> dict[str, str]:
    number = _signed if "similarity" in row.metric else lambda v: f"{v:.2f}"
    return {
        "what": " ".join(filter(None, [row.metric.replace("_", " "), row.condition])),
        "model": row.model,
        "value": number(row.value),
        "interval": f"{number(row.low)} to {number(row.high)}",
        "gap": "" if row.gap is None else _points(100 * row.gap),
        "margin": "" if row.margin is None else f"{100 * row.margin:.1f}",
        "verdict": row.verdict or "",
    }


def _row(card: Scorecard, model: str, metric: str, subset: str) -> Any:
    for row in card.rows:
        if (row.model, row.metric, row.subset) == (model, metric, subset):
            return row
    raise RunError(f"the scorecard has no {metric} on {subset} for {model}")


def score_table(scorecard: Scorecard) -> dict[str, Any]:
    """The scorecard as text: models, and for each measure its cells and its gap.

    Directions of one measure are averaged, value and interval ends alike.
    """
    models = scorecard.models
    has_gap = {"erased", "oracle"} <= set(models)
    wanted = list(dict.fromkeys((row.metric, row.subset) for row in scorecard.rows))
    order = list(_MEASURES)
    wanted.sort(key=lambda pair: order.index(pair[0]) if pair[0] in order else len(order))
    lines = []
    for metric, subset in wanted:
        line: dict[str, Any] = {
            "label": f"{_MEASURES.get(metric, metric)}, {subset}",
            "cells": [_cell(scorecard, model, metric, subset) for model in models],
        }
        if has_gap:
            line["gap"] = _points(scorecard.gap(metric, subset))
        lines.append(line)
    return {"models": models, "has_gap": has_gap, "lines": lines}


def _cell(card: Scorecard, model: str, metric: str, subset: str) -> dict[str, str]:
    rows = [r for r in card.rows if (r.model, r.metric, r.subset) == (model, metric, subset)]
    if not rows:
        return {"value": "–", "interval": ""}
    value, low, high = (
        sum(getattr(row, name) for row in rows) / len(rows) for name in ("value", "low", "high")
    )
    if metric == "similarity":
        return {"value": _signed(value), "interval": f"{_signed(low)} to {_signed(high)}"}
    if metric == "membership_auc":
        return {"value": f"{value:.2f}", "interval": f"{low:.2f} to {high:.2f}"}
    return {"value": _percent(value), "interval": f"{100 * low:.1f} to {100 * high:.1f}"}


def _percent(value: float) -> str:
    return f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _points(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def write_report(folder: Path) -> Path:
    """Make `report.html` of a run folder from the files in it.

    Args:
        folder: with params.json, provenance.json and scorecard.json; pictures in
            `figures/` are embedded where there are any.

    Raises:
        RunError: when a file is missing or damaged.
    """
    folder = Path(folder)
    params = read_json(folder / "params.json")
    provenance = read_json(folder / "provenance.json")
    scorecard = Scorecard.load(folder / "scorecard.json")
    task = scorecard.task
    audited = Audit.load(folder / AUDIT) if (folder / AUDIT).is_file() else None
    pictures = sorted((folder / "figures").glob("*.png"), key=_figure_order)
    html = _render(
        "report.html",
        name=folder.resolve().name,
        forgotten=_listed(task.get("forget", [])),
        sentences=headline(scorecard),
        asked=_asked(params, task),
        table=score_table(scorecard),
        costs=costs(scorecard),
        ratio=_ratio(scorecard),
        figures=_figures([path for path in pictures if not path.stem.startswith(_OF_AUDIT)]),
        audit=_audited(audited, pictures) if audited else None,
        parameters=_flat(params),
        provenance=_flat(provenance),
    )
    return write_text(folder / REPORT_FILE, html)


def write_comparison_page(table: pd.DataFrame, figure: Path, path: Path) -> Path:
    """Make the page that lays runs side by side.

    Args:
        table: a line a run, named by the index; cells are text.
        figure: the picture to show below.
        path: the file to write.

    Raises:
        RunError: when the picture cannot be read or the page not written.
    """
    html = _render(
        "compare.html",
        columns=list(table.columns),
        lines=[(name, list(cells)) for name, *cells in table.itertuples()],
        figures=_figures([figure]),
    )
    return write_text(path, html)


def write_index(
    folder: Path,
    notebooks: Sequence[dict[str, Any]],
    scorecard: Scorecard | None,
    figures: Sequence[Path],
    verdict: str = "",
) -> Path:
    """Make the tutorial's `index.html`, with a link to each rendered notebook.

    Args:
        folder: receives the page; links are relative to it.
        notebooks: for each name, title, html, ipynb (paths, empty if there is none),
            seconds and status.
        scorecard: the main result, if there is one.
        figures: pictures; the main ones are shown, the others folded.
        verdict: how the results stand against the reference, in words.
    """
    folder = Path(folder)
    lines = [
        {
            "title": notebook.get("title") or notebook["name"],
            "html": _link(notebook.get("html"), folder),
            "ipynb": _link(notebook.get("ipynb"), folder),
            "status": notebook.get("status", ""),
            "time": _duration(notebook.get("seconds")),
        }
        for notebook in notebooks
    ]
    main = _main_figures(figures)
    html = _render(
        "index.html",
        notebooks=lines,
        more=_figures([path for path in figures if path not in main], folder),
        sentences=headline(scorecard) if scorecard else [],
        table=score_table(scorecard) if scorecard else None,
        figures=_figures(main, folder),
        verdict=verdict,
    )
    return write_text(folder / "index.html", html)


def render_notebook(ipynb: Path, html: Path) -> Path:
    """Write an executed notebook as a page that needs no network.

    Args:
        ipynb: the notebook with its outputs.
        html: the page to write; it links back to `index.html` in the same folder.

    Raises:
        RunError: when the notebook is missing or damaged.
    """
    # nbconvert takes half a second to import, and a report does not need it.
    import nbformat
    from nbconvert import HTMLExporter
    from nbformat.reader import NotJSONError
    from pygments.formatters import HtmlFormatter

    try:
        notebook = nbformat.read(ipynb, as_version=4)
    except FileNotFoundError as error:
        raise RunError(f"{ipynb} does not exist") from error
    except (NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise RunError(f"{ipynb} is damaged: it is not a notebook") from error
    # The template `basic` gives the cells alone: no script, and nothing from elsewhere.
    exporter = HTMLExporter(template_name="basic", anchor_link_text="")
    cells, _ = exporter.from_notebook_node(notebook)
    cells = _SCRIPT.sub("", cells)
    page = _render(
        "notebook.html",
        title=_title(notebook) or ipynb.stem,
        cells=_NOTEBOOK_LINK.sub(r'href="\1.html', cells),
        highlight=HtmlFormatter(style="default").get_style_defs(".highlight"),
        back="index.html",
    )
    return write_text(html, page)


_SCRIPT = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)
# Notebooks link to each other as files; pages link to pages.
_NOTEBOOK_LINK = re.compile(r'href="(?![a-z]+:)([^"#?]+)\.ipynb')


def _title(notebook: Any) -> str:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("# "):
                    return line[2:].strip()
    return ""


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("erasekit.runs", "templates"),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _render(template: str, **values: Any) -> str:
    css = Path(__file__).with_name("templates").joinpath("page.css").read_text(encoding="utf-8")
    return _environment().get_template(template).render(css=css, version=__version__, **values)


def _asked(params: dict, task: dict) -> list[tuple[str, str]]:
    lines = [
        ("forget", _listed(task.get("forget", []))),
        ("captions in", ", ".join(task.get("forget_languages", []))),
        (
            "pairs",
            f"{task.get('forget_pairs', '?')} to forget, {task.get('retain_pairs', '?')} to retain",
        ),
        ("method", str(params.get("method", "?"))),
    ]
    if options := params.get("options"):
        lines.append(("its options", ", ".join(f"{k} = {v}" for k, v in options.items())))
    lines.append(("profile", str(params.get("profile", "?"))))
    lines.append(("judged on", f"the {task.get('split', 'test')} split"))
    if near := task.get("neighbours"):
        lines.append(("neighbours", _listed(near)))
    return lines


_COST_NAMES = {
    "original": "training the original",
    "erased": "erasing",
    "control": "fine-tuning the control",
    "oracle": "retraining: the oracle",
}


def costs(card: Scorecard) -> list[dict[str, str]]:
    """What each model took, as text: a line a model."""
    names = sorted(card.cost, key=lambda n: list(_COST_NAMES).index(n) if n in _COST_NAMES else 9)
    return [
        {
            "what": str(_COST_NAMES.get(name, name)),
            "steps": str(card.cost[name].get("steps", "–")),
            "seconds": f"{card.cost[name]['seconds']:.1f}" if "seconds" in card.cost[name] else "–",
        }
        for name in names
    ]


def _ratio(card: Scorecard) -> str:
    erased, oracle = (card.cost.get(m, {}).get("seconds", 0) for m in ("erased", "oracle"))
    if not erased or not oracle:
        return ""
    ratio = oracle / erased
    if ratio >= 1:
        return f"Retraining took {ratio:.1f} times as long as erasing."
    return f"Erasing took {1 / ratio:.1f} times as long as retraining."


def _main_figures(paths: Sequence[Path]) -> list[Path]:
    """The last picture of each main kind, in the order of `_MAIN`."""
    last = {_kind(path): path for path in paths}
    return [last[kind] for kind in _MAIN if kind in last]


def _kind(path: Path) -> str:
    """What a picture is, from its file's name, without the number of its notebook."""
    return re.sub(r"^\d+_", "", path.stem)


def _figures(paths: Sequence[Path], beside: Path | None = None) -> list[dict[str, str]]:
    """Address and caption of each picture; those below `beside` are linked, not embedded."""
    figures = []
    for path in map(Path, paths):
        caption = _CAPTIONS.get(_kind(path), _kind(path).replace("_", " "))
        if beside is not None and path.is_relative_to(beside):
            number = re.match(r"\d+(?=_)", path.stem)
            source = f" (Notebook {number[0]})" if number else ""
            figures.append({"uri": _link(path.absolute(), beside), "caption": caption + source})
            continue
        try:
            data = base64.b64encode(path.read_bytes()).decode()
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror or error}") from error
        figures.append({"uri": f"data:image/png;base64,{data}", "caption": caption})
    return figures


def _figure_order(path: Path) -> tuple[int, str]:
    known = list(_CAPTIONS)
    return (known.index(path.stem) if path.stem in known else len(known), path.name)


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as lines of dotted name and text."""
    if isinstance(value, dict) and value:
        return [
            line
            for key, inner in value.items()
            for line in _flat(inner, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return [(prefix, "–" if value in (None, "", {}) else str(value))]


def _listed(names: Sequence[str]) -> str:
    names = list(names)
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _link(path: Path | str | None, folder: Path) -> str:
    if not path:
        return ""
    path = Path(path)
    relative = Path(os.path.relpath(path, folder)) if path.is_absolute() else path
    return quote(relative.as_posix())


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.0f} s" if seconds < 90 else f"{int(seconds // 60)} min {seconds % 60:.0f} s"
