"""Unlearning in a LLaVA: losses by hand, masks that hold, and an original that stays."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from erasekit.data.question_task import MllmTask
from erasekit.data.task import ErasureTask
from erasekit.errors import RunError, UsageError
from erasekit.models.llava import Mllm
from erasekit.unlearn.answer_engine import Batches, ClimbMask, MllmSpec, erase_mllm
from erasekit.unlearn.answer_look import AnswerLook, in_module, squared_gradient
from erasekit.unlearn.answer_registry import METHODS
from erasekit.unlearn.answers import Answers
from erasekit.unlearn.methods.answer_peers import NPO, GradientDifference

LIKELIHOOD = torch.tensor([-1.0, -4.0, -0.5])
BEFORE = torch.tensor([-0.5, -1.0, -0.25])
TOKENS = torch.tensor([1, 3, 2])
NOW = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
ONCE = torch.tensor([[0.1, 0.8, 0.1], [0.5, 0.25, 0.25]])
CROSS = 5.5 / 6


def answers() -> Answers:
    return Answers(LIKELIHOOD, TOKENS, BEFORE, NOW.log(), ONCE.log())


def terms(name: str, **options) -> dict[str, float]:
    method = METHODS[name].build(options)
    found = method.loss(
        answers() if method.needs_forget else None, answers() if method.needs_retain else None
    )
    return {key: float(value) for key, value in found.items()}


def test_losses_are_what_a_calculator_says():
    assert terms("fine_tune") == pytest.approx({"retention": CROSS})
    assert terms("gradient_ascent") == pytest.approx({"forgetting": -CROSS})
    found = terms("gradient_difference", forgetting=0.5)
    assert found == pytest.approx({"forgetting": -0.5 * CROSS, "retention": CROSS})
    divergence = sum(
        p * math.log(p / q)
        for row, other in zip(ONCE.tolist(), NOW.tolist(), strict=True)
        for p, q in zip(row, other, strict=True)
    )
    found = terms("kl_minimization", forgetting=0.3)
    assert found == pytest.approx({"forgetting": -0.3 * CROSS, "retention": divergence / 2})
    beta = 0.4
    each = [
        -2 / beta * math.log(1 / (1 + math.exp(beta * (now - before))))
        for now, before in zip(LIKELIHOOD.tolist(), BEFORE.tolist(), strict=True)
    ]
    found = terms("npo", beta=beta, retention=2)
    assert found == pytest.approx({"forgetting": sum(each) / 3, "retention": 2 * CROSS})


def test_mmunlearner_takes_turns():
    method = METHODS["mmunlearner"].build({})
    assert float(method.loss(answers(), None)["forgetting"]) == pytest.approx(-CROSS)
    assert float(method.loss(None, answers())["retention"]) == pytest.approx(CROSS)


@pytest.mark.parametrize("every", [0, 3])
def test_a_climb_comes_once_in_so_many_retain_steps(tiny_mllm, every):
    task = tiny_mllm.task
    batches = Batches(task, METHODS["mmunlearner"].build({"every": every}), MllmSpec(steps=40))
    climbs = [step for step in range(40) if batches.at(step)[0] is not None]
    turn = max(every or len(task.retain) // len(task.forget), 1) + 1
    assert climbs == list(range(0, 40, turn))
    for step in range(40):
        forget, retain = batches.at(step)
        assert (forget is None) != (retain is None)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_changes_a_copy_and_the_original_not_a_bit(tiny_mllm, name):
    before = tiny_mllm.original.fingerprint()
    erased = tiny_mllm.erase(name)
    assert tiny_mllm.original.fingerprint() == before != erased.model.fingerprint()
    assert erased.steps == len(erased.history) == 4 and erased.seconds > 0


@pytest.mark.parametrize("name", ["gradient_ascent", "gradient_difference", "npo", "mmunlearner"])
def test_the_forgotten_answers_become_less_likely_than_by_training_on(tiny_mllm, name):
    forget = tiny_mllm.task.forget.take(range(12))
    spec = {"steps": 12, "learning_rate": 3e-3}
    options = {"every": 1} if name == "mmunlearner" else {}

    def likelihood(method: str, **options) -> float:
        model = tiny_mllm.erase(method, options=options, **spec).model
        return float(model.log_likelihood(model.encode(forget))[0].mean())

    assert likelihood(name, **options) < likelihood("fine_tune")


@pytest.mark.parametrize("module", ["vision", "projector", "language"])
def test_only_the_modules_asked_for_move(tiny_mllm, module):
    erased = tiny_mllm.erase("gradient_difference", modules=module).model.model.state_dict()
    own = tiny_mllm.original.model.state_dict()
    moved = {name for name in own if not torch.equal(own[name], erased[name])}
    assert moved and all(in_module(name, module) for name in moved)


def test_with_the_projector_alone_no_text_answer_can_change(tiny_mllm):
    erased = tiny_mllm.erase("gradient_ascent", modules="projector", learning_rate=0.1).model
    text = tiny_mllm.task.text.take(range(20))
    assert erased.answer(text) == tiny_mllm.original.answer(text)


@pytest.mark.parametrize("masked", ["forgetting", "always"])
def test_masked_weights_stay_bit_identical(tiny_mllm, masked):
    """In a climb always; through retain steps too where it is asked for."""
    task, original = tiny_mllm.task, tiny_mllm.original
    method = METHODS["mmunlearner"].build({"masked": masked, "threshold": 1.5})
    steps = 1 if masked == "forgetting" else 6
    spec = replace(tiny_mllm.erase_spec, steps=steps, learning_rate=0.01)
    erased = erase_mllm(original, task, method, spec, progress=False)
    copy = original.copy()
    weights = copy.parameters(["vision", "projector", "language"])
    for weight in weights.values():
        weight.requires_grad_(True)
    mask = method.mask(AnswerLook(copy, task, weights, spec.retain_batch, spec.seed))
    own, now = original.model.state_dict(), erased.model.model.state_dict()
    held = moved = 0
    for name, part in mask.items():
        assert torch.equal(own[name][~part], now[name][~part]), name
        held += int((~part).sum())
        moved += int((own[name][part] != now[name][part]).sum())
        assert erased.mask[name] == pytest.approx(float(part.float().mean()))
    assert held > 0 and moved > 0


def test_momentum_and_decay_of_other_steps_do_not_move_what_a_climb_holds():
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    mask = {"weight": torch.arange(12).view(3, 4) % 2 == 0}
    guard = ClimbMask(dict(model.named_parameters()), mask)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.3)
    for step in range(6):
        climbs = step % 2 == 1
        guard.begin(climbs=climbs)
        before = model.weight.detach().clone()
        optimiser.zero_grad()
        model(torch.ones(2, 4)).square().sum().backward()
        optimiser.step()
        guard.hold()
        held = torch.equal(model.weight[~mask["weight"]], before[~mask["weight"]])
        assert held == climbs, "a retain step moves them, a climb does not"
        assert not torch.equal(model.weight[mask["weight"]], before[mask["weight"]])


def test_a_mask_that_fits_nothing_is_an_error():
    model = nn.Linear(2, 2)
    own = dict(model.named_parameters())
    with pytest.raises(RunError, match="no weight that may move"):
        ClimbMask(own, {"base_model.weight": torch.ones(2, 2, dtype=torch.bool)})
    with pytest.raises(RunError, match="no weight that may move"):
        ClimbMask(own, {"weight": torch.ones(3, 2, dtype=torch.bool)})
    with pytest.raises(RunError, match="lets no weight climb"):
        ClimbMask(own, {"weight": torch.zeros(2, 2, dtype=torch.bool)})


def test_a_threshold_that_nothing_reaches_is_an_error(tiny_mllm):
    with pytest.raises(RunError, match="lower the threshold"):
        tiny_mllm.erase("mmunlearner", options={"threshold": 1e40})


def test_squared_gradients_are_means_over_batches(tiny_mllm, some_questions):
    copy = tiny_mllm.original.copy()
    weights = copy.parameters(["projector"])
    for weight in weights.values():
        weight.requires_grad_(True)
    found = squared_gradient(copy, some_questions, weights, batch=4)
    expected = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for rows in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9]):
        copy.model.zero_grad()
        encoded = copy.encode(some_questions.take(rows))
        loss = copy.model(**encoded.inputs, labels=encoded.labels).loss
        if loss.requires_grad:  # the last batch has no picture for the projector
            loss.backward()
        for name, weight in weights.items():
            if weight.grad is not None:
                expected[name] += weight.grad**2 / 3
    for name in weights:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda e: e.erase("mmunlerner"), "did you mean 'mmunlearner'"),
        (lambda e: e.erase("npo", stpes=3), "did you mean 'steps'"),
        (lambda e: e.erase("npo", options={"bta": 1}), "did you mean 'beta'"),
        (lambda e: e.erase("npo", modules="vision,heart"), "'heart' is none of"),
        (lambda e: e.erase("npo", learning_rate=-1), "must be above 0"),
    ],
)
def test_misuse_is_one_clear_line(tiny_mllm, call, words):
    with pytest.raises(UsageError, match=words):
        call(tiny_mllm)


def test_an_erasure_repeats_to_the_bit(tiny_mllm):
    one, other = (tiny_mllm.erase("mmunlearner").model.fingerprint() for _ in range(2))
    assert one == other


@pytest.mark.parametrize("name", ["mmunlearner", "gradient_difference"])
def test_with_adapters_the_mask_is_over_theirs_and_the_model_comes_out_whole(tiny_mllm, name):
    before = tiny_mllm.original.fingerprint()
    erased = tiny_mllm.erase(name, lora=2, modules="projector,language", learning_rate=0.01)
    assert tiny_mllm.original.fingerprint() == before
    own, now = tiny_mllm.original.model.state_dict(), erased.model.model.state_dict()
    assert own.keys() == now.keys(), "merged, and plain again"
    moved = {key for key in own if not torch.equal(own[key], now[key])}
    assert moved and all(key.endswith("weight") and "vision" not in key for key in moved)
    if name == "mmunlearner":
        assert erased.mask and all("lora_" in key for key in erased.mask)
        assert any(0 < share < 1 for share in erased.mask.values())


def test_what_matters_more_to_the_forgotten_may_climb():
    """A large gradient on forget questions moves a weight, one on retained questions holds it."""
    look = SimpleNamespace(
        forget=lambda: {"a": torch.tensor([4.0, 1.0, 2.0])},
        preserve=lambda: {"a": torch.tensor([1.0, 4.0, 2.0])},
    )
    masks = {t: METHODS["mmunlearner"].build({"threshold": t}).mask(look) for t in (1.0, 3.0)}
    assert masks[1.0]["a"].tolist() == [True, False, True]
    assert masks[3.0]["a"].tolist() == [True, False, False]


def test_the_mask_is_the_ratio_of_what_forget_and_retain_questions_pull_at(tiny_mllm):
    """Both gradients once more, one question list at a time, from the loss that autograd sees."""
    task, copy = tiny_mllm.task, tiny_mllm.original.copy()
    weights = copy.parameters(["projector", "language"])
    for weight in weights.values():
        weight.requires_grad_(True)
    look = AnswerLook(copy, task, weights, batch=64, seed=0)
    forget, preserve = look.forget(), look.preserve()
    rng = np.random.default_rng(0)
    of_forget, of_retain, of_text = (
        questions.take(np.sort(rng.permutation(len(questions))[:most]))
        for questions, most in (
            (task.forget, 512),
            (task.retain, 4 * min(512, len(task.forget))),
            (task.text, min(512, len(task.forget))),
        )
    )
    names = set(task.forgotten)
    assert all(names & {*q.about} for q in of_forget)
    assert not any(names & {*q.about} for q in of_retain)

    def pull(questions) -> dict[str, torch.Tensor]:
        total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        starts = range(0, len(questions), 64)
        for start in starts:
            copy.model.zero_grad()
            encoded = copy.encode(questions.take(range(start, min(start + 64, len(questions)))))
            copy.model(**encoded.inputs, labels=encoded.labels).loss.backward()
            for name, weight in weights.items():
                if weight.grad is not None:
                    total[name] += weight.grad**2 / len(starts)
        return total

    gone, seen, told = pull(of_forget), pull(of_retain), pull(of_text)
    share = len(of_text) / (len(of_text) + len(of_retain))
    for name in weights:
        kept = seen[name]
        if "projector" not in name:
            kept = (1 - share) * seen[name] + share * told[name]
        torch.testing.assert_close(forget[name], gone[name], rtol=1e-3, atol=1e-9)
        torch.testing.assert_close(preserve[name], kept, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("other", ["seed", "task", "options", "original"])
def test_a_checkpoint_of_another_erasure_is_not_used(tiny_mllm, tmp_path, monkeypatch, other):
    task, original, spec = tiny_mllm.task, tiny_mllm.original, tiny_mllm.erase_spec
    build = METHODS["gradient_difference"].build
    given = {"original": original, "task": task, "method": build({}), "spec": spec}
    changed = {
        "seed": {"spec": replace(spec, seed=7)},
        "task": {"task": MllmTask(ErasureTask(task.world, "bird"))},
        "options": {"method": build({"forgetting": 2})},
        "original": {"original": tiny_mllm.oracle},
    }[other]
    checkpoint = tmp_path / "checkpoint.pt"
    whole = erase_mllm(**given, progress=False)
    real, calls = GradientDifference.loss, []

    def interrupted(self, forget, retain):
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return real(self, forget, retain)

    with monkeypatch.context() as patch:
        patch.setattr(GradientDifference, "loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            erase_mllm(**{**given, **changed}, checkpoint=checkpoint, progress=False)
    assert checkpoint.is_file()
    again = erase_mllm(**given, checkpoint=checkpoint, progress=False)
    assert again.model.fingerprint() == whole.model.fingerprint()
    assert again.history == whole.history


def test_what_a_loss_gets_of_the_original_is_the_originals(tiny_mllm, monkeypatch):
    """In a late step too, when the model has moved away from it."""
    asked, given = [], []
    encode, loss = Mllm.encode, NPO.loss

    def note(self, questions, *rest):
        asked.append(questions)
        return encode(self, questions, *rest)

    def spy(self, forget, retain):
        given.append((asked[-2], forget))
        return loss(self, forget, retain)

    monkeypatch.setattr(Mllm, "encode", note)
    monkeypatch.setattr(NPO, "loss", spy)
    tiny_mllm.erase("npo", learning_rate=0.01)
    monkeypatch.undo()
    assert len(given) == 4
    for step, (questions, forget) in enumerate(given):
        assert all({*tiny_mllm.task.forgotten} & {*q.about} for q in questions)
        own, _ = tiny_mllm.original.log_likelihood(tiny_mllm.original.encode(questions))
        torch.testing.assert_close(forget.original_log_likelihood, own, rtol=1e-4, atol=1e-4)
        same = torch.allclose(forget.log_likelihood, own, rtol=1e-4, atol=1e-4)
        assert same == (step == 0)
