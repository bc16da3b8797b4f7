"""Factories for the experiment on each kind of model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from erasekit.experiment.clip_experiment import Experiment
from erasekit.settings import Settings, make_settings
from erasekit.settings_signature import takes_settings

if TYPE_CHECKING:
    from erasekit.experiment.language_experiment import LanguageExperiment


def make_experiment(settings: Settings, progress: bool = True) -> Experiment | LanguageExperiment:
    """Make the experiment for the kind of model in the settings.

    Raises:
        UsageError: for parameters that do not fit together.
    """
    if settings.kind == "language":  # its libraries take seconds to import
        from erasekit.experiment.language_experiment import LanguageExperiment

        return LanguageExperiment(settings, progress)
    return Experiment(settings, progress)


@overload
def load(
    profile: str = "default",
    *,
    kind: Literal["language"],
    progress: bool = True,
    **parameters: Any,
) -> LanguageExperiment: ...
@overload
def load(
    profile: str = "default",
    *,
    kind: Literal["clip"] = "clip",
    progress: bool = True,
    **parameters: Any,
) -> Experiment: ...
@takes_settings
def load(
    profile: str = "default", *, progress: bool = True, **parameters: Any
) -> Experiment | LanguageExperiment:
    """Make an experiment from a profile's defaults, with single parameters replaced.

    Example:
        >>> experiment = load("smoke", forget="fruit")
        >>> erased = experiment.erase()

    Raises:
        UsageError: for an unknown parameter, or a value that does not fit.
    """
    return make_experiment(make_settings(profile, **parameters), progress)
