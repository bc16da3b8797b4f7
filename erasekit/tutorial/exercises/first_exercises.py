"""Exercises of notebooks 00 to 02: the data and the model."""

from __future__ import annotations

from erasekit.tutorial.exercise import Exercise

EXERCISES: dict[str, dict[str, Exercise]] = {}
