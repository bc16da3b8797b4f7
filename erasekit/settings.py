"""The one declaration of every parameter: its name, type, default, range, unit and meaning.

The signature of `erasekit.load`, the options of the command line, the check of a notebook's
parameters and the defaults of every spec are made from it. Nothing here needs torch. A profile
is a set of defaults and nothing else; each single value can still be given.
"""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from erasekit.checks import base_type, bound_words, checked, choices
from erasekit.errors import UsageError, unknown

#: What each profile sets apart from the defaults of `Settings`.
PROFILES: dict[str, dict[str, Any]] = {
    "default": {},
    "smoke": {
        "concepts": 16,
        "pictures": 24,
        "scenes": 16,
        "held_out_pictures": 9,
        "train_steps": 120,
        "train_batch": 64,
        # A small world tears easily: gentler steps than the default's, chosen on validation.
        "steps": 48,
        "forget_batch": 8,
        "retain_batch": 40,
        "learning_rate": 5e-4,
        "draws": 100,
    },
    # A world whose model trains in about a minute, so that every method can be held against
    # three oracles on eight tasks. Many scenes: an oracle must not lack for them.
    "benchmark": {
        "concepts": 40,
        "pictures": 40,
        "scenes": 60,
        "languages": "en,ja",
        "image_size": 40,
        "train_steps": 400,
        "train_batch": 96,
        "steps": 50,
        "forget_batch": 12,
        "retain_batch": 60,
        "learning_rate": 5e-4,
        "draws": 20,
        "threads": 1,
    },
    # CLIPErase's published set-up, as far as secondary notes on the paper tell it; for a folder
    # that data_scripts/ wrote. What they leave open is listed in runs/reproduction.yaml, which
    # names the paper's own backbone too: this one is the small one that folders start from.
    "paper": {
        "method": "cliperase",
        "model": "ViT-B-32-quickgelu",
        "pretrained": "openai",
        "epochs": 20,
        "forget_batch": 16,
        "retain_batch": 16,
        "learning_rate": 1e-6,
        # No set is cut short, as far as memory allows.
        "most_pairs": 200_000,
        "judged_pairs": 10_000,
        "gallery": 5_000,
    },
}


# What a folder of one's own pairs sets apart: a published CLIP, and CLIPErase's own learning rate
# and batch for it, as reported in secondary notes on the paper.
_FOLDER: dict[str, Any] = {
    "model": "ViT-B-32-quickgelu",
    "pretrained": "openai",
    "steps": 500,
    "forget_batch": 16,
    "retain_batch": 16,
    "learning_rate": 1e-6,
}


def _setting(
    group: str, meaning: str, unit: str = "", ge: float | None = None, gt: float | None = None
) -> Any:
    """What a setting means, beside its type: it is at least `ge`, and above `gt`."""
    extra = {"group": group, "unit": unit, "bounds": {"ge": ge, "gt": gt}}
    return Field(description=meaning, json_schema_extra=extra, ge=ge, gt=gt)


_TASK, _WORLD, _FOLDER_DATA = "Task", "Drawn world", "Your own folder"
_MODEL, _ERASING, _JUDGING, _COMPUTING = "Original", "Erasing", "Evaluation", "Computing"


@dataclass(frozen=True)
class Settings:
    """All parameters of an experiment as they take effect."""

    profile: Annotated[
        str, _setting(_TASK, "Set of defaults: default, smoke, benchmark or paper.")
    ] = "default"
    data: Annotated[
        str,
        _setting(_TASK, "The data: openmoji, or folder:PATH for your own (`preview --help`)."),
    ] = "openmoji"
    forget: Annotated[
        str,
        _setting(
            _TASK,
            "Concepts, groups or attributes to forget, joined by commas: fruit | 'red apple,cat' "
            "| colour=red (`list concepts`); for a folder, a rule as in `preview --help`.",
        ),
    ] = "fruit"
    forget_languages: Annotated[
        str,
        _setting(
            _TASK, "Caption languages in the forget set, joined by commas, e.g. en,ja; empty: all."
        ),
    ] = ""
    method: Annotated[str, _setting(_ERASING, "Unlearning method (`list methods`).")] = "cliperase"
    options: Annotated[
        dict[str, Any], _setting(_ERASING, "Options of the method, by name (`list methods`).")
    ] = dataclasses.field(default_factory=dict)

    concepts: Annotated[
        int, _setting(_WORLD, "How many concepts the world has.", "concepts", ge=8)
    ] = 65
    pictures: Annotated[
        int,
        _setting(_WORLD, "Training pictures that show one concept.", "pictures per concept", ge=1),
    ] = 30
    scenes: Annotated[
        int,
        _setting(
            _WORLD, "Training scenes, which show two or three concepts.", "scenes per concept", ge=0
        ),
    ] = 30
    held_out_pictures: Annotated[
        int,
        _setting(
            _WORLD,
            "Test pictures; validation gets a third as many.",
            "pictures per concept",
            ge=3,
        ),
    ] = 12
    languages: Annotated[
        str,
        _setting(
            _WORLD,
            "Caption languages, joined by commas; half of the captions are English, and the other "
            "languages share the rest.",
        ),
    ] = "en,ja,ru,ar"
    image_size: Annotated[int, _setting(_WORLD, "Side of a picture.", "pixels", ge=32)] = 48
    world_seed: Annotated[
        int, _setting(_WORLD, "Seed of the world; another seed draws other pictures.", ge=0)
    ] = 0

    skip_bad: Annotated[
        bool, _setting(_FOLDER_DATA, "Leave out rows with a problem; otherwise they are an error.")
    ] = False
    most_pairs: Annotated[
        int,
        _setting(
            _FOLDER_DATA,
            "Most pairs of the forget set, and of the retain set, that an erasure may read.",
            "pairs",
            ge=1,
        ),
    ] = 20_000
    judged_pairs: Annotated[
        int,
        _setting(_FOLDER_DATA, "Most pairs of each set in validation, and in test.", "pairs", ge=1),
    ] = 1_000
    templates: Annotated[
        str,
        _setting(
            _FOLDER_DATA, "Prompts that name a picture, joined by |, with {} in place of the name."
        ),
    ] = "a photo of a {}"

    model: Annotated[
        str,
        _setting(
            _MODEL,
            "A configuration that is trained here (`list models`), or any CLIP: a name of "
            "open_clip with `pretrained`, hf-hub:ORG/NAME or local-dir:PATH.",
        ),
    ] = "erasekit-small"
    pretrained: Annotated[
        str,
        _setting(_MODEL, "Tag of the model's published weights; empty for what is trained here."),
    ] = ""
    oracle_model: Annotated[
        str,
        _setting(
            _MODEL,
            "For a CLIP that is not trained here: a model that never saw the forget set, if there "
            "is one.",
        ),
    ] = ""
    train_steps: Annotated[
        int, _setting(_MODEL, "Steps of training the original.", "steps", ge=1)
    ] = 700
    train_batch: Annotated[int, _setting(_MODEL, "Pairs in a training step.", "pairs", ge=1)] = 128
    train_learning_rate: Annotated[
        float, _setting(_MODEL, "Highest learning rate of training.", gt=0)
    ] = 2e-3

    steps: Annotated[int, _setting(_ERASING, "Steps of erasing, at most.", "steps", ge=1)] = 70
    epochs: Annotated[
        float,
        _setting(
            _ERASING, "Passes through the retain set; above 0 it replaces `steps`.", "epochs", ge=0
        ),
    ] = 0.0
    forget_batch: Annotated[
        int, _setting(_ERASING, "Pairs of the forget set in a step.", "pairs", ge=1)
    ] = 12
    retain_batch: Annotated[
        int, _setting(_ERASING, "Pairs of the retain set in a step.", "pairs", ge=1)
    ] = 84
    learning_rate: Annotated[
        float, _setting(_ERASING, "Highest learning rate of erasing.", gt=0)
    ] = 1e-3
    stop_at: Annotated[
        float,
        _setting(
            _ERASING,
            "Stop when the validation top-1 on the forgotten concepts is this or less, twice in a "
            "row; below 0: never.",
            "share from 0 to 1",
        ),
    ] = -1.0
    micro_batch: Annotated[
        int,
        _setting(
            _ERASING,
            "Pairs in the towers at once, for less memory and the same gradient; 0: all.",
            "pairs",
            ge=0,
        ),
    ] = 0
    moves: Annotated[
        str,
        _setting(
            _ERASING,
            "Which weights may move, joined by +: all, image, text, projection, last:N (blocks of "
            "each tower), lora:R (adapters, merged at the end).",
        ),
    ] = "all"
    salient: Annotated[
        float,
        _setting(
            _ERASING,
            "Only weights move whose squared gradient on the forget set is at least this many "
            "times that on the retain set; 0: off.",
            ge=0,
        ),
    ] = 0.0
    compile: Annotated[
        str,
        _setting(_ERASING, "Backend of torch.compile, such as inductor; empty: off."),
    ] = ""

    draws: Annotated[
        int, _setting(_JUDGING, "Bootstrap draws for each interval.", "draws", ge=1)
    ] = 1000
    gallery: Annotated[
        int, _setting(_JUDGING, "Most pairs among which one is retrieved.", "pairs", ge=1)
    ] = 200

    seed: Annotated[int, _setting(_COMPUTING, "Seed of training and erasing.", ge=0)] = 0
    threads: Annotated[
        int,
        _setting(
            _COMPUTING,
            "Processor threads; results repeat exactly at equal threads.",
            "threads",
            ge=1,
        ),
    ] = 2
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        _setting(_COMPUTING, "Where to compute; auto takes cuda, then mps, then cpu."),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        _setting(_COMPUTING, "Number format in the towers; auto takes bf16 on cuda, else fp32."),
    ] = "auto"
    trackers: Annotated[
        str,
        _setting(
            _COMPUTING,
            "Trackers of accelerate that follow each step's terms, joined by commas, such as "
            "tensorboard.",
        ),
    ] = ""

    def __post_init__(self) -> None:
        for name in DECLARED:
            object.__setattr__(self, name, check(name, getattr(self, name)))


@dataclass(frozen=True)
class Declared:
    """One setting as it is declared.

    Attributes:
        type: bool, int, float, str, dict, or ``Literal`` for a few words.
        choices: those words; empty for any other type.
        range: in words, such as ``at least 1``; empty if any value goes.
        help: what it means.
        group: the part of an experiment that it belongs to.
    """

    name: str
    type: Any
    choices: tuple[str, ...]
    default: Any
    range: str
    unit: str
    help: str
    group: str

    @property
    def type_name(self) -> str:
        """For a person: the type, or the words that it may be."""
        return "|".join(self.choices) or self.type.__name__


_HINTS = typing.get_type_hints(Settings, include_extras=True)


def _declared(field: dataclasses.Field) -> Declared:
    hint = _HINTS[field.name]
    meaning = typing.get_args(hint)[1]
    extra = meaning.json_schema_extra
    return Declared(
        name=field.name,
        type=base_type(hint),
        choices=choices(hint),
        default={} if field.default is dataclasses.MISSING else field.default,
        range=bound_words(extra["bounds"]),
        unit=extra["unit"],
        help=meaning.description,
        group=extra["group"],
    )


#: Every setting by name, in the order of `Settings`.
DECLARED = {field.name: _declared(field) for field in dataclasses.fields(Settings)}


def default(name: str) -> Any:
    """The default of a setting."""
    return DECLARED[name].default


def check(name: str, value: Any, shown: str = "") -> Any:
    """`value` as the setting `name` has it; numbers may come as text, text as a list of words.

    Args:
        shown: in the message, in place of the name.

    Raises:
        UsageError: naming the setting, its value and what it must be.
    """
    if DECLARED[name].type is str and isinstance(value, (list, tuple)):
        value = ",".join(map(str, value))
    return checked(shown or name, value, _HINTS[name])


def make_settings(profile: str = "default", **given: Any) -> Settings:
    """Settings of a profile with single values replaced.

    Values of ``None`` are taken as not given. Numbers may come as text.

    Raises:
        UsageError: for an unknown profile or parameter, naming the nearest, and for a
            value of the wrong type or out of range.
    """
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    for name in given:
        if name not in DECLARED:
            raise unknown("parameter", name, DECLARED)
    given = {k: v for k, v in given.items() if v is not None}
    folder = str(given.get("data", "")).startswith("folder:")
    if profile == "paper" and not folder:
        raise UsageError(
            "profile 'paper' needs pretrained weights and one of the papers' data sets: give "
            "data=folder:PATH as data_scripts/ write it, or take profile 'default'"
        )
    defaults = {**PROFILES[profile], **(_FOLDER if folder else {})}
    if profile == "paper":
        defaults |= PROFILES[profile]
    if "model" in given:  # a tag belongs to one model: who names another brings its own
        defaults.pop("pretrained", None)
    if "steps" in given:
        defaults.pop("epochs", None)
    return Settings(profile=profile, **{**defaults, **given})


_Function = TypeVar("_Function", bound=Callable[..., Any])


def takes_settings(function: _Function) -> _Function:
    """Give a function with ``**parameters`` the signature and documentation of every setting.

    It shows the defaults of profile ``default``.
    """
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    settings = [d for d in DECLARED.values() if d.name not in signature.parameters]
    parameters = [
        inspect.Parameter(
            d.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=d.default,
            annotation=Literal[d.choices] if d.choices else d.type,
        )
        for d in settings
    ]
    function.__signature__ = signature.replace(parameters=[*own, *parameters])  # type: ignore[attr-defined]
    function.__doc__ = inspect.cleandoc(function.__doc__ or "") + "\n\n" + _documented(settings)
    return function


def _documented(settings: list[Declared]) -> str:
    lines = ["Parameters, with the defaults of profile default:"]
    for one in settings:
        notes = ", ".join(filter(None, [one.type_name, one.unit, one.range]))
        lines += textwrap.wrap(
            f"{one.name} ({notes}; default {one.default!r}): {one.help}",
            width=96,
            initial_indent="    ",
            subsequent_indent="        ",
        )
    return "\n".join(lines)
