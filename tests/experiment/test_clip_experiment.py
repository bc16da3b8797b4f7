"""An experiment: models from the cache, settings in force, costs told."""

from __future__ import annotations

import csv
import inspect
import random
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from support import fingerprint
from support_tiny import TINY
from support_trainings import trainings

import erasekit
from erasekit.data.drawn.concepts import FEWEST_RETAINED, Concept, select_concepts
from erasekit.data.drawn.world import World
from erasekit.data.pairs import Pairs
from erasekit.errors import UsageError
from erasekit.experiment import base_experiment
from erasekit.experiment import clip_experiment as module
from erasekit.experiment.clip_experiment import Experiment
from erasekit.experiment.kinds import load
from erasekit.files import read_json, sha256_json
from erasekit.settings import make_settings


def test_the_package_gives_what_it_names() -> None:
    assert erasekit.load is load
    assert erasekit.Experiment is Experiment
    for name in erasekit.__all__:
        assert inspect.getdoc(getattr(erasekit, name))
    with pytest.raises(AttributeError, match="no attribute 'unload'"):
        _ = erasekit.unload  # type: ignore[attr-defined]


def test_a_second_experiment_takes_the_models_from_the_cache(tiny_experiment, tiny) -> None:
    made = tiny_experiment.original_folder, tiny_experiment.oracle_folder
    again = load("smoke", progress=False, **tiny)
    assert (again.original_folder, again.oracle_folder) == made
    assert made[0] != made[1]
    assert fingerprint(again.original.model) == fingerprint(tiny_experiment.original.model)


def test_the_original_does_not_depend_on_what_is_forgotten(tiny_experiment, tiny) -> None:
    bird = load("smoke", progress=False, forget="bird", **tiny)
    assert bird.original_folder == tiny_experiment.original_folder
    assert {c.group for c in bird.task.forgotten_concepts} == {"bird"}


def test_settings_take_effect(tiny_experiment, tiny) -> None:
    assert tiny_experiment.settings == make_settings("smoke", **tiny)
    erasure = tiny_experiment.erase()
    assert erasure.method == "cliperase"
    assert (erasure.steps, erasure.spec.forget_batch) == (3, 4)
    other = tiny_experiment.erase("fine_tune", steps=2, learning_rate=5e-4)
    assert (other.method, other.steps, other.spec.learning_rate) == ("fine_tune", 2, 5e-4)
    assert other.spec.forget_batch == 4
    shaped = tiny_experiment.erase(options={"consistency": 0}, steps=1)
    assert shaped.method == "cliperase"
    assert "consistency" not in shaped.history[0]


def test_options_of_the_settings_reach_the_method(tiny) -> None:
    experiment = load("smoke", progress=False, **tiny, options={"forgetting": "0.5"})
    assert experiment.erase(steps=1).options["forgetting"] == 0.5


def test_the_control_runs_as_long_as_the_method(tiny_experiment) -> None:
    control = tiny_experiment.control(steps=2)
    assert (control.method, control.steps) == ("fine_tune", 2)
    assert tiny_experiment.control().steps == tiny_experiment.settings.steps


def test_frozen_features_are_shared(tiny_experiment) -> None:
    assert tiny_experiment.frozen is tiny_experiment.frozen


def test_costs_are_those_of_the_making(tiny_experiment, tiny_erasure, tiny_scorecard) -> None:
    cost = tiny_scorecard.cost
    assert cost["original"]["steps"] == cost["oracle"]["steps"] == 4
    assert cost["erased"] == {"seconds": round(tiny_erasure.seconds, 2), "steps": 3}
    assert all(entry["seconds"] > 0 for entry in cost.values())


def test_an_erasure_can_be_saved_and_measured_again(
    tiny_experiment, tiny_erasure, tmp_path: Path
) -> None:
    from erasekit.models.clip import load_clip

    folder = tiny_erasure.model.save(tmp_path / "model")
    assert fingerprint(load_clip(folder).model) == fingerprint(tiny_erasure.model.model)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"forget": "friut"}, "did you mean 'fruit'"),
        ({"method": "clip_erase"}, "did you mean 'cliperase'"),
        ({"options": {"forgeting": 1}}, "did you mean 'forgetting'"),
        ({"train_steps": 0}, "train_steps = 0 must be at least 1"),
        ({"learning_rate": -1}, "learning_rate = -1"),
        ({"device": "gpu"}, "device = 'gpu' must be one of auto"),
        ({"languages": "ja"}, "'en' must be one of them"),
        ({"stpes": 3}, "did you mean 'steps'"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_training(
    tiny, empty_cache: Path, given: dict, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        load("smoke", progress=False, **{**tiny, **given})
    assert not empty_cache.exists()


def test_an_unknown_part_of_the_specification_is_refused(tiny_experiment) -> None:
    with pytest.raises(UsageError, match="unknown parameter 'stpes': did you mean 'steps'"):
        tiny_experiment.erase(stpes=3)


@pytest.fixture(scope="module")
def group(tiny_experiment) -> str:
    return f"group={tiny_experiment.world.concepts[0].group}"


def test_captions_alone_are_enough(own_folder, own_parameters, tmp_path: Path) -> None:
    """No column tells a concept: methods that compare with names take captions for them."""
    rows = list(csv.DictReader((own_folder / "pairs.csv").open(encoding="utf-8")))
    with (tmp_path / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("image", "caption", "split"))
        table.writerows((row["image"], row["caption"], row["split"]) for row in rows)
    shutil.copytree(own_folder / "pictures", tmp_path / "pictures")
    given = {**own_parameters, "data": f"folder:{tmp_path}", "forget": "word=picture"}
    experiment = Experiment(make_settings("smoke", **given), progress=False)
    assert len(experiment.task.retained) > 0 and not experiment.task.named
    erased = {method: experiment.erase(method) for method in ("cliperase", "delete", "null_space")}
    card = experiment.evaluate(erased, oracle=False)
    measured = {
        row.model for row in card.rows if (row.metric, row.subset) == ("recall@1", "retain")
    }
    assert measured == {"original", *erased} and not card.has("top1", "forget")


@pytest.fixture(scope="module", params=["group", "word=picture"])
def on_a_folder(own_parameters, group: str, request) -> Experiment:
    forget = group if request.param == "group" else request.param
    settings = make_settings("smoke", **own_parameters, forget=forget)
    return Experiment(settings, progress=False)


@pytest.mark.parametrize("method", ["never_seen", "salun", "null_space", "slug", "ssd", "munba"])
def test_methods_of_every_kind_run_on_a_folder(on_a_folder: Experiment, method: str) -> None:
    options = {"level": "shuffled"} if method == "never_seen" else {}
    erased = on_a_folder.erase(method, options=options)
    assert erased.method == method
    assert erased.model.fingerprint() != on_a_folder.original.fingerprint()


def test_what_a_folder_cannot_do_yet_is_said(own_parameters, group) -> None:
    experiment = Experiment(make_settings("smoke", **own_parameters, forget=group), progress=False)
    assert not experiment.has_oracle
    with pytest.raises(UsageError, match="no oracle: pass oracle_model"):
        _ = experiment.oracle
    unnamed = {**own_parameters, "forget": "word=picture"}
    experiment = Experiment(make_settings("smoke", **unnamed), progress=False)
    with pytest.raises(UsageError, match="probes needs names, and this request has only pictures"):
        experiment.audit(experiment.original, tests=["probes"])


def test_an_experiment_changes_nothing_global() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    state = torch.get_rng_state(), random.getstate()
    threads = before[0] + 1
    experiment = erasekit.load("smoke", progress=False, **{**TINY, "threads": threads})
    seen = []

    def look(row: dict[str, float]) -> None:
        seen.append((torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()))

    erased = experiment.erase(log=look)
    experiment.evaluate({"erased": erased}, oracle=False)
    assert set(seen) == {(threads, True)}
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
    assert torch.equal(torch.get_rng_state(), state[0])
    assert random.getstate() == state[1]


# What every model is trained on. Training is replaced by a note of what it was given, behind
# the real cache: nothing here repeats the rule by which the lists are made.


def shows(pairs: Pairs, row: int, concept: Concept) -> bool:
    """Whether a pair shows or tells of a concept, in any language, by its name or otherwise."""
    told = f" {pairs.captions[row].lower()} "
    named = any(name.lower() in told for name in concept.names.values() if len(name) > 2)
    described = pairs.captions[row] in concept.descriptions
    return concept.index in pairs.concepts[row] or named or described


CONCEPTS = [c for c in select_concepts(TINY["concepts"]) if not c.holdout]
REQUESTS = [
    *(c.name for c in CONCEPTS),
    *{c.group for c in CONCEPTS},
    *{f"colour={c.attributes['colour']}" for c in CONCEPTS},
]


@settings(max_examples=15, deadline=None)
@given(
    forget=st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=2, unique=True),
    languages=st.sampled_from(["", "en", "ja", "en,ja", "ar"]),
    seed=st.integers(0, 3),
    world_seed=st.integers(0, 3),
)
@example(forget=["fruit"], languages="ja", seed=0, world_seed=0)
def test_no_oracle_is_trained_on_anything_forgotten(
    forget: list[str], languages: str, seed: int, world_seed: int
) -> None:
    asked = {
        c for c in CONCEPTS if {c.name, c.group, f"colour={c.attributes['colour']}"} & {*forget}
    }
    assume(len(CONCEPTS) - len(asked) >= FEWEST_RETAINED)
    asking = {"forget": forget, "forget_languages": languages, "seed": seed}
    with TemporaryDirectory() as cache, trainings(Path(cache)) as found:
        experiment = load("smoke", progress=False, **{**TINY, **asking, "world_seed": world_seed})
        _ = experiment.original
        folders = experiment.oracles(3)
        assert folders[0] == experiment.oracle_folder == experiment.oracle
    original, *oracles = found
    # One world, drawn once more: a pair is known by its place in the list.
    samples = World(experiment.world.spec).samples("train")
    pictures = experiment.world.render(samples)
    assert original.label == "training the original"
    assert original.pairs.positions.tolist() == list(range(len(samples)))
    assert [training.label for training in oracles] == ["training the oracle"] * 3
    assert [training.spec.seed for training in found] == [seed, seed, seed + 1, seed + 2]
    assert len({training.folder for training in found}) == 4
    gone = {c.index for c in asked}
    for training in found:
        pairs = training.pairs
        places = pairs.positions.tolist()
        assert torch.equal(pairs.images, pictures[places])
        assert pairs.concepts == tuple(samples[p].concepts for p in places)
        assert pairs.captions == tuple(experiment.world.caption(samples[p]) for p in places)
        if training is not original:
            assert not any(shows(pairs, row, c) for row in range(len(pairs)) for c in asked)
            assert places == [p for p, s in enumerate(samples) if gone.isdisjoint(s.concepts)]


def test_what_a_model_was_trained_on_is_in_its_key(tmp_path: Path) -> None:
    """By name, and by the list itself: a kept model cannot hide that a list was wrong."""
    with trainings(tmp_path) as found:
        experiment = load("smoke", progress=False, **TINY)
        original, oracle = experiment.original_folder, experiment.oracle_folder
        whole = experiment.world.pairs("train")
        other = load("smoke", progress=False, **TINY)
        other.task.__dict__["retain"] = whole  # as if it had been made by a wrong rule
        wrong = other.oracle_folder
        one_less = load("smoke", progress=False, **TINY)
        one_less.task.__dict__["retain"] = experiment.task.retain.take(
            range(1, len(experiment.task.retain))
        )
        shorter = one_less.oracle_folder
    assert len({original, oracle, wrong, shorter}) == len(found) == 4
    fruit = [c.name for c in CONCEPTS if c.group == "fruit"]
    for folder, gone, training in zip((original, oracle), ([], fruit), found, strict=False):
        recipe = read_json(folder / "manifest.json")["recipe"]
        assert recipe["without"] == gone
        assert recipe["pairs"] == sha256_json(training.pairs.positions.tolist())
        assert recipe["train"]["seed"] == experiment.settings.seed


def test_an_experiment_that_forgets_something_else_has_another_oracle(tmp_path: Path) -> None:
    with trainings(tmp_path) as found:
        folders = {
            load("smoke", progress=False, **{**TINY, **asking}).oracle_folder
            for asking in ({}, {"forget": "bird"}, {"forget": "owl"}, {"seed": 1})
        }
    assert len(folders) == len(found) == 4


def test_an_audit_gets_every_oracle_with_its_seed(
    tiny_experiment, tiny_erasure, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def spy(models, task, **rest):
        asked.update(rest, models=models, task=task)

    monkeypatch.setattr(base_experiment, "audit", spy)
    tiny_experiment.audit(tiny_erasure.model, tests=["probes"], oracles=3, split="validation")
    models = asked["models"]
    assert list(models) == ["original", "erased", "oracle", "oracle-1", "oracle-2"]
    assert models["original"] is tiny_experiment.original
    assert models["erased"] is tiny_erasure.model
    prints = [models[name].fingerprint() for name in ("oracle", "oracle-1", "oracle-2")]
    assert len(set(prints)) == 3
    assert prints == [clip.fingerprint() for clip in tiny_experiment.oracles(3)]
    assert asked["oracle_seeds"] == [0, 1, 2]
    assert (asked["split"], asked["task"]) == ("validation", tiny_experiment.task)


def test_a_scorecard_gets_the_models_under_their_own_names(
    tiny_experiment, tiny_erasure, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}
    monkeypatch.setattr(module, "evaluate", lambda task, models, **rest: asked.update(models))
    control = tiny_experiment.control(1)
    tiny_experiment.evaluate({"erased": tiny_erasure, "control": control})
    own = tiny_experiment
    wanted = [own.original, tiny_erasure.model, control.model, own.oracle]
    for name, model in zip(("original", "erased", "control", "oracle"), wanted, strict=True):
        assert asked[name] is model
