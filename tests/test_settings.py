"""Settings: profiles, overrides, and refusals that name the mend."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys

import pytest

import erasekit
from erasekit.data.data_spec import FolderSpec, WorldSpec
from erasekit.errors import UsageError
from erasekit.experiment.specs import make_plan
from erasekit.models.train_spec import TrainSpec
from erasekit.profiles import LANGUAGE
from erasekit.settings import DECLARED, PROFILES, Declared, Settings, check, make_settings
from erasekit.unlearn.erase_spec import EraseSpec


def test_a_profile_is_a_set_of_defaults() -> None:
    assert make_settings() == Settings()
    smoke = dataclasses.asdict(make_settings("smoke"))
    plain = dataclasses.asdict(Settings())
    changed = {k: v for k, v in smoke.items() if v != plain[k]}
    assert changed == {"profile": "smoke", **PROFILES["smoke"]}


def test_every_single_value_can_be_given() -> None:
    found = make_settings("smoke", steps=7, forget="bird", draws=None)
    assert (found.steps, found.forget) == (7, "bird")
    assert found.draws == PROFILES["smoke"]["draws"]  # None is: not given


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("steps", "12", 12),
        ("steps", 12.0, 12),
        ("learning_rate", "1e-4", 1e-4),
        ("learning_rate", 1, 1.0),
        ("forget", ["red apple", "banana"], "red apple,banana"),
        ("languages", ("en", "ja"), "en,ja"),
        ("options", {"scaled": True}, {"scaled": True}),
        ("stop_at", "-1", -1.0),
    ],
)
def test_values_come_in_any_dress(name: str, given: object, value: object) -> None:
    found = getattr(make_settings(**{name: given}), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stpes": 5}, "unknown parameter 'stpes': did you mean 'steps'"),
        ({"steps": 5.5}, "steps = 5.5 must be a whole number"),
        ({"steps": ""}, "steps = '' must be a whole number"),
        ({"steps": float("inf")}, "steps = inf must be a whole number"),
        ({"learning_rate": "nan"}, "learning_rate = 'nan' must be a number, and finite"),
        ({"skip_bad": "yes"}, "skip_bad = 'yes' must be true or false"),
        ({"skip_bad": 1}, "skip_bad = 1 must be true or false"),
        ({"device": "gpu"}, "device = 'gpu' must be one of auto, cpu, cuda, mps"),
        ({"profile": "smok"}, "unknown profile 'smok': did you mean 'smoke'"),
        ({"profile": "paper"}, "profile 'paper' needs pretrained weights"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        make_settings(**given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("one", DECLARED.values(), ids=DECLARED)
def test_every_setting_is_documented_typed_and_bounded(one: Declared) -> None:
    assert re.fullmatch(r"[A-Z].*\.", one.help), "a sentence"
    assert one.group
    assert check(one.name, one.default) == one.default
    for profile, values in PROFILES.items():
        value = values.get(one.name, one.default)
        text = value if isinstance(value, dict) else str(value)
        assert check(one.name, text) == value, f"{profile}: not the same when given as text"
    wrong = ["never"] if one.type is dict else {"a": 1} if one.type is str else True
    wrong = "perhaps" if one.type is bool else wrong
    with pytest.raises(UsageError, match=rf"^{one.name} = .* must be ") as error:
        check(one.name, wrong)
    assert "\n" not in str(error.value)
    if bound := re.fullmatch(r"(at least |above )?(\d+)( or more)?", one.range):
        least = int(bound[2])
        with pytest.raises(UsageError, match=f"{one.name} = .* must be {one.range}"):
            check(one.name, least if one.range.startswith("above") else least - 1)


@pytest.mark.parametrize("name", ["steps", "train_steps", "pictures", "judged_pairs"])
def test_a_settings_range_holds_for_the_object_and_for_the_spec_made_from_it(name: str) -> None:
    specs = {
        "steps": lambda: EraseSpec(steps=0),
        "train_steps": lambda: TrainSpec(steps=0),
        "pictures": lambda: WorldSpec(pictures=0),
        "judged_pairs": lambda: FolderSpec("x", judged_pairs=0),
    }
    for make in (lambda: Settings(**{name: 0}), specs[name]):
        with pytest.raises(UsageError, match=f"{name} = 0 must be at least 1"):
            make()


def test_python_shows_every_setting() -> None:
    """In `help()`, and to whatever completes by `inspect.signature`."""
    load = erasekit.load
    shown = inspect.signature(load).parameters
    documented = inspect.getdoc(load) or ""
    assert set(shown) == {"progress", *DECLARED}
    for name, one in DECLARED.items():
        if name != "profile":
            assert shown[name].kind is inspect.Parameter.KEYWORD_ONLY
            assert shown[name].default == one.default
            assert " ".join(one.help.split()) in " ".join(documented.split())


@pytest.mark.parametrize("one", [d for d in DECLARED.values() if d.kind], ids=lambda d: d.name)
def test_a_setting_of_another_kind_of_model_is_refused_by_name(one: Declared) -> None:
    other = {"clip": "language", "language": "clip"}[one.kind]
    text = one.choices[-1] if one.choices else "x"
    value = True if one.type is bool else text if isinstance(one.default, str) else one.default + 1
    assert make_settings("smoke", kind=other, **{one.name: one.default}).kind == other
    with pytest.raises(UsageError, match=f"^{one.name} = .*only for kind = {one.kind}$"):
        make_settings("smoke", kind=other, **{one.name: value})


def test_a_language_model_has_profiles_of_its_own() -> None:
    for profile, values in LANGUAGE.items():
        found = make_settings(profile, kind="language", concepts=9)
        assert {name: getattr(found, name) for name in values} == values
        assert (found.concepts, found.draws) == (9, make_settings(profile).draws)
        assert make_plan(found).method.name == "mmunlearner"
    with pytest.raises(UsageError, match="profile 'paper' has no language model: choose from"):
        make_settings("paper", kind="language")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "mllm"}, "kind = 'mllm' must be one of clip, language"),
        ({"kind": "language", "method": "cliperase"}, "cliperase"),
        ({"kind": "language", "moves": "image"}, "unknown part in moves 'image'"),
        ({"kind": "clip", "moves": "projector"}, "unknown part in moves 'projector'"),
        ({"kind": "language", "model": "hf-hub:a/b"}, "needs a CLIP trained here"),
    ],
)
def test_what_a_kind_of_model_cannot_do_is_refused_in_one_line(given: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words) as error:
        make_plan(make_settings("smoke", **given))
    assert "\n" not in str(error.value)


def test_checking_needs_nothing_heavy() -> None:
    code = (
        "import sys;"
        "from erasekit.settings import make_settings; make_settings('smoke', steps='3');"
        "from erasekit.unlearn.registry import get_method; get_method('cliperase').build({});"
        "from erasekit.data.drawn.concepts import select_concepts; select_concepts(12);"
        "heavy = {'torch', 'open_clip', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules);"
        "raise SystemExit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_defaults_are_those_of_the_specs() -> None:
    plan = make_plan(make_settings())
    assert (plan.erase, plan.data, plan.train) == (EraseSpec(), WorldSpec(), TrainSpec())


def test_what_is_set_of_an_erasure_reaches_its_spec() -> None:
    given = {"moves": "last:2+projection", "micro_batch": "8", "precision": "fp16", "stop_at": 0.1}
    erase = make_plan(make_settings(**given)).erase
    assert (erase.moves, erase.micro_batch) == ("last:2+projection", 8)
    assert (erase.precision, erase.stop_at) == ("fp16", 0.1)


def test_the_paper_profile_is_for_a_folder_and_counts_epochs() -> None:
    found = make_settings("paper", data="folder:x", forget="cat")
    assert {k: getattr(found, k) for k in PROFILES["paper"]} == PROFILES["paper"]
    assert (found.model, found.pretrained) == ("ViT-B-32-quickgelu", "openai")
    assert make_settings("paper", data="folder:x", steps=9).epochs == 0
    assert make_settings("paper", data="folder:x", steps=9, epochs=2).epochs == 2
    other = make_settings("paper", data="folder:x", model="local-dir:x")
    assert (other.model, other.pretrained) == ("local-dir:x", "")
    with pytest.raises(UsageError, match="give data=folder:PATH"):
        make_settings("paper")
    with pytest.raises(UsageError, match="epochs = -1"):
        make_settings(epochs=-1)


def test_a_folder_keeps_its_defaults_in_the_other_profiles() -> None:
    found = make_settings("smoke", data="folder:x", forget="cat")
    assert (found.steps, found.learning_rate, found.epochs) == (500, 1e-6, 0)
    assert found.draws == PROFILES["smoke"]["draws"]


def test_a_clip_that_is_trained_on_a_folder_has_the_small_models_defaults() -> None:
    given = {"data": "folder:photos", "forget": "cat"}
    trained, loaded = make_settings(train="true", **given), make_settings(**given)
    assert trained.train is True and not loaded.train
    assert (trained.model, trained.pretrained) == ("erasekit-medium", "")
    assert trained.learning_rate == DECLARED["learning_rate"].default != loaded.learning_rate
    assert make_settings("smoke", train=True, **given).train_steps == 120
    with pytest.raises(UsageError, match="without train"):
        make_settings("paper", train=True, **given)
