"""Every audit test by its name, in the order of a report: what is left, then what is broken."""

from __future__ import annotations

from importlib import import_module

from erasekit.audit.base import AuditTest
from erasekit.audit.names import NAMES

#: Each test is in a module of its own name, as its `TEST`.
_MODULES = {name: import_module(f"erasekit.audit.attacks.{name}") for name in NAMES}
TESTS: dict[str, AuditTest] = {name: module.TEST for name, module in _MODULES.items()}
