"""The exercises of all notebooks, by notebook and by name."""

from __future__ import annotations

from erasekit.tutorial.exercise import Exercise
from erasekit.tutorial.exercises import (
    first_exercises,
    language_exercises,
    level_exercises,
    loss_exercises,
    measure_exercises,
    method_exercises,
    own_exercises,
    request_exercises,
)

EXERCISES: dict[str, dict[str, Exercise]] = {
    **first_exercises.EXERCISES,
    **loss_exercises.EXERCISES,
    **measure_exercises.EXERCISES,
    **level_exercises.EXERCISES,
    **method_exercises.EXERCISES,
    **language_exercises.EXERCISES,
    **own_exercises.EXERCISES,
    **request_exercises.EXERCISES,
}
