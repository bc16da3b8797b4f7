"""The single declaration of every parameter: name, type, default, range, unit and meaning.

The signature of `erasekit.load`, the command-line options, the check of notebook parameters and
the defaults of every spec are derived from it, without torch. A profile is a set of defaults;
each value can still be overridden.
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from erasekit.checks import base_type, bound_words, checked, choices
from erasekit.errors import UsageError, unknown
from erasekit.profiles import LANGUAGE, PROFILES, clip_defaults


def _setting(
    default: Any,
    group: str,
    meaning: str,
    unit: str = "",
    ge: float | None = None,
    gt: float | None = None,
    kind: str = "",
) -> Any:
    """A field of `Settings`, at least `ge` or above `gt`; `kind` limits it to a kind of model."""
    kind = "clip" if group == _FOLDER_DATA else kind
    told: dict[str, Any] = {"group": group, "help": meaning, "unit": unit, "kind": kind}
    told["bounds"] = {"ge": ge, "gt": gt}
    if default is dict:
        return dataclasses.field(default_factory=dict, metadata=told)
    return dataclasses.field(default=default, metadata=told)


_TASK, _WORLD, _FOLDER_DATA = "Task", "Drawn world", "Your own folder"
_MODEL, _ERASING, _JUDGING, _COMPUTING = "Original", "Erasing", "Evaluation", "Computing"


@dataclass(frozen=True)
class Settings:
    """All parameters of an experiment, with their effective values."""

    profile: str = _setting(
        "default", _TASK, "Set of defaults: default, smoke, benchmark or paper."
    )
    kind: Literal["clip", "language"] = _setting(
        "clip",
        _TASK,
        "The model: a CLIP, or a multimodal language model with one as its image tower.",
    )
    data: str = _setting(
        "openmoji",
        _TASK,
        "The data: openmoji, or folder:PATH for your own (`preview --help`).",
        kind="clip",
    )
    forget: str = _setting(
        "fruit",
        _TASK,
        "Concepts, groups or attributes to forget, joined by commas: fruit | 'red apple,cat' "
        "| colour=red (`list concepts`); for a folder, a rule as in `preview --help`.",
    )
    forget_languages: str = _setting(
        "",
        _TASK,
        "Caption languages in the forget set, joined by commas, e.g. en,ja; empty: all.",
        kind="clip",
    )

    method: str = _setting("cliperase", _ERASING, "Unlearning method (`list methods`).")
    options: dict[str, Any] = _setting(  # noqa: RUF009 (it makes a field)
        dict, _ERASING, "Options of the method, by name (`list methods`)."
    )

    concepts: int = _setting(65, _WORLD, "How many concepts the world has.", "concepts", ge=8)
    pictures: int = _setting(
        30, _WORLD, "Training pictures that show one concept.", "pictures per concept", ge=1
    )
    scenes: int = _setting(
        30, _WORLD, "Training scenes, which show two or three concepts.", "scenes per concept", ge=0
    )
    held_out_pictures: int = _setting(
        12, _WORLD, "Test pictures; validation gets a third as many.", "pictures per concept", ge=3
    )
    languages: str = _setting(
        "en,ja,ru,ar",
        _WORLD,
        "Caption languages, joined by commas; half of the captions are English, and the other"
        " languages share the rest.",
    )
    image_size: int = _setting(
        48, _WORLD, "Side of a picture, also where a CLIP is trained on a folder.", "pixels", ge=32
    )
    world_seed: int = _setting(
        0, _WORLD, "Seed of the world; another seed draws other pictures.", ge=0
    )

    forget_split: Literal["all", "train"] = _setting(
        "all",
        _FOLDER_DATA,
        "Splits whose pictures are forgotten; train, as in benchmarks, only judges on the others.",
    )
    skip_bad: bool = _setting(
        False, _FOLDER_DATA, "Leave out rows with a problem; otherwise they are an error."
    )
    most_pairs: int = _setting(
        20_000, _FOLDER_DATA, "Most pairs of the retain set that are read.", "pairs", ge=1
    )
    judged_pairs: int = _setting(
        1_000, _FOLDER_DATA, "Most pairs to judge on, forgotten and retained.", "pairs", ge=1
    )
    templates: str = _setting(
        "a photo of a {}",
        _FOLDER_DATA,
        "Prompts that name a picture, joined by |, with {} in place of the name.",
    )
    image_column: str = _setting("", _FOLDER_DATA, "Column with the paths of a table's pictures.")
    caption_column: str = _setting("", _FOLDER_DATA, "Column with a table's captions.")

    model: str = _setting(
        "erasekit-small",
        _MODEL,
        "A configuration that is trained here (`list models`), or any CLIP: a name of "
        "open_clip with `pretrained`, hf-hub:ORG/NAME or local-dir:PATH.",
    )
    pretrained: str = _setting(
        "",
        _MODEL,
        "Tag of the model's published weights; empty for what is trained here.",
        kind="clip",
    )
    train: bool = _setting(
        False,
        _MODEL,
        "Train a small CLIP from scratch on your folder's training split, and its oracle on the "
        "same without what is forgotten.",
        kind="clip",
    )
    oracle_model: str = _setting(
        "",
        _MODEL,
        "For a CLIP that is not trained here: a model that never saw the forget set, if there"
        " is one.",
        kind="clip",
    )
    train_steps: int = _setting(300, _MODEL, "Steps of training the original.", "steps", ge=1)
    train_batch: int = _setting(128, _MODEL, "Pairs in a training step.", "pairs", ge=1)
    train_learning_rate: float = _setting(2e-3, _MODEL, "Highest learning rate of training.", gt=0)
    train_optimizer: Literal["muon", "adamw"] = _setting(
        "muon",
        _MODEL,
        "Optimiser of training; muon moves the matrices and filters inside the towers, with ten"
        " times the learning rate, and AdamW everything else.",
    )
    language_steps: int = _setting(
        1000, _MODEL, "Steps of training the language model.", "steps", ge=1, kind="language"
    )

    steps: int = _setting(70, _ERASING, "Steps of erasing, at most.", "steps", ge=1)
    epochs: float = _setting(
        0.0,
        _ERASING,
        "Passes through the retain set; above 0 it replaces `steps`.",
        "epochs",
        ge=0,
        kind="clip",
    )
    forget_batch: int = _setting(
        12, _ERASING, "Pairs, or questions, of the forget set in a step.", "pairs", ge=1
    )
    retain_batch: int = _setting(
        84, _ERASING, "Pairs, or questions, of the retain set in a step.", "pairs", ge=1
    )
    text_batch: int = _setting(
        16, _ERASING, "Text-only questions per step.", "questions", ge=0, kind="language"
    )
    learning_rate: float = _setting(1e-3, _ERASING, "Highest learning rate of erasing.", gt=0)
    stop_at: float = _setting(
        -1.0,
        _ERASING,
        "Stop when the validation top-1 on the forgotten concepts is this or less, twice in a"
        " row; below 0: never.",
        "share from 0 to 1",
    )
    micro_batch: int = _setting(
        0,
        _ERASING,
        "Pairs in the towers at once, for less memory and the same gradient; 0: all.",
        "pairs",
        ge=0,
    )
    moves: str = _setting(
        "all",
        _ERASING,
        "Which weights may move, joined by +: all, image, text, projection (language models:"
        " vision, projector, language), last:N blocks of each tower, lora:R (merged at the end).",
    )
    salient: float = _setting(
        0.0,
        _ERASING,
        "Only weights move whose squared gradient on the forget set is at least this many "
        "times that on the retain set; 0: off.",
        ge=0,
    )
    compile: str = _setting(
        "", _ERASING, "Backend of torch.compile, such as inductor; empty: off.", kind="clip"
    )

    draws: int = _setting(1000, _JUDGING, "Bootstrap draws for each interval.", "draws", ge=1)
    gallery: int = _setting(
        200, _JUDGING, "Most pairs among which one is retrieved.", "pairs", ge=1, kind="clip"
    )

    seed: int = _setting(0, _COMPUTING, "Seed of training and erasing.", ge=0)
    threads: int = _setting(
        2,
        _COMPUTING,
        "Processor threads; results repeat exactly at equal threads.",
        "threads",
        ge=1,
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = _setting(
        "auto", _COMPUTING, "Where to compute; auto takes cuda, then mps, then cpu."
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = _setting(
        "auto", _COMPUTING, "Number format in the towers; auto takes bf16 on cuda, else fp32."
    )
    trackers: str = _setting(
        "",
        _COMPUTING,
        "Trackers of accelerate that follow each step's terms, joined by commas, such as "
        "tensorboard.",
    )

    def __post_init__(self) -> None:
        for name in DECLARED:
            object.__setattr__(self, name, check(name, getattr(self, name)))


@dataclass(frozen=True)
class Declared:
    """The declaration of one setting.

    Attributes:
        type: bool, int, float, str, dict, or ``Literal`` for a choice of words.
        hint: the type with its bounds, for pydantic.
        choices: words of a ``Literal``; empty for any other type.
        range: range in words, such as ``at least 1``; empty if any value is allowed.
        help: its meaning.
        group: the part of an experiment to which it belongs.
        kind: the only kind of model that has it; empty for both kinds.
    """

    name: str
    type: Any
    hint: Any
    choices: tuple[str, ...]
    default: Any
    range: str
    unit: str
    help: str
    group: str
    kind: str

    @property
    def type_name(self) -> str:
        """The type or the choices, for display."""
        return "|".join(self.choices) or self.type.__name__


def _declared(field: dataclasses.Field) -> Declared:
    hint, told = _TYPES[field.name], field.metadata
    return Declared(
        name=field.name,
        type=base_type(hint),
        hint=Annotated[hint, Field(**told["bounds"])],
        choices=choices(hint),
        default={} if field.default is dataclasses.MISSING else field.default,
        range=bound_words(told["bounds"]),
        unit=told["unit"],
        help=told["help"],
        group=told["group"],
        kind=told["kind"],
    )


_TYPES = typing.get_type_hints(Settings)
#: Every setting by name, in the order of `Settings`.
DECLARED = {field.name: _declared(field) for field in dataclasses.fields(Settings)}


def default(name: str) -> Any:
    """The default of a setting."""
    return DECLARED[name].default


def check(name: str, value: Any, shown: str = "") -> Any:
    """Check `value` for the setting `name`; accepts numbers as text, and text as a list of words.

    Args:
        shown: replaces the name in messages.

    Raises:
        UsageError: names the setting, its value and what it must be.
    """
    if DECLARED[name].type is str and isinstance(value, (list, tuple)):
        value = ",".join(map(str, value))
    return checked(shown or name, value, DECLARED[name].hint)


def make_settings(profile: str = "default", **given: Any) -> Settings:
    """Make settings from a profile, with single values replaced.

    Values of ``None`` count as not given. Numbers may be given as text.

    Raises:
        UsageError: for an unknown profile or parameter (suggests the nearest), for a value of the
            wrong type or out of range, and for a parameter of another kind of model.
    """
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    for name in given:
        if name not in DECLARED:
            raise unknown("parameter", name, DECLARED)
    given = {k: v for k, v in given.items() if v is not None}
    kind = check("kind", given.get("kind", default("kind")))
    if kind == "language":
        if profile not in LANGUAGE:
            known = ", ".join(LANGUAGE)
            raise UsageError(f"profile '{profile}' has no language model: choose from {known}")
        return _of_kind(Settings(profile, **{**PROFILES[profile], **LANGUAGE[profile], **given}))
    folder = str(given.get("data", "")).startswith("folder:")
    train = "train" in given and check("train", given["train"])
    defaults = clip_defaults(profile, folder=folder, train=train)
    if "model" in given:  # the profile's tag only belongs to the profile's model
        defaults.pop("pretrained", None)
    if "steps" in given:
        defaults.pop("epochs", None)
    return _of_kind(Settings(profile, **{**defaults, **given}))


def _of_kind(settings: Settings) -> Settings:
    """Return `settings`, if parameters of other kinds of model have their defaults.

    Raises:
        UsageError: names the first that does not.
    """
    for name, one in DECLARED.items():
        if one.kind not in ("", settings.kind) and getattr(settings, name) != one.default:
            raise UsageError(
                f"{name} = {getattr(settings, name)!r}: this setting is only for kind = {one.kind}"
            )
    return settings
