"""Import of optional packages, which erasekit's extras install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from erasekit.errors import UsageError


def needed(module: str, extra: str, what: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: dotted name of the module.
        extra: the extra of erasekit that installs it.
        what: the feature that uses it, as the subject of a sentence.

    Raises:
        UsageError: when it is not installed; names the extra.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise UsageError(
            f"{what} needs the package {package}: pip install 'erasekit[{extra}]'"
        ) from error
