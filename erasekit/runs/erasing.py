"""Run an erasure into a run folder, and evaluate saved models."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from erasekit.data.data_spec import FOLDER
from erasekit.experiment.specs import make_plan
from erasekit.models.model_name import check_model
from erasekit.processes import join, on_main
from erasekit.runs.manifest import check_models
from erasekit.runs.run_folder import TRACKERS, RunFolder
from erasekit.runs.trackers import check_trackers, tracking
from erasekit.settings import Settings

if TYPE_CHECKING:
    from erasekit.evaluate.scorecard import Scorecard
    from erasekit.experiment.base_experiment import BaseExperiment
    from erasekit.unlearn.engine import Erasure


def run_erase(
    settings: Settings,
    out: Path,
    *,
    oracle: bool = True,
    control: bool = True,
    overwrite: bool = False,
    progress: bool = True,
) -> RunFolder:
    """Erase, evaluate, and write the complete run folder.

    An interrupted run is resumed by the same call, with bit-identical results. Several
    processes may call it together; the main one evaluates and writes.

    Args:
        settings: every parameter.
        out: the folder to write.
        oracle: whether to train the oracle and compare with it. For a model that was not
            trained here there is an oracle only if `oracle_model` is set.
        control: whether to fine-tune and evaluate the control too.
        overwrite: whether to replace an existing run.
        progress: whether to show progress bars.

    Raises:
        UsageError: for invalid parameters or an unsuitable folder; nothing is changed then.
        RunError: when the run fails; its progress is kept.
    """
    oracle = oracle and bool(make_plan(settings).train or settings.oracle_model)
    join(settings.device)
    trackers = check_trackers(settings.trackers)
    _check_data(settings, progress)
    folder = on_main(
        lambda: RunFolder.create(out, settings, oracle=oracle, control=control, overwrite=overwrite)
    )
    with folder.locked():
        # All checks that need no torch are done.
        from erasekit.experiment.kinds import make_experiment

        experiment = make_experiment(settings, progress)
        _ = experiment.task.forget  # reports an empty forget set before training starts
        _ = experiment.original
        on_main(lambda: _warn(experiment))
        if oracle:
            _ = experiment.oracle
        with tracking(trackers, folder.path / TRACKERS, settings) as log:
            erasure = experiment.erase(checkpoint=folder.checkpoint, log=log)
        fine_tuned = experiment.control(erasure.steps) if control else None

        def judge() -> None:
            scorecard = experiment.evaluate(_judged(erasure, fine_tuned), oracle=oracle)
            folder.write(experiment, erasure, scorecard, fine_tuned)

        on_main(judge)

    def publish() -> RunFolder:
        from erasekit.runs.pages.run_page import write_report

        published = folder.publish(Path(out))
        write_report(published.path)
        return published

    return on_main(publish)


def _judged(erasure: Erasure, control: Erasure | None) -> dict[str, Erasure]:
    return {"erased": erasure} | ({} if control is None else {"control": control})


def _check_data(settings: Settings, progress: bool) -> None:
    """Check a folder of pairs and the rule before the run starts."""
    if settings.data.startswith(FOLDER):
        from erasekit.data.folder.check import read_folder
        from erasekit.data.folder.columns import Columns
        from erasekit.data.folder.selection import select

        columns = Columns(settings.image_column, settings.caption_column)
        how = {"skip_bad": settings.skip_bad, "columns": columns, "progress": progress}
        select(read_folder(settings.data, **how), settings.forget)


def _warn(experiment: BaseExperiment) -> None:
    """Warn about missing entries of a request, and about captions that are truncated."""
    if (request := experiment.request) is None:
        return
    from erasekit.runs.near_misses import cut_captions

    for words in request.notes():
        warnings.warn(words, stacklevel=2)
    clip = experiment.original
    cut, unread = cut_captions(request, clip.tokenizer, clip.model.context_length)
    if len(cut):
        warnings.warn(
            f"the model reads {clip.model.context_length} tokens: {len(cut):,} of the captions to "
            f"forget are truncated, {len(unread):,} of them before the requested word",
            stacklevel=2,
        )


def run_evaluate(path: Path, *, progress: bool = True) -> RunFolder:
    """Evaluate the saved model of a run again; rewrite scorecard, figures and report.

    A run folder does not contain the control: if the run had one, it is trained again.

    Raises:
        UsageError: when there is no complete run, or its inputs no longer exist.
        RunError: when its model is damaged.
    """
    folder = RunFolder.open(path)
    settings = folder.settings
    with folder.locked():
        from erasekit.experiment.kinds import make_experiment
        from erasekit.runs.pages.run_page import write_report

        experiment = make_experiment(settings, progress)
        before = folder.scorecard
        beside = {"original": experiment.original}
        if "oracle" in before.models:
            beside["oracle"] = experiment.oracle
        check_models(folder.path, experiment, beside)
        erasure = folder.load_erasure(experiment)
        fine_tuned = experiment.control(erasure.steps) if "control" in before.models else None
        scorecard = experiment.evaluate(
            _judged(erasure, fine_tuned), oracle="oracle" in before.models
        )
        folder.write(experiment, erasure, scorecard, fine_tuned)
        write_report(folder.path)
    return folder


def evaluate_model(
    model: Path | str, settings: Settings, *, oracle: bool = True, progress: bool = True
) -> Scorecard:
    """Compute the scorecard of any model as the erased model of a task.

    Args:
        model: a CLIP, see `models.clip.load_clip`; or the folder of a language model.
        settings: settings of the world and the forget request.
        oracle: whether to compare with the oracle.

    Raises:
        UsageError: when the model does not exist.
        RunError: when it is damaged, or cannot be downloaded.
    """
    make_plan(settings)
    if settings.kind == "clip":
        check_model(str(model))
    from erasekit.experiment.kinds import make_experiment

    experiment: Any = make_experiment(settings, progress)
    erased = experiment.load(model)
    return experiment.evaluate({"erased": erased}, oracle=oracle and experiment.has_oracle)
