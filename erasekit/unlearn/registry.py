"""Every unlearning method by its name."""

from __future__ import annotations

from importlib import import_module

from erasekit.errors import unknown
from erasekit.unlearn.method import Method

#: In the order in which they are listed; each is in a module of its own name.
_NAMES = (
    *("cliperase", "cliperase_infonce", "fine_tune", "gradient_ascent", "gradient_difference"),
    *("kl_minimization", "npo", "random_label", "scrub", "delete", "multidelete", "salun", "ssd"),
    *("lip", "null_space", "slug", "task_negation", "munba", "never_seen", "mmunlearner"),
)


def _load(name: str) -> type[Method]:
    module = import_module(f"erasekit.unlearn.methods.{name}")
    classes = (value for value in vars(module).values() if isinstance(value, type))
    return next(c for c in classes if issubclass(c, Method) and vars(c).get("name") == name)


METHODS: dict[str, type[Method]] = {name: _load(name) for name in _NAMES}


def get_method(name: str) -> type[Method]:
    """The method called `name`.

    Raises:
        UsageError: for a name that is not registered, with the nearest that is.
    """
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]


def methods_of(kind: str) -> dict[str, type[Method]]:
    """The methods that are made for a kind of model, of `method.KINDS`, by name."""
    return {name: method for name, method in METHODS.items() if kind in method.kinds}
