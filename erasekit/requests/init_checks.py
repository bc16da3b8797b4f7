"""Check the settings of a registry when it is made: they must be able to make versions."""

from __future__ import annotations

from erasekit.data.data_spec import FOLDER
from erasekit.errors import RunError, UsageError
from erasekit.experiment.specs import make_plan
from erasekit.runs.trackers import check_trackers
from erasekit.settings import Settings


def check_settings(settings: Settings) -> None:
    """Refuse settings that cannot erase anything, whatever is requested.

    Raises:
        UsageError: for a method, a model, a device or data with which every run would fail.
    """
    method = make_plan(settings).method
    check_trackers(settings.trackers)
    if settings.device not in ("auto", "cpu"):
        from erasekit.device import resolve_device

        try:
            resolve_device(settings.device)
        except RunError as error:
            raise UsageError(str(error)) from error
    if not settings.data.startswith(FOLDER):
        return
    if getattr(method, "level", "") == "holdout":
        raise UsageError(
            f"{method.name}: no concept is held out of a folder to read the level from: "
            "give --option level=shuffled"
        )
    from erasekit.data.folder.check import read_folder
    from erasekit.data.folder.columns import Columns

    columns = Columns(settings.image_column, settings.caption_column)
    pairs = read_folder(settings.data, skip_bad=settings.skip_bad, columns=columns, progress=False)
    if len(set(pairs.picture.tolist())) < 2:
        raise UsageError(f"{settings.data} has one picture only: something must be kept")
