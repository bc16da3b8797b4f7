"""`audit`: attack an erased model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from erasekit.cli.settings_options import with_settings
from erasekit.errors import UsageError
from erasekit.settings import Settings


@with_settings(
    *("kind", "data", "forget", "forget_languages", "train", "seed", "device"),
    instead_of="run",
    of_model=("out", "original"),
)
def audit(
    settings: Settings,
    run: Annotated[Path | None, typer.Argument(help="Folder of a run.")] = None,
    tests: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Only these tests, joined by commas; see `list tests`."),
    ] = None,
    lira: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Also attack single pairs with N shadow models: N more trainings, cached.",
        ),
    ] = 0,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Instead of a run: a model folder or, for CLIP, any name that open_clip knows.",
        ),
    ] = None,
    original: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="With --model: the model before erasing, if erasekit did not train it.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --model: file for the audit, as JSON.")
    ] = None,
    oracle: Annotated[
        bool, typer.Option(help="Compare with three oracles; each is trained once, then cached.")
    ] = True,
    known_answers: Annotated[
        bool,
        typer.Option(
            "--known-answers",
            help="Validate the audit on models whose verdict is known in advance.",
        ),
    ] = False,
) -> None:
    """Is it really gone? Attack an erased model, the original and three oracles.

    \b
    Examples:
      erasekit audit runs/fruit                      audit.json, figures, a part of report.html
      erasekit audit runs/fruit --tests relearning,probes
      erasekit audit --model runs/fruit/model --forget fruit --out audit.json
      erasekit audit --known-answers --profile smoke

    Each test has a verdict: as the oracle, less forgotten, over-forgetting, or cannot tell.
    """
    from erasekit.audit.attack_registry import check_names

    names = check_names([n.strip() for n in tests.split(",") if n.strip()]) if tests else None
    if [run is not None, model is not None, known_answers].count(True) != 1:
        raise UsageError("give the folder of a run, or --model MODEL, or --known-answers")
    if run is not None:
        from erasekit.runs.audits import run_audit

        folder = run_audit(run, tests=names, shadows=lira, oracles=None if oracle else 0)
        from erasekit.audit.audit_result import Audit
        from erasekit.runs.run_folder import AUDIT

        typer.echo(_audited(Audit.load(folder.path / AUDIT)))
        typer.echo(f"report: {folder.report}")
    elif known_answers:
        from erasekit.runs.audits import audit_known_answers

        answers = audit_known_answers(settings, names)
        typer.echo(answers.text())
        raise typer.Exit(0 if answers.right else 1)
    elif model is not None:
        from erasekit.runs.audits import ORACLES, audit_model

        result = audit_model(
            model,
            settings,
            original=original,
            tests=names,
            shadows=lira,
            oracles=ORACLES if oracle else 0,
        )
        typer.echo(_audited(result))
        if out is not None:
            typer.echo(f"audit: {result.save(out)}")


def _audited(found: Any) -> str:
    width = max(len(report.title) for report in found.tests)
    lines = [f"{r.title:<{width}}  {r.verdict} ({r.reason})" for r in found.tests]
    return "\n".join([*lines, f"In all: {found.verdict}.", found.conclusion])
