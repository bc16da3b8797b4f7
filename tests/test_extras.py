"""Packages that only an extra installs."""

from __future__ import annotations

import sys

import pytest

from erasekit.errors import UsageError
from erasekit.extras import needed


def test_a_package_is_imported_or_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert needed("json.decoder", "data", "reading").JSONDecoder
    monkeypatch.setitem(sys.modules, "json", None)
    with pytest.raises(UsageError, match=r"^reading needs the package json: pip install 'erase"):
        needed("json", "data", "reading")
