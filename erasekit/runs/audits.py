"""Audit a run folder, or any model that open_clip loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from erasekit.errors import UsageError
from erasekit.experiment.specs import make_plan
from erasekit.models.model_name import check_model
from erasekit.runs.manifest import check_models
from erasekit.runs.run_folder import AUDIT, FIGURES, RunFolder
from erasekit.settings import Settings

if TYPE_CHECKING:
    from erasekit.audit.audit_result import Audit
    from erasekit.audit.known_answers import KnownAnswers

#: Number of oracles of an audit: fewer do not show how far oracles differ.
ORACLES = 3


def run_audit(
    path: Path,
    *,
    tests: Sequence[str] | None = None,
    oracles: int | None = None,
    shadows: int = 0,
    progress: bool = True,
) -> RunFolder:
    """Audit the saved model of a run; write `audit.json` and its figures, and update the report.

    Args:
        path: folder of a complete run.
        tests: names of audit tests; by default all that are not opt-in.
        oracles: number of oracles; three by default, none for a run without oracle.
        shadows: number of shadow models of the per-example attack; 0 omits it.

    Raises:
        UsageError: when there is no complete run.
        RunError: when its model is damaged.
    """
    folder = RunFolder.open(path)
    settings = folder.settings
    with folder.locked():
        from erasekit.experiment.kinds import make_experiment
        from erasekit.runs.pages.run_page import write_report

        experiment: Any = make_experiment(settings, progress)
        if oracles is None:
            oracles = ORACLES if folder.params.get("oracle", True) else 0
        beside = {"original": experiment.original}
        if oracles and folder.params.get("oracle"):
            beside["oracle"] = experiment.oracle
        check_models(folder.path, experiment, beside)
        found = experiment.audit(
            folder.load_erasure(experiment).model, tests=tests, oracles=oracles, shadows=shadows
        )
        with folder.extended() as stage:
            write_audit_figures(stage / FIGURES, found)
            found.save(stage / AUDIT)
            for old in (folder.path / FIGURES).glob("audit_*.png"):
                old.unlink()
        write_report(folder.path)
    return folder


def audit_model(
    model: str,
    settings: Settings,
    *,
    original: str | None = None,
    tests: Sequence[str] | None = None,
    oracles: int = ORACLES,
    shadows: int = 0,
    progress: bool = True,
) -> Audit:
    """Audit any model as the erased model of a task.

    Args:
        model: a CLIP, see `models.clip.load_clip`; or the folder of a language model.
        settings: settings of the world and the forget request.
        original: the model before erasing, if erasekit did not train it. There is no oracle
            for it: gaps are to the original, and every verdict is "cannot tell".

    Raises:
        UsageError: when the model does not exist.
        RunError: when it is damaged.
    """
    make_plan(settings)
    if settings.kind == "clip":
        for name in filter(None, (model, original)):
            check_model(name)
    from erasekit.experiment.kinds import make_experiment

    experiment: Any = make_experiment(settings, progress)
    return experiment.audit(
        experiment.load(model),
        original=experiment.load(original) if original else None,
        tests=tests,
        oracles=oracles,
        shadows=shadows,
    )


def audit_known_answers(
    settings: Settings, tests: Sequence[str] | None = None, progress: bool = True
) -> KnownAnswers:
    """Audit models whose verdict is known in advance.

    Args:
        settings: settings of the world, the task and the profile.
        tests: names of audit tests; by default all that are not opt-in.

    Raises:
        UsageError: for a language model.
    """
    if settings.kind != "clip":
        raise UsageError(f"kind = {settings.kind}: known answers are there for kind = clip alone")
    from erasekit.audit.known_answers import known_answers
    from erasekit.audit.names import ORIGINAL, oracle_name
    from erasekit.experiment.clip_experiment import Experiment
    from erasekit.models.clip import with_random_weights

    experiment = Experiment(settings, progress)
    *oracles, another = experiment.oracles(ORACLES + 1)
    alone = experiment.erase("cliperase", options={"retention": 0, "consistency": 0})
    models = {
        ORIGINAL: experiment.original,
        **{oracle_name(i): oracle for i, oracle in enumerate(oracles)},
        "itself": experiment.original,
        "random": with_random_weights(experiment.original, settings.seed),
        "another-seed": another,
        "forgetting-alone": alone.model,
    }
    with experiment.running():
        return known_answers(
            models,
            experiment.task,
            tests=tests,
            smoke=settings.profile == "smoke",
            draws=settings.draws,
            seed=settings.seed,
            progress=progress,
        )


def write_audit_figures(folder: Path, audit: Audit) -> list[Path]:
    """Write every figure of an audit to `folder` as PNG."""
    from erasekit.plots.audit_details import audit_figures
    from erasekit.runs.figures import save_figure

    return [
        save_figure(figure, folder / f"{name}.png") for name, figure in audit_figures(audit).items()
    ]
