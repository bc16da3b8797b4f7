"""Exercises of notebooks 09, 10 and 14: methods compared."""

from __future__ import annotations

from erasekit.tutorial.exercise import Exercise

EXERCISES: dict[str, dict[str, Exercise]] = {}
