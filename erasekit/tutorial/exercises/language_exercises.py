"""Exercises of notebooks 11 to 13: language models, readers of a tower, own data."""

from __future__ import annotations

from erasekit.tutorial.exercise import Exercise

EXERCISES: dict[str, dict[str, Exercise]] = {}
