"""Things by name that anyone can add to: methods, attacks, data forms, pictures.

A name comes from one of three places. The kit's own are listed with the place of their code; for
most, that is one module a name in a package's folder. Other packages add theirs by an entry point.
A notebook adds one with `Registry.register`. Nothing is imported before it is asked for.
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
    """Objects of one kind by name, each loaded when it is first asked for.

    The kit's own come first, then those of other packages, then what a notebook registered.

    Args:
        kind: what one is called, for messages.
        group: of the entry points by which other packages add theirs.
        own: where the kit's own are: ``package.module``, or ``package.module:object``.
        find: gets the name and what was loaded, a module or an object; returns the object that
            the registry gives, and raises a `UsageError` for what is none.
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
            UsageError: for a name that is not there, with the nearest that is, and when its
                package cannot be loaded.
        """
        self.check(name)
        if name in self._registered:
            return self._registered[name]
        if name not in self._loaded:
            if name in self._own:  # an error in the kit's own code is shown whole
                self._loaded[name] = self._find(name, self._own[name].load())
            else:
                self._loaded[name] = self._load(self._foreign[name])
        return self._loaded[name]

    def check(self, name: str) -> None:
        """Refuse a name that is not there, without loading anything.

        Raises:
            UsageError: naming the nearest that is there.
        """
        if name not in self:
            raise unknown(self.kind, name, self)

    def get(self, name: str, default: Any = None) -> Any:
        """The object called `name`, or `default` where there is none."""
        return self[name] if name in self else default  # noqa: SIM401, for this is `get`

    def items(self) -> ItemsView[str, T]:
        """All that can be loaded; a package that cannot is named in one line of warning."""
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
        """Add an object under its own name; as a decorator, a class or a function.

        What was registered before under that name is replaced, so that a cell can be run again.

        Raises:
            UsageError: for a name that the kit or another package has.
        """
        name = str(getattr(thing, "name", None) or getattr(thing, "__name__", ""))
        if name in self._own or name in self._foreign:
            raise UsageError(f"{self.kind} '{name}' is there already: choose another name")
        self._registered[name] = self._find(name, thing)
        return thing

    @cached_property
    def _foreign(self) -> dict[str, EntryPoint]:
        """What other packages add; a name that is taken is refused in one line of warning."""
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
        except Exception as error:  # whatever a stranger's module does when it is imported
            said = " ".join(str(error).split()) or "no reason given"
            kind = "" if isinstance(error, ErasekitError) else f"{type(error).__name__}: "
            raise UsageError(
                f"{self.kind} '{point.name}' of {_package(point)} cannot be loaded: {kind}{said}"
            ) from error


def modules_of(package: str, first: tuple[str, ...] = ()) -> dict[str, str]:
    """Where the modules of a package's folder are, by name; none is imported.

    Args:
        package: its dotted name. A module whose name begins with _ is a helper, and left out.
        first: names that are listed first, in this order; the others follow by the alphabet.
    """
    spec = find_spec(package)
    names = {m.name for m in pkgutil.iter_modules(spec and spec.submodule_search_locations)}
    order = [*(name for name in first if name in names), *sorted(names - set(first))]
    return {name: f"{package}.{name}" for name in order if not name.startswith("_")}


def subclass_of(base: type[T]) -> Callable[[str, Any], type[T]]:
    """How a registry finds a class: it is given itself, or the module that it is in."""

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
