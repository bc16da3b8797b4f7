"""`erase`, `evaluate`, `compare` and `report`: create, evaluate and compare runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from erasekit import processes
from erasekit.cli.settings_options import with_settings
from erasekit.errors import UsageError
from erasekit.settings import Settings

Oracle = Annotated[
    bool, typer.Option(help="Measure against the oracle; trained once, then cached.")
]


@with_settings(
    *("kind", "data", "forget", "forget_languages", "train", "model", "pretrained", "method"),
    *("options", "steps", "learning_rate", "moves", "micro_batch", "seed", "device", "precision"),
    "trackers",
)
def erase(
    out: Annotated[Path, typer.Option(help="Folder of the run, e.g. runs/fruit.")],
    settings: Settings,
    oracle: Oracle = True,
    control: Annotated[
        bool, typer.Option(help="Also fine-tune the control on the retain set.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that is in --out.")
    ] = False,
) -> None:
    """Make a model forget, compare it with its oracle, and write the run folder.

    \b
    Examples:
      erasekit erase --forget fruit --out runs/fruit
      erasekit erase --forget "red apple,lemon" --option consistency=0 --out runs/ablation
      erasekit erase --profile smoke --forget vehicle --steps 50 --out runs/quick
      erasekit erase --kind language --forget fruit --method mmunlearner --out runs/seen
      erasekit erase --data folder:photos --forget word=apple --out runs/mine
      erasekit erase --data folder:photos --forget apple --model local-dir:clip --out runs/mine
      erasekit erase --data folder:photos --forget apple --train --out runs/mine

    For a folder, the default model is ViT-B-32-quickgelu with OpenAI's weights, which are
    downloaded. It has no oracle unless you give one: --set oracle_model=local-dir:PATH.
    With --train, a small CLIP and its oracle are trained on the folder, in minutes.

    \b
    The folder then holds:
      report.html                    the report
      scorecard.json, history.csv    every number
      model/                         the erased model: open_clip, or transformers, loads it
      params.json, provenance.json   parameters, code, data and machine
      figures/                       every picture

    Ctrl-C is safe: the same command resumes the run. Several GPUs or machines share
    the steps under `accelerate launch --multi_gpu -m erasekit erase ...`, several CPUs under
    `torchrun --nproc-per-node N -m erasekit erase ... --device cpu`. Machines must share the
    disk of the run folder and of the model cache (ERASEKIT_CACHE).
    """
    from erasekit.runs.erasing import run_erase

    folder = run_erase(settings, out, oracle=oracle, control=control, overwrite=overwrite)
    from erasekit.runs.tables import summary

    if processes.is_main():
        typer.echo(summary(folder))


@with_settings(
    *("kind", "data", "forget", "forget_languages", "train", "seed", "device", "precision"),
    instead_of="run",
    of_model=("out",),
)
def evaluate(
    settings: Settings,
    run: Annotated[Path | None, typer.Argument(help="Folder of a run.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Instead of a run: a model folder or, for CLIP, any name that open_clip knows.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --model: file for the scorecard, as JSON.")
    ] = None,
    oracle: Oracle = True,
) -> None:
    """Evaluate the saved model of a run folder again, or any other model.

    A run folder provides its own parameters; its scorecard, figures and report are
    rewritten. With --model, the options set the world and the forget request.

    \b
    Examples:
      erasekit evaluate runs/fruit
      erasekit evaluate --model runs/fruit/model --forget vehicle --out vehicle.json
      erasekit evaluate --model ViT-B-32-quickgelu:openai --forget fruit --no-oracle
      erasekit evaluate --model runs/seen/model --kind language --forget fruit
    """
    if (run is None) == (model is None):
        raise UsageError("give the folder of a run, or --model FOLDER, and not both")
    if run is not None:
        from erasekit.runs.erasing import run_evaluate

        folder = run_evaluate(run)
        from erasekit.runs.tables import summary

        typer.echo(summary(folder))
    elif model is not None:
        from erasekit.runs.erasing import evaluate_model

        scorecard = evaluate_model(model, settings, oracle=oracle)
        from erasekit.runs.tables import headline

        typer.echo(headline(scorecard).to_string())
        if out is not None:
            typer.echo(f"scorecard: {scorecard.save(out)}")


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of two or more runs.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for compare.html, compare.csv and compare.png.")
    ] = None,
) -> None:
    """Compare runs in a table, and with --out in a page, a figure and a CSV file.

    \b
    Example (folders without a complete run are skipped):
      erasekit compare runs/* --out compared
    """
    from erasekit.runs.run_folder import open_runs

    folders = open_runs(runs)
    from erasekit.runs.pages.comparison_page import write_comparison
    from erasekit.runs.tables import comparison_text

    cards = {name: folder.scorecard for name, folder in folders.items()}
    typer.echo(comparison_text(cards))
    if out is not None:
        typer.echo(f"page: {write_comparison(cards, out)}")


def report(run: Annotated[Path, typer.Argument(help="Folder of a run.")]) -> None:
    """Write report.html again from the files of a run folder."""
    from erasekit.runs.run_folder import RunFolder

    folder = RunFolder.open(run)
    from erasekit.runs.pages.run_page import write_report

    typer.echo(f"report: {write_report(folder.path)}")
