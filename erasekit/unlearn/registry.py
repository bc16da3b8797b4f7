"""Every unlearning method by its name."""

from __future__ import annotations

from erasekit.errors import unknown
from erasekit.unlearn.cliperase import CLIPErase
from erasekit.unlearn.cliperase_infonce import CLIPEraseInfoNCE
from erasekit.unlearn.fine_tune import FineTune
from erasekit.unlearn.method import Method

METHODS: dict[str, type[Method]] = {
    method.name: method for method in (CLIPErase, CLIPEraseInfoNCE, FineTune)
}


def get_method(name: str) -> type[Method]:
    """The method called `name`.

    Raises:
        UsageError: for a name that is not registered, with the nearest that is.
    """
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]
