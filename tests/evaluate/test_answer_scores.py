"""How answers are scored, and which question counts where."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from erasekit.data.question_list import Questions
from erasekit.errors import UsageError
from erasekit.evaluate import answer_scores as module
from erasekit.evaluate.answer_scores import (
    METRICS,
    choose,
    evaluate_answers,
    exact_match,
    rouge_l,
    spread,
)
from erasekit.models.mllm import Mllm


@pytest.mark.parametrize(
    ("said", "answer", "right"),
    [("Red apple.", "red apple", 1), ("red", "red apple", 0), ("", "no", 0), (" yes ", "yes", 1)],
)
def test_exact_match(said, answer, right):
    assert exact_match(said, answer) == right


def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence():
    # common: "the owl sleeps", 3 words; precision 3/4, recall 3/5
    precision, recall = 3 / 4, 3 / 5
    found = rouge_l("the owl often sleeps", "the white owl sleeps today")
    assert found == pytest.approx(2 * precision * recall / (precision + recall))


def test_the_choice_is_the_likeliest(tiny_mllm):
    mllm, subsets = tiny_mllm.original, tiny_mllm.task.subsets("test")
    asked = subsets["text", "retain"].take(range(10))
    found = choose(mllm, asked, batch=7)
    for row, question in enumerate(asked):
        one, scores = asked.take([row]), []
        for choice in question.choices:
            likelihood, tokens = mllm.log_likelihood(mllm.encode(one, [choice]))
            scores.append(float(likelihood / tokens))
        assert found[row] == question.choices[scores.index(max(scores))]


def test_of_equal_choices_a_wrong_one_is_taken(tiny_mllm, some_questions, monkeypatch):
    def equal(self, encoded):
        return torch.zeros(len(encoded.labels)), torch.ones(len(encoded.labels))

    monkeypatch.setattr(Mllm, "log_likelihood", equal)
    question = replace(some_questions.items[0], choices=("ant", "owl"), answer="ant")
    asked = Questions((question,), some_questions.images)
    assert choose(tiny_mllm.original, asked) == ["owl"]


def test_nothing_to_choose_from_is_misuse(tiny_mllm, some_questions):
    asked = Questions((replace(some_questions.items[0], choices=()),), some_questions.images)
    with pytest.raises(UsageError, match="has no choices"):
        choose(tiny_mllm.original, asked)


def test_every_metric_has_its_rows_and_an_unknown_one_is_misuse(tiny_mllm):
    card = tiny_mllm.evaluate(oracle=False, metrics=METRICS, most=8)
    rows = {metric: [r for r in card.rows if r.metric.startswith(metric)] for metric in METRICS}
    assert len({len(of) for of in rows.values()}) == 1 and sum(map(len, rows.values())) > 0
    for exact, rouge in zip(rows["accuracy"], rows["rouge_l"], strict=True):
        assert rouge.value >= exact.value, "who says the same words has all of them in common"
    with pytest.raises(UsageError, match="did you mean 'choice'"):
        tiny_mllm.evaluate(metrics=["choise"])


def test_subsets_part_the_questions(tiny_mllm):
    task = tiny_mllm.task
    subsets = task.subsets("test")
    gone, near = set(task.forgotten), set(task.neighbours)
    assert near and gone.isdisjoint(near)
    for (mode, subset), questions in subsets.items():
        for question in questions:
            assert (question.image is not None) == (mode == "visual")
            assert (subset == "forget") == (not gone.isdisjoint(question.about))
            assert subset != "neighbours" or not near.isdisjoint(question.about)
    for mode in ("visual", "text"):
        assert set(subsets[mode, "neighbours"].items) <= set(subsets[mode, "retain"].items)


def test_the_scorecard_counts_right_answers(tiny_mllm):
    card = tiny_mllm.evaluate(most=12)
    assert card.models == ["original", "oracle"]
    assert card.task["split"] == "test" and card.task["forget_questions"]
    for (mode, subset), asked in tiny_mllm.task.subsets("test").items():
        questions = spread(asked, 12)
        said = tiny_mllm.original.answer(questions)
        right = [s == q.answer for s, q in zip(said, questions, strict=True)]
        for kind in {q.kind for q in questions} | {""}:
            of = [r for r, q in zip(right, questions, strict=True) if kind in ("", q.kind)]
            measure = (f"accuracy:{kind}".rstrip(":"), subset, module.DIRECTIONS[mode])
            (row,) = [r for r in card.rows if (r.model, r.measure) == ("original", measure)]
            assert row.value == pytest.approx(sum(of) / len(of)) and row.n == len(of)
            assert row.low <= row.value <= row.high


def test_spread_takes_evenly(tiny_mllm):
    text = tiny_mllm.task.text
    assert len(spread(text, 0)) == len(text)
    assert len(spread(text, 7)) == 7
    assert spread(text, 7).items[0] == text.items[0]
    assert spread(text, 7).items[-1] == text.items[-1]


def test_intervals_are_drawn_over_things_not_over_questions(tiny_mllm, monkeypatch):
    drawn, real = [], module.bootstrap_mean

    def spy(scores, groups, *rest):
        drawn.append(set(groups))
        return real(scores, groups, *rest)

    monkeypatch.setattr(module, "bootstrap_mean", spy)
    evaluate_answers(tiny_mllm.task, {"original": tiny_mllm.original}, draws=2, most=8)
    names = {concept.name for concept in tiny_mllm.clip.world.concepts}
    assert drawn and all(groups <= names for groups in drawn)
