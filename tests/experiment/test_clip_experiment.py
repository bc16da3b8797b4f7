"""An experiment: models from the cache, settings in force, costs told."""

from __future__ import annotations

import csv
import inspect
import random
import shutil
from pathlib import Path

import pytest
import torch
from support import fingerprint
from support_tiny import TINY

import erasekit
from erasekit.errors import UsageError
from erasekit.experiment.clip_experiment import Experiment, load
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
        ({"train_steps": 0}, "steps = 0: must be above 0"),
        ({"learning_rate": -1}, "learning_rate = -1"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
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


@pytest.mark.parametrize("method", ["cliperase", "delete", "null_space"])
def test_captions_alone_are_enough(own_folder, own_parameters, tmp_path, method: str) -> None:
    """No column tells a concept: methods that compare with names take captions for them."""
    rows = list(csv.DictReader((own_folder / "pairs.csv").open(encoding="utf-8")))
    with (tmp_path / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("image", "caption", "split"))
        table.writerows((row["image"], row["caption"], row["split"]) for row in rows)
    shutil.copytree(own_folder / "pictures", tmp_path / "pictures")
    given = {**own_parameters, "data": f"folder:{tmp_path}", "forget": "word=picture"}
    experiment = Experiment(make_settings("smoke", **given, method=method), progress=False)
    assert len(experiment.task.retained) > 0 and not experiment.task.named
    card = experiment.evaluate({"erased": experiment.erase()}, oracle=False)
    assert card.has("recall@1", "retain") and not card.has("top1", "forget")


@pytest.mark.parametrize("method", ["never_seen", "salun", "null_space", "slug", "ssd", "munba"])
@pytest.mark.parametrize("rule", ["group", "word=picture"])
def test_methods_of_every_kind_run_on_a_folder(own_parameters, group, method, rule) -> None:
    options = {"level": "shuffled"} if method == "never_seen" else {}
    settings = make_settings(
        "smoke",
        **own_parameters,
        forget=group if rule == "group" else rule,
        method=method,
        options=options,
    )
    experiment = Experiment(settings, progress=False)
    erased = experiment.erase()
    assert erased.model.fingerprint() != experiment.original.fingerprint()


def test_what_a_folder_cannot_do_yet_is_said(own_parameters, group) -> None:
    experiment = Experiment(make_settings("smoke", **own_parameters, forget=group), progress=False)
    assert not experiment.has_oracle
    with pytest.raises(UsageError, match="give one as oracle_model"):
        _ = experiment.oracle
    with pytest.raises(UsageError, match="the audit draws its own pictures"):
        experiment.audit(experiment.original)


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
