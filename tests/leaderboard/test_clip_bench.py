"""The bench of CLIPs: which code it runs, what its oracles saw, and on which split it chooses."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from support_tiny import TINY

from erasekit.experiment import clip_experiment
from erasekit.experiment.specs import make_plan
from erasekit.fingerprint import closure
from erasekit.leaderboard import bench, clip_bench
from erasekit.leaderboard.bench import Case
from erasekit.leaderboard.clip_bench import ClipBench
from erasekit.loop import LoopResult
from erasekit.models import train_clip
from erasekit.settings import make_settings

TASKS = {
    "one": (("penguin",), {"penguin"}),
    "two": (("penguin", "red apple"), {"penguin", "red apple"}),
    "inside": (("penguin",), {"penguin"}),
}


def make_bench(task: str = "one", seed: int = 0) -> ClipBench:
    settings = make_settings("smoke", **{**TINY, "seed": seed})
    plan = make_plan(settings)
    requests, _ = TASKS[task]
    assert plan.train is not None
    case = Case(plan.data, plan.train, plan.erase, requests, task == "inside", draws=10)  # type: ignore[arg-type]
    return ClipBench(case)


def test_the_code_behind_a_result_is_all_that_makes_it_and_no_more() -> None:
    own = closure("erasekit.leaderboard.clip_bench", "erasekit.unlearn.methods.salun")
    names = {name.removeprefix("erasekit.") for name in own}
    assert {"unlearn.engine", "evaluate.scorecard", "audit.attacks.relearning"} <= names
    assert {"models.train_clip", "data.drawn.world"} <= names
    # A parent class of the method is in it, and no other method is.
    methods = {name for name in names if name.startswith("unlearn.methods.")}
    assert methods == {"unlearn.methods.salun", "unlearn.methods.random_label"}
    rooms = ("experiment", "data.folder", "data.published", "plots", "runs", "cli")
    assert not [name for name in names if name.startswith(rooms)]
    assert not names & {"audit.suite", "audit.verdict", "cache", "fingerprint", "models.trained"}
    board = {name for name in names if name.startswith("leaderboard.")}
    assert board == {"leaderboard.bench", "leaderboard.clip_bench", "leaderboard.trial"}


def test_draws_decide_no_result() -> None:
    case = make_bench().case
    assert "draws" not in case.as_dict()
    assert case.as_dict().keys() | {"draws"} == asdict(case).keys()


@pytest.mark.parametrize("task", TASKS)
def test_no_oracle_saw_what_its_task_forgets(task: str, empty_cache, monkeypatch) -> None:
    trained: list[tuple] = []

    def note(world, pairs, spec, folder, **rest) -> LoopResult:
        trained.append((world, pairs, spec.seed))
        return LoopResult(steps=spec.steps)

    monkeypatch.setattr(train_clip, "train_clip", note)
    monkeypatch.setattr(bench, "load_clip", lambda folder, device: make_clip())
    oracles = make_bench(task, seed=4).oracles
    assert list(oracles) == ["oracle-0", "oracle-1", "oracle-2"]
    assert [seed for *_, seed in trained] == [0, 1, 2]
    for world, pairs, _ in trained:
        samples = world.samples("train")
        forgotten = {c.index for c in world.concepts if c.name in TASKS[task][1]}
        kept = [i for i, sample in enumerate(samples) if forgotten.isdisjoint(sample.concepts)]
        assert pairs.positions.tolist() == kept
        assert pairs.captions == tuple(world.caption(samples[i]) for i in kept)


def make_clip():
    from support import build

    return build("vit")


def test_the_models_are_those_of_an_experiment(tiny_experiment) -> None:
    """One recipe and one cache: the benchmark measures the models that the notebooks show."""
    own = make_bench()
    tiny_experiment.original_folder  # noqa: B018
    settings = make_settings("smoke", **{**TINY, "forget": "penguin"})
    experiment = clip_experiment.Experiment(settings, progress=False)
    assert own.original.folder == experiment.original_folder
    assert own.oracles["oracle-0"].folder == experiment.oracle_folder


def test_tuning_sees_nothing_of_the_test_split(monkeypatch) -> None:
    """Each measurement of the tuning, that of the original too, is on validation."""
    measured: list[tuple] = []
    held: list[tuple] = []
    evaluate, gap = clip_bench.evaluate, bench.expected_gap

    def spy(task, models, *, split="test", **rest):
        card = evaluate(task, models, split=split, **rest)
        measured.append((split, models["erased"] is models["original"], card))
        return card

    def spy_gap(metrics, original, *rest):
        held.append((dict(metrics), dict(original)))
        return gap(metrics, original, *rest)

    monkeypatch.setattr(clip_bench, "evaluate", spy)
    monkeypatch.setattr(bench, "expected_gap", spy_gap)
    own = make_bench()
    trials = [{"options": {"strength": strength}} for strength in (0.5, 1.0)]
    found = [own.result("null_space", trial, "validation") for trial in trials]
    assert {split for split, *_ in measured} == {"validation"}
    (card,) = [card for _, original, card in measured if original]
    assert len(held) == 2
    for metrics, original in held:
        for metric, subset in (("top1", "retain"), ("membership_auc", "forget")):
            assert original[f"{metric}_{subset}"] == card.value("original", metric, subset)
        assert metrics != original
    assert all(one["expected_gap"] is not None for one in found)
    measured.clear()
    tested = own.result("null_space", trials[0], "test")
    assert {split for split, *_ in measured} == {"test"}
    assert "expected_gap" not in tested
    assert "relearning" in tested["metrics"] and "relearning" not in found[0]["metrics"]


def test_each_request_neither_forgets_nor_retains_what_went_before() -> None:
    asked, _ = TASKS["two"]
    for place, (task, own) in enumerate(zip(make_bench("two").requests, asked, strict=True)):
        world = task.world
        retained = {world.concept(i).name for shown in task.retain.concepts for i in shown}
        assert retained.isdisjoint(asked[: place + 1])
        assert all(own in {world.concept(i).name for i in shown} for shown in task.forget.concepts)
