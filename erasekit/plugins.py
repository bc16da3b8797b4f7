"""Extensible registries of methods, attacks, data forms and pictures, by name.

A name has one of three sources. The kit lists its own with the location of their code, mostly one
module per name in a package. Other packages use entry points, and notebooks `Registry.register`.
Objects are imported on first use.
"""

from __future__ import annotations

import pkgutil
import warnings
from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeVar

from erasekit.errors import ErasekitError, UsageError, unknown

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Objects of one kind by name, each loaded on first use.

    The order is: the kit's own, those of other packages, those registered in a notebook.

    Args:
        kind: name of the kind, for messages.
        group: entry point group of other packages.
        own: locations of the kit's own: ``package.module``, or ``package.module:object``.
        find: function from the name and the loaded module or object to the registry's object;
            raises a `UsageError` for anything unsuitable.
    """

    def __init__(
        self, kind: str, group: str, own: Mapping[str, str], find: Callable[[str, Any], T]
    ) -> None:
        self.kind, self.group = kind, group
        self._own = {name: EntryPoint(name, place, group) for name, place in own.items()}
        self._find = find
        self._loaded: dict[str, T] = {}
        self._registered: dict[str, T] = {}

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from self._foreign
        yield from self._registered

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._registered or name in self._foreign

    def __getitem__(self, name: str) -> T:
        """The object called `name`.

        Raises:
            UsageError: for an unknown name (suggests the nearest), and when its package cannot be
                loaded.
        """
        self.check(name)
        if name in self._registered:
            return self._registered[name]
        if name not in self._loaded:
            if name in self._own:  # errors in the kit's own code keep their traceback
                self._loaded[name] = self._find(name, self._own[name].load())
            else:
                self._loaded[name] = self._load(self._foreign[name])
        return self._loaded[name]

    def check(self, name: str) -> None:
        """Refuse an unknown name, without loading anything.

        Raises:
            UsageError: suggests the nearest name.
        """
        if name not in self:
            raise unknown(self.kind, name, self)

    def get(self, name: str, default: Any = None) -> Any:
        """The object called `name`, or `default` if it does not exist."""
        return self[name] if name in self else default  # noqa: SIM401, for this is `get`

    def items(self) -> ItemsView[str, T]:
        """All objects that can be loaded; warns in one line of each package that cannot."""
        found = {}
        for name in self:
            try:
                found[name] = self[name]
            except UsageError as error:
                warnings.warn(f"left out: {error}", stacklevel=2)
        return found.items()

    def values(self) -> ValuesView[T]:
        return dict(self.items()).values()

    def register(self, thing: T) -> T:
        """Add an object under its own name; also works as a decorator of classes and functions.

        It replaces an earlier registration of the same name, so that a cell can be run again.

        Raises:
            UsageError: for a name that the kit or another package uses.
        """
        name = str(getattr(thing, "name", None) or getattr(thing, "__name__", ""))
        if name in self._own or name in self._foreign:
            raise UsageError(f"{self.kind} '{name}' already exists: choose another name")
        self._registered[name] = self._find(name, thing)
        return thing

    @cached_property
    def _foreign(self) -> dict[str, EntryPoint]:
        """Entry points of other packages; warns in one line of each name that is taken."""
        found: dict[str, EntryPoint] = {}
        for point in sorted(entry_points(group=self.group), key=lambda p: (p.name, p.value)):
            if point.name in self._own or point.name in found:
                owner = found.get(point.name)
                warnings.warn(
                    f"left out: {self.kind} '{point.name}' of {_package(point)}, since "
                    f"{_package(owner) if owner else 'erasekit'} has one of that name",
                    stacklevel=2,
                )
            else:
                found[point.name] = point
        return found

    def _load(self, point: EntryPoint) -> T:
        try:
            return self._find(point.name, point.load())
        except Exception as error:  # importing another package may raise anything
            said = " ".join(str(error).split()) or "no reason given"
            kind = "" if isinstance(error, ErasekitError) else f"{type(error).__name__}: "
            raise UsageError(
                f"{self.kind} '{point.name}' of {_package(point)} cannot be loaded: {kind}{said}"
            ) from error


def modules_of(package: str, first: tuple[str, ...] = ()) -> dict[str, str]:
    """Locations of a package's modules by name, without importing them.

    Args:
        package: its dotted name. Modules whose names begin with _ are left out.
        first: names to list first, in this order; the others follow alphabetically.
    """
    spec = find_spec(package)
    names = {m.name for m in pkgutil.iter_modules(spec and spec.submodule_search_locations)}
    order = [*(name for name in first if name in names), *sorted(names - set(first))]
    return {name: f"{package}.{name}" for name in order if not name.startswith("_")}


def subclass_of(base: type[T]) -> Callable[[str, Any], type[T]]:
    """A `find` function for classes, which accepts the class or the module that defines it."""

    def find(name: str, found: Any) -> type[T]:
        inside = vars(found).values() if isinstance(found, ModuleType) else (found,)
        for cls in inside:
            if isinstance(cls, type) and issubclass(cls, base) and vars(cls).get("name") == name:
                return cls
        place = f"{base.__module__}.{base.__qualname__}"
        raise UsageError(f"no subclass of {place} with name = '{name}'")

    return find


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value
