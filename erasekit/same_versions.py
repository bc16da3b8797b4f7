"""Versions that must be equal on all machines that run units of the same work."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version
from typing import Any

import erasekit
from erasekit.cache import code_identity
from erasekit.errors import ErasekitError, reason


@cache
def environment(module: str) -> dict[str, str]:
    """Versions that must be equal on all workers of units of `module`, by name."""
    dask = {name: version(name) for name in ("dask", "distributed", "cloudpickle")}
    python = ".".join(platform.python_version_tuple()[:2])
    return {"erasekit": erasekit.__version__, "python": python, **dask, **code_identity(module)}


def differs(where: str, there: Any, here: dict[str, str]) -> str:
    """Why a worker or the scheduler cannot handle units, in one line; empty if it can.

    Args:
        where: which one, such as "worker ADDRESS".
        there: `environment` there, or the error that it raised.
        here: `environment` of this process.
    """
    if not isinstance(there, dict):
        return (
            f"{where} cannot run erasekit {erasekit.__version__} ({type_and_reason(there)}): "
            "install the same version there"
        )
    for name, value in here.items():
        if there.get(name) != value:
            what = "the code of erasekit" if name == "code" else name
            return (
                f"{where} has {what} {_short(there.get(name))}, and this program has "
                f"{_short(value)}: install the same there"
            )
    return ""


def _short(value: str | None) -> str:
    return (value or "none")[:16]


def type_and_reason(error: BaseException) -> str:
    """An error in one line; one that is not the kit's own with its type."""
    said = reason(error)
    return said if isinstance(error, ErasekitError) else f"{type(error).__name__}: {said}"
