"""Exercises of notebooks 06 to 08: measuring, looking, attacking."""

from __future__ import annotations

from erasekit.tutorial.exercise import Exercise

EXERCISES: dict[str, dict[str, Exercise]] = {}
