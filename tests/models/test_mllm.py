"""A multimodal language model: how likely it finds an answer, what it says, and its folder."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from erasekit.data.question_list import Questions
from erasekit.errors import RunError
from erasekit.models.mllm import MODULES, EncodedList, batches, load_mllm


@pytest.mark.parametrize("others", [False, True])
def test_likelihood_is_that_of_the_answers_tokens_alone(tiny_mllm, some_questions, others):
    mllm = tiny_mllm.original
    told = ["yes", "an owl"] * 5 if others else [q.answer for q in some_questions]
    likelihood, tokens = mllm.log_likelihood(mllm.encode(some_questions, told))
    for row, question in enumerate(some_questions):
        one = some_questions.take([row])
        inputs = mllm.read([mllm.prompt(question)], one, "right")
        answer = mllm.tokenizer(f" {told[row]}", add_special_tokens=False)["input_ids"]
        answer = [t for t in answer if t != mllm.tokenizer.bos_token_id]
        answer.append(mllm.tokenizer.eos_token_id)
        total = 0.0
        for token in answer:
            logits = mllm.model(**inputs).logits[0, -1]
            total += float(logits.log_softmax(0)[token])
            ids = torch.cat([inputs["input_ids"], torch.tensor([[token]])], 1)
            inputs = {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
        assert int(tokens[row]) == len(answer)
        assert float(likelihood[row]) == pytest.approx(total, abs=1e-3)


def test_a_list_read_once_is_the_same_as_reading_it_again(tiny_mllm, some_questions):
    mllm = tiny_mllm.original
    listed = EncodedList(mllm, some_questions, batch=3)
    rows = np.array([4, 0, 2, 9, 7])
    found = mllm.likelihoods(listed.take(rows))
    expected = mllm.likelihoods(mllm.encode(some_questions.take(rows)))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_an_answer_does_not_depend_on_what_is_asked_beside_it(tiny_mllm, some_questions):
    mllm = tiny_mllm.original
    together = mllm.answer(some_questions)
    alone = [mllm.answer(some_questions.take([i]))[0] for i in range(len(some_questions))]
    assert together == alone


def test_the_prompt_ends_where_the_answer_begins(tiny_mllm, some_questions):
    mllm = tiny_mllm.original
    encoded = mllm.encode(some_questions)
    for row, question in enumerate(some_questions):
        told = encoded.labels[row][encoded.labels[row] >= 0]
        assert mllm.tokenizer.decode(told, skip_special_tokens=True).strip() == question.answer
        assert int(told[-1]) == mllm.tokenizer.eos_token_id


def test_questions_with_pictures_must_come_first(some_questions):
    wrong = Questions(some_questions.items[::-1], some_questions.images)
    with pytest.raises(ValueError, match="before those without"):
        list(batches(wrong, 4))


def test_the_folder_is_one_of_transformers_own(tiny_mllm, some_questions, tmp_path):
    mllm = tiny_mllm.original
    again = load_mllm(mllm.save(tmp_path / "model"))
    assert again.fingerprint() == mllm.fingerprint()
    assert again.answer(some_questions) == mllm.answer(some_questions)
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert "model.safetensors" in names and not [n for n in names if n.endswith(".bin")]
    code = (
        "import erasekit.models.mllm\n"
        "from transformers import AutoModelForImageTextToText, AutoProcessor\n"
        f"m = AutoModelForImageTextToText.from_pretrained(r'{tmp_path / 'model'}')\n"
        "print(type(m).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "LlavaForConditionalGeneration"


@pytest.mark.parametrize("damage", ["missing", "no weights", "cut"])
def test_a_damaged_folder_is_one_clear_line(tiny_mllm, tmp_path, damage):
    folder = tmp_path / "model"
    if damage != "missing":
        tiny_mllm.original.save(folder)
        weights = folder / "model.safetensors"
        weights.unlink() if damage == "no weights" else weights.write_bytes(b"x" * 40)
    with pytest.raises(RunError, match="cannot be loaded") as caught:
        load_mllm(folder)
    assert "\n" not in str(caught.value)


def test_another_tower_is_taken_and_nothing_else_changes(tiny_mllm):
    mllm, oracle = tiny_mllm.original, tiny_mllm.clip.oracle
    before = mllm.fingerprint()
    swapped = mllm.with_tower(oracle)
    assert mllm.fingerprint() == before
    for name, value in swapped.model.state_dict().items():
        if name.startswith(MODULES["vision"]):
            inside = oracle.model.visual.state_dict()[name.split("visual.", 1)[1]]
            assert torch.equal(value, inside)
        else:
            assert torch.equal(value, mllm.model.state_dict()[name])


def test_a_tower_of_another_shape_is_refused(tiny_mllm):
    import open_clip

    from erasekit.models.clip import Clip

    text = {"context_length": 4, "vocab_size": 9, "width": 8, "heads": 1, "layers": 1}
    tower = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    other = open_clip.CLIP(8, tower, text)
    clip = Clip(other, lambda texts: torch.zeros(1), None, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(RunError, match="does not fit"):
        tiny_mllm.original.with_tower(clip)


def test_parameters_by_module(tiny_mllm):
    mllm = tiny_mllm.original
    parts = {module: set(mllm.parameters([module])) for module in MODULES}
    assert set.union(*parts.values()) == set(dict(mllm.model.named_parameters()))
    assert sum(map(len, parts.values())) == len(dict(mllm.model.named_parameters()))
