"""How answers are scored, and which question counts where."""

from __future__ import annotations

import pytest

from erasekit.mllm.evaluate import choose, exact_match, rouge_l, spread


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


def test_the_choice_is_the_likeliest(tiny_mllm, some_questions):
    mllm = tiny_mllm.original
    choices = [("yes", "no", "an owl"), ("one", "two")] * 5
    found = choose(mllm, some_questions, choices)
    for row, of in enumerate(choices):
        one = some_questions.take([row])
        scores = []
        for choice in of:
            likelihood, tokens = mllm.log_likelihood(mllm.encode(one, [choice]))
            scores.append(float(likelihood / tokens))
        assert found[row] == of[scores.index(max(scores))]


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


def test_the_table_counts_right_answers(tiny_mllm):
    models = {"original": tiny_mllm.original, "oracle": tiny_mllm.oracle}
    table = tiny_mllm.evaluate(models, most=12)
    subsets = tiny_mllm.task.subsets("test")
    for key, asked in subsets.items():
        questions = spread(asked, 12)
        said = tiny_mllm.original.answer(questions)
        share = sum(s == q.answer for s, q in zip(said, questions, strict=True)) / len(questions)
        chosen = table[table["model"].eq("original") & table["kind"].eq("all")]
        row = chosen[chosen["mode"].eq(key[0]) & chosen["subset"].eq(key[1])]
        assert row["value"].item() == pytest.approx(share)
        assert row["low"].item() <= share <= row["high"].item()
        assert row["n"].item() == len(questions)


def test_spread_takes_evenly(tiny_mllm):
    text = tiny_mllm.task.text
    assert len(spread(text, 0)) == len(text)
    assert len(spread(text, 7)) == 7
    assert spread(text, 7).items[0] == text.items[0]
    assert spread(text, 7).items[-1] == text.items[-1]
