"""What settings ask for, as the specs that carry it out; checked at the door.

Making a plan needs no torch: whatever cannot be done as asked is said before
anything heavy is imported, and in the same words to every caller.
"""

from __future__ import annotations

from dataclasses import dataclass

from erasekit.data.concepts import select_concepts, split_concepts
from erasekit.data.spec import WorldSpec, check_dataset
from erasekit.models.spec import TrainSpec
from erasekit.settings import Settings
from erasekit.unlearn.method import Method
from erasekit.unlearn.registry import get_method
from erasekit.unlearn.spec import EraseSpec


@dataclass(frozen=True)
class Plan:
    """The parts of one experiment, each complete and in range."""

    world: WorldSpec
    forget_languages: tuple[str, ...]
    train: TrainSpec
    erase: EraseSpec
    method: Method


def make_plan(settings: Settings) -> Plan:
    """The plan of an experiment.

    Raises:
        UsageError: for a parameter that does not exist, does not fit, or leaves
            nothing to forget or to retain.
    """
    check_dataset(settings.data)
    world = WorldSpec(
        concepts=settings.concepts,
        pictures=settings.pictures,
        scenes=settings.scenes,
        held_out_pictures=settings.held_out_pictures,
        languages=tuple(_words(settings.languages)),
        image_size=settings.image_size,
        seed=settings.world_seed,
    )
    split_concepts(select_concepts(world.concepts), settings.forget)
    return Plan(
        world=world,
        forget_languages=world.pick_languages(_words(settings.forget_languages)),
        train=TrainSpec(
            config=settings.model,
            steps=settings.train_steps,
            batch=settings.train_batch,
            learning_rate=settings.train_learning_rate,
            seed=settings.seed,
        ),
        erase=EraseSpec(
            steps=settings.steps,
            forget_batch=settings.forget_batch,
            retain_batch=settings.retain_batch,
            learning_rate=settings.learning_rate,
            stop_at=settings.stop_at,
            seed=settings.seed,
            precision=settings.precision,
            micro_batch=settings.micro_batch,
            moves=settings.moves,
        ),
        method=get_method(settings.method).build(dict(settings.options)),
    )


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
