"""The bench of language models: nothing chosen on test, the models of an experiment."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from erasekit.audit.attacks import answer_relearning
from erasekit.errors import RunError
from erasekit.fingerprint import closure
from erasekit.leaderboard import answer_bench, bench, plan, run
from erasekit.leaderboard.answer_bench import ATTACKS, MEASURES, AnswerBench
from erasekit.leaderboard.answer_page import page_text
from erasekit.leaderboard.bench import Case
from erasekit.leaderboard.plan import LANGUAGE
from erasekit.leaderboard.run import Unit, run_benchmark

SPACE = {"npo": ({"steps": 1}, {"steps": 2}), "gradient_difference": ({"steps": 1}, {"steps": 3})}


@pytest.fixture
def case(tiny_mllm) -> Case:
    clip = tiny_mllm.clip
    return Case(
        world=clip.world.spec,
        train=clip.train_spec,
        erase=tiny_mllm.erase_spec,
        requests=(clip.settings.forget,),
        llava=tiny_mllm.spec,
        threads=clip.settings.threads,
        draws=10,
    )


def test_the_code_behind_a_result_is_all_that_makes_it_and_no_more() -> None:
    names = {
        name.removeprefix("erasekit.") for name in closure("erasekit.leaderboard.answer_bench")
    }
    assert {"evaluate.answer_scores", "models.train_llava", "models.train_clip"} <= names
    rooms = ("experiment", "data.folder", "data.published", "plots", "runs", "cli")
    assert not [name for name in names if name.startswith(rooms)]
    board = {name for name in names if name.startswith("leaderboard.")}
    assert board == {"leaderboard.answer_bench", "leaderboard.bench", "leaderboard.trial"}


def test_the_models_are_those_of_an_experiment(tiny_mllm, case: Case) -> None:
    own = AnswerBench(case)
    assert own.original.fingerprint() == tiny_mllm.original.fingerprint()
    assert own.load("oracle").fingerprint() == tiny_mllm.oracle.fingerprint()
    card = tiny_mllm.evaluate(most=1)
    assert own.retraining_seconds() == pytest.approx(card.cost["oracle"]["seconds"], abs=0.01)
    assert own.questions.neighbours == tiny_mllm.task.neighbours


def test_tuning_sees_nothing_of_the_test_split(case: Case, monkeypatch) -> None:
    """The original that trials are compared with is measured on validation as well."""
    own = AnswerBench(case)
    measured, held = [], []
    evaluate, gap = answer_bench.evaluate_answers, bench.expected_gap

    def spy(task, models, *, split, **rest):
        card = evaluate(task, models, split=split, **rest)
        measured.append((split, models["it"] is own.original, card))
        return card

    def spy_gap(metrics, original, *rest):
        held.append(original)
        return gap(metrics, original, *rest)

    monkeypatch.setattr(bench, "expected_gap", spy_gap)
    monkeypatch.setattr(answer_bench, "evaluate_answers", spy)
    for trial in SPACE["npo"]:
        own.result("npo", trial, "validation")
    assert [split for split, *_ in measured] == ["validation"] * 3
    (card,) = [card for _, original, card in measured if original]
    assert len(held) == 2
    for name, measure in MEASURES.items():
        assert [original[name] for original in held] == [card.value("it", *measure)] * 2
    assert "expected_gap" not in own.result("oracle", {}, "test")
    assert measured[-1][0] == "test"


def test_a_method_that_fails_is_a_result(case: Case, monkeypatch) -> None:
    def broken(*given, **options):
        raise RunError("the loss is nan")

    monkeypatch.setattr(answer_bench, "erase", broken)
    found = AnswerBench(case).result("npo", {}, "validation")
    assert found == {"failed": "the loss is nan", "metrics": None, "expected_gap": None}


def test_a_run_tunes_on_validation_tests_on_test_and_runs_nothing_twice(
    case: Case, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(plan, "search_space", lambda kind: SPACE)
    monkeypatch.setattr(answer_relearning, "CHECKPOINTS", (1,))  # its steps cost seconds a model
    # A model that knows nothing has no gap: each trial gets a smaller one than those before.
    gaps = count(9, -1)
    monkeypatch.setattr(bench, "expected_gap", lambda *_: next(gaps))
    monkeypatch.setattr(Unit, "case", property(lambda self: replace(case, draws=10)))
    path = tmp_path / "results.jsonl"

    def all_of(names: list[str]) -> list[dict]:
        given = {"kind": LANGUAGE, "progress": False}
        return run_benchmark("default", names, ["fruit"], [0], path, **given).read()

    names = list(SPACE)
    found = all_of(names)
    assert [(r["split"], r["method"]) for r in found] == [
        *(("validation", name) for name in names for _ in range(2)),
        *(("test", name) for name in ("original", "oracle", "fine_tune", *names)),
    ]
    for name in names:
        of_name = [r for r in found if r["method"] == name]
        tried = [r for r in of_name if r["split"] == "validation"]
        assert [r["trial"] for r in tried] == list(SPACE[name])
        best = min(tried, key=lambda r: r["expected_gap"])["trial"]
        assert [r["trial"] for r in of_name if r["split"] == "test"] == [best]
    for one in found:
        assert one["forget"] == "fruit" and one["failed"] is None
        assert set(one["metrics"]) == {*MEASURES, *(ATTACKS if one["split"] == "test" else ())}
    monkeypatch.setattr(run.Unit, "bench", None)
    assert all_of(names) == found
    assert "| npo |" in page_text(found) and "± " in page_text(found)
