"""Conversion of settings to checked specs.

Making a plan needs no torch: invalid settings are refused before anything heavy is imported,
with the same messages for every caller.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from erasekit.data.data_spec import FOLDER, FolderSpec, WorldSpec, check_dataset
from erasekit.data.drawn.concepts import select_concepts, split_concepts
from erasekit.data.folder.selection import parse_rule
from erasekit.errors import UsageError, unknown
from erasekit.models.llava_spec import LlavaSpec
from erasekit.models.model_name import architectures, check_model
from erasekit.models.train_spec import TrainSpec, known_models
from erasekit.settings import DECLARED, Settings
from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.method import Method
from erasekit.unlearn.moves import CLIP_PARTS, LANGUAGE_PARTS, parse_moves
from erasekit.unlearn.registry import get_method

#: The language model of each profile.
_LLAVA = {
    "default": LlavaSpec(),
    "smoke": LlavaSpec(width=64, heads=4, visual_batch=40, weight_decay=0.1),
}


@dataclass(frozen=True)
class Plan:
    """The checked specs of one experiment.

    Attributes:
        data: spec of the drawn world or of a folder.
        train: how the original is trained; None for a loaded CLIP.
        llava: spec of the language model; None for an experiment on a CLIP.
    """

    data: WorldSpec | FolderSpec
    forget_languages: tuple[str, ...]
    train: TrainSpec | None
    erase: EraseSpec
    method: Method
    llava: LlavaSpec | None = None


def make_plan(settings: Settings) -> Plan:
    """Make the plan of an experiment.

    Raises:
        UsageError: for a parameter that is unknown, does not fit, or leaves nothing to forget or
            to retain.
    """
    check_dataset(settings.data)
    language = settings.kind == "language"
    parse_moves(settings.moves, (LANGUAGE_PARTS if language else CLIP_PARTS).holds)
    data = _folder(settings) if settings.data.startswith(FOLDER) else _world(settings)
    train = _training(settings, data)
    if language and train is None:
        raise UsageError(
            f"model = {settings.model}: a language model needs a CLIP trained here as its image "
            f"tower: choose from {', '.join(sorted(known_models()))}"
        )
    return Plan(
        data=data,
        forget_languages=_forget_languages(settings, data),
        train=train,
        erase=_spec(EraseSpec, settings),
        method=get_method(settings.method).build(dict(settings.options), settings.kind),
        llava=_llava(settings) if language else None,
    )


def _llava(settings: Settings) -> LlavaSpec:
    own = {"steps": settings.language_steps, "seed": settings.seed}
    return replace(_LLAVA[settings.profile], **own)


_Spec = TypeVar("_Spec", WorldSpec, FolderSpec, TrainSpec, EraseSpec)


def _spec(kind: type[_Spec], settings: Settings, **others: Any) -> _Spec:
    """A spec whose fields come from the settings of the same name, except for `others`."""
    same = {f.name: getattr(settings, f.name) for f in fields(kind) if f.name in DECLARED}
    return kind(**{**same, **others})


def _world(settings: Settings) -> WorldSpec:
    languages = tuple(_words(settings.languages))
    world = _spec(WorldSpec, settings, languages=languages, seed=settings.world_seed)
    split_concepts(select_concepts(world.concepts), settings.forget)
    return world


def _folder(settings: Settings) -> FolderSpec:
    parse_rule(settings.forget)
    return _spec(
        FolderSpec,
        settings,
        path=settings.data.removeprefix(FOLDER),
        templates=tuple(part.strip() for part in settings.templates.split("|")),
        seed=settings.world_seed,
    )


def _forget_languages(settings: Settings, data: WorldSpec | FolderSpec) -> tuple[str, ...]:
    wanted = _words(settings.forget_languages)
    if isinstance(data, WorldSpec):
        return data.pick_languages(wanted)
    if wanted:
        raise UsageError(
            "forget_languages: folders do not record the language of captions: leave it out"
        )
    return data.languages


def _training(settings: Settings, data: WorldSpec | FolderSpec) -> TrainSpec | None:
    """How the original is trained; None when it is loaded.

    Raises:
        UsageError: when it can neither be trained nor loaded, or when the settings ask for both.
    """
    if settings.train and (settings.model not in known_models() or settings.pretrained):
        raise UsageError(
            f"train: model = {' '.join([settings.model, settings.pretrained]).strip()} is loaded, "
            f"not trained: leave it out, or give {' or '.join(known_models())}"
        )
    if settings.model not in known_models() or settings.pretrained:
        known = {*known_models(), *architectures()}
        a_word = not settings.pretrained and settings.model.replace("-", "").isalnum()
        if a_word and settings.model not in known and not Path(settings.model).exists():
            raise unknown("model", settings.model, sorted(known), hint="Or give local-dir:PATH.")
        check_model(settings.model, settings.pretrained or None)
        if settings.oracle_model:
            check_model(settings.oracle_model)
        return None
    if isinstance(data, FolderSpec) and not settings.train:
        raise UsageError(
            f"model = {settings.model} has no weights: pass train=true (--train) to train it "
            "on the folder, or choose a CLIP with weights, such as model=local-dir:PATH or "
            "model=ViT-B-32-quickgelu with pretrained=openai"
        )
    if settings.oracle_model:
        raise UsageError("`oracle_model` cannot be combined with a model trained here")
    return _spec(
        TrainSpec,
        settings,
        config=settings.model,
        steps=settings.train_steps,
        batch=settings.train_batch,
        learning_rate=settings.train_learning_rate,
        optimizer=settings.train_optimizer,
    )


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
