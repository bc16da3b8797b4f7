"""Pictures are checked once, whatever interrupts it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_folder import (
    counted,
    simple,
)

from erasekit.data.folder import picture_checks
from erasekit.data.folder.check import read_folder
from erasekit.data.folder.spots import Spot

pytestmark = pytest.mark.usefixtures("own_cache")


def test_an_interrupted_check_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{n}.png" for n in range(9)]
    simple(tmp_path, *(f"{name},a" for name in names), names=tuple(names))
    monkeypatch.setattr(picture_checks, "_SAVED_AT_ONCE", 3)
    real = picture_checks._digest

    def interrupted(root: Path, spot: Spot) -> tuple[str, str]:
        if spot.path == "4.png":
            raise KeyboardInterrupt
        return real(root, spot)

    monkeypatch.setattr(picture_checks, "_digest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_folder(tmp_path)
    monkeypatch.setattr(picture_checks, "_digest", real)
    seen = counted(monkeypatch)
    assert len(read_folder(tmp_path)) == 9 and len(seen) == 6
