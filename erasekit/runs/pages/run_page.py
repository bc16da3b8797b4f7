"""`report.html`: the report of one run, made from the files of its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from erasekit.audit.attack_registry import TESTS, untried
from erasekit.audit.audit_result import Audit, AuditRow
from erasekit.audit.verdict import AS_THE_ORACLE, LESS, MORE
from erasekit.evaluate.scorecard import Scorecard
from erasekit.files import read_json, write_text
from erasekit.runs.pages.headline import headline
from erasekit.runs.pages.page_figures import figure_order, page_figures
from erasekit.runs.pages.rendering import render_page, rows_asked
from erasekit.runs.pages.score_table import costs, points, ratio, score_table, signed
from erasekit.runs.run_folder import AUDIT, FIGURES, PARAMS, PROVENANCE, REPORT, SCORECARD

#: File name prefix of an audit's figures; the main ones are shown, the others are folded.
_OF_AUDIT = "audit_"
_AUDIT_MAIN = (
    "audit_verdicts",
    "audit_relearning_curves",
    "audit_readable_layers",
    "audit_language_map",
    "audit_collateral",
)
_MOODS = {AS_THE_ORACLE: "good", LESS: "bad", MORE: "bad"}


def write_report(folder: Path) -> Path:
    """Write `report.html` of a run folder from the files in it.

    Args:
        folder: a folder with params.json, provenance.json and scorecard.json; figures in
            `figures/`, if any, are embedded.

    Raises:
        RunError: when a file is missing or damaged.
    """
    folder = Path(folder)
    params = read_json(folder / PARAMS)
    provenance = read_json(folder / PROVENANCE)
    scorecard = Scorecard.load(folder / SCORECARD)
    task = scorecard.task
    audited = Audit.load(folder / AUDIT) if (folder / AUDIT).is_file() else None
    pictures = sorted((folder / FIGURES).glob("*.png"), key=figure_order)
    html = render_page(
        "report.html",
        name=folder.resolve().name,
        forgotten=_listed(task.get("forget", [])),
        sentences=headline(scorecard),
        asked=_asked(params, task),
        table=score_table(scorecard),
        costs=costs(scorecard),
        ratio=ratio(scorecard),
        figures=page_figures([path for path in pictures if not path.stem.startswith(_OF_AUDIT)]),
        audit=_audited(audited, pictures) if audited else None,
        language=params.get("kind") == "language",
        parameters=_flat(params),
        provenance=_flat(provenance),
    )
    return write_text(folder / REPORT, html)


def _asked(params: dict, task: dict) -> list[tuple[str, str]]:
    lines = [
        ("forget", _listed(task.get("forget", []))),
        ("captions in", ", ".join(task.get("forget_languages", []))),
        rows_asked(task),
        ("method", str(params.get("method", "?"))),
    ]
    if options := params.get("options"):
        lines.append(("its options", ", ".join(f"{k} = {v}" for k, v in options.items())))
    lines.append(("profile", str(params.get("profile", "?"))))
    lines.append(("judged on", f"the {task.get('split', 'test')} split"))
    if near := task.get("neighbours"):
        lines.append(("neighbours", _listed(near)))
    return lines


def _audited(audit: Audit, pictures: Sequence[Path]) -> dict[str, Any]:
    """Return the audit for the page: verdicts, figures, then every value."""
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
                "figures": page_figures([own] if own else []),
                "lines": [_audit_line(row) for row in rows],
            }
        )
    return {
        "conclusion": audit.conclusion,
        "verdict": audit.verdict,
        "tried": len(audit.tests),
        "oracles": len(audit.oracles),
        "gap": "gap" if audit.oracles else "gap to the original",
        "tests": tests,
        "untried": _untried(audit),
        "figures": page_figures(main),
    }


def _untried(audit: Audit) -> str:
    """Name the tests of this kind of model that did not run, and what they would have asked."""
    ran = audit.verdicts
    kinds = {TESTS[name].kind for name in ran if name in TESTS}
    others = [test for kind in sorted(kinds) for test in untried(kind, ran)]
    return "; ".join(f"{test.title} ({test.question})" for test in others)


def _audit_line(row: AuditRow) -> dict[str, str]:
    number = signed if "similarity" in row.metric else lambda v: f"{v:.2f}"
    return {
        "what": " ".join(filter(None, [row.metric.replace("_", " "), row.condition])),
        "model": row.model,
        "value": number(row.value),
        "interval": f"{number(row.low)} to {number(row.high)}",
        "gap": "" if row.gap is None else points(100 * row.gap),
        "margin": "" if row.margin is None else f"{100 * row.margin:.1f}",
        "verdict": row.verdict or "",
    }


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Flatten nested values to pairs of dotted name and text."""
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
