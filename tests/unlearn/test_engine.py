"""The engine: the original untouched, runs repeatable and resumable, stopped in time."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from support import build, fingerprint
from support_engine import SPEC, run

from erasekit.data.task import ErasureTask
from erasekit.errors import RunError, UsageError
from erasekit.unlearn import encode
from erasekit.unlearn.engine import erase
from erasekit.unlearn.look import Look
from erasekit.unlearn.methods.cliperase import CLIPErase
from erasekit.unlearn.registry import get_method, methods_of

#: Tensors moved, at least and at most, by the methods that move few of them on purpose.
MOVED = {
    "lip": (6, 6),
    "null_space": (2, 2),
    "slug": (1, 1),
    "ssd": (1, 99),
    "task_negation": (66, 66),  # the image tower alone
}


@pytest.fixture(scope="module")
def whole(tiny_experiment):
    return run(tiny_experiment)


@pytest.mark.parametrize("name", methods_of("clip"))
def test_the_original_stays_bit_identical(tiny_experiment, name: str) -> None:
    original = tiny_experiment.original.model
    before = fingerprint(original)
    erased = run(tiny_experiment, get_method(name).build({}), dataclasses.replace(SPEC, steps=2))
    assert fingerprint(original) == before
    moved = [k for k, v in fingerprint(erased.model.model).items() if v != before[k]]
    least, most = MOVED.get(name, (len(before) / 2, len(before)))
    assert least <= len(moved) <= most
    assert not any(p.requires_grad for p in original.parameters())
    assert not any(p.requires_grad for p in erased.model.model.parameters())


def test_batch_statistics_do_not_move(tiny_experiment, whole) -> None:
    before = fingerprint(tiny_experiment.original.model)
    after = fingerprint(whole.model.model)
    statistics = [name for name, _ in tiny_experiment.original.model.named_buffers()]
    assert any("running_mean" in name for name in statistics)
    assert all(after[name] == before[name] for name in statistics if name in before)


def test_two_runs_are_equal(tiny_experiment, whole) -> None:
    again = run(tiny_experiment)
    assert fingerprint(again.model.model) == fingerprint(whole.model.model)
    assert again.history == whole.history


def test_the_seed_and_the_method_make_a_difference(tiny_experiment, whole) -> None:
    prints = [
        fingerprint(erasure.model.model)
        for erasure in (
            whole,
            run(tiny_experiment, spec=dataclasses.replace(SPEC, seed=1)),
            run(tiny_experiment, CLIPErase(consistency=0)),
            run(tiny_experiment, CLIPErase(unimodal="batch")),
        )
    ]
    assert all(a != b for i, a in enumerate(prints) for b in prints[:i])


def test_retention_alone_is_fine_tuning(tiny_experiment) -> None:
    """The same loss by two roads: only the company of the forget pairs differs."""
    retention = run(tiny_experiment, CLIPErase(forgetting=0, consistency=0))
    control = run(tiny_experiment, get_method("fine_tune").build({}))
    for one, other in zip(retention.history, control.history, strict=True):
        assert one["retention"] == pytest.approx(other["retention"], rel=2e-3)


def test_the_first_step_has_the_originals_losses(tiny_experiment, whole) -> None:
    first = whole.history[0]
    assert first["consistency"] == pytest.approx(0, abs=1e-4)  # nothing has moved yet
    assert first["loss"] == pytest.approx(
        first["forgetting"] + first["retention"] + first["consistency"], rel=1e-5
    )


def test_history_has_every_term_at_every_step(whole) -> None:
    assert [row["step"] for row in whole.history] == list(range(SPEC.steps))
    for row in whole.history:
        assert {"step", "forgetting", "retention", "consistency", "loss"} <= set(row)
        assert all(np.isfinite(list(row.values())))
    assert whole.steps == SPEC.steps
    assert whole.seconds > 0
    assert whole.options == dataclasses.asdict(CLIPErase())


@dataclasses.dataclass(frozen=True)
class Interrupted(CLIPErase):
    """CLIPErase to which something happens in the middle of one step, as `FAIL_AT` says."""

    def loss(self, forget, retain, prompts):
        EVENTS.append(1)
        if len(EVENTS) == FAIL_AT[0]:
            FAIL_AT[1]()
        return super().loss(forget, retain, prompts)


EVENTS: list[int] = []
FAIL_AT: list = [0, None]


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def raise_interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("event", "at", "left"),
    [(ctrl_c, 1, 5), (ctrl_c, 4, 2), (raise_interrupt, 4, 3), (raise_interrupt, 6, 1)],
)
def test_a_resumed_run_is_the_uninterrupted_one(
    tiny_experiment, whole, tmp_path: Path, event, at: int, left: int
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    EVENTS.clear()
    FAIL_AT[:] = [at, event]
    with pytest.raises(KeyboardInterrupt):
        run(tiny_experiment, Interrupted(), checkpoint=checkpoint)
    assert len(EVENTS) == at
    assert checkpoint.is_file()
    FAIL_AT[0] = 0
    EVENTS.clear()
    resumed = run(tiny_experiment, Interrupted(), checkpoint=checkpoint)
    assert len(EVENTS) == left  # what was done is not done again
    assert fingerprint(resumed.model.model) == fingerprint(whole.model.model)
    assert resumed.history == whole.history
    assert not checkpoint.exists()


def test_a_checkpoint_of_another_original_is_not_used(
    tiny_experiment, whole, tmp_path: Path
) -> None:
    """The same task and settings on other weights are another run."""
    other = tiny_experiment.oracle
    checkpoint = tmp_path / "checkpoint.pt"
    EVENTS.clear()
    FAIL_AT[:] = [4, ctrl_c]
    with pytest.raises(KeyboardInterrupt):
        erase(
            other,
            tiny_experiment.task,
            Interrupted(),
            SPEC,
            checkpoint=checkpoint,
            progress=False,
        )
    FAIL_AT[0] = 0
    again = run(tiny_experiment, Interrupted(), checkpoint=checkpoint)
    assert fingerprint(again.model.model) == fingerprint(whole.model.model)


@pytest.mark.parametrize("other", ["seed", "pairs", "options"])
def test_a_checkpoint_of_another_seed_task_or_option_is_not_used(
    tiny_experiment, whole, tmp_path: Path, other: str
) -> None:
    task = ErasureTask(tiny_experiment.world, "fruit", ["en"]) if other == "pairs" else None
    spec = dataclasses.replace(SPEC, seed=7) if other == "seed" else SPEC
    method = Interrupted(forgetting=2.0) if other == "options" else Interrupted()
    checkpoint = tmp_path / "checkpoint.pt"
    EVENTS.clear()
    FAIL_AT[:] = [4, ctrl_c]
    given = {"checkpoint": checkpoint, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        erase(tiny_experiment.original, task or tiny_experiment.task, method, spec, **given)
    FAIL_AT[0] = 0
    again = run(tiny_experiment, Interrupted(), checkpoint=checkpoint)
    assert fingerprint(again.model.model) == fingerprint(whole.model.model)
    assert again.history == whole.history


def test_a_damaged_checkpoint_starts_over(tiny_experiment, whole, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(b"not a checkpoint")
    again = run(tiny_experiment, checkpoint=checkpoint)
    assert fingerprint(again.model.model) == fingerprint(whole.model.model)


@dataclasses.dataclass(frozen=True)
class GoesWrong(CLIPErase):
    def loss(self, forget, retain, prompts):
        terms = super().loss(forget, retain, prompts)
        EVENTS.append(1)
        if len(EVENTS) == 4:
            terms["forgetting"] = terms["forgetting"] * float("nan")
        return terms


def test_a_nan_keeps_the_last_good_weights_and_names_the_step(
    tiny_experiment, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    EVENTS.clear()
    with pytest.raises(
        RunError, match=r"stopped at step 4: forgetting is nan.*after step 3 is kept"
    ):
        run(tiny_experiment, GoesWrong(), checkpoint=checkpoint)
    kept = torch.load(checkpoint)
    assert kept["steps"] == 3
    assert [row["step"] for row in kept["history"]] == [0, 1, 2]
    assert all(torch.isfinite(v).all() for v in kept["model"].values() if v.is_floating_point())
    # They are exactly the weights of a run that was interrupted after step 3.
    EVENTS.clear()
    FAIL_AT[:] = [3, ctrl_c]
    other = tmp_path / "other.pt"
    with pytest.raises(KeyboardInterrupt):
        run(tiny_experiment, Interrupted(), checkpoint=other)
    expected = torch.load(other)["model"]
    assert all(torch.equal(kept["model"][k], v) for k, v in expected.items())


def test_validation_stops_a_run_after_two_looks(tiny_experiment) -> None:
    # At top-1 of at most 1 every look is good enough, so that the second one ends it.
    spec = dataclasses.replace(SPEC, steps=20, stop_at=1.0, check_every=3)
    stopped = run(tiny_experiment, spec=spec)
    assert stopped.steps == 6
    looked = [row["step"] for row in stopped.history if "validation_forget" in row]
    assert looked == [2, 5]
    assert all(0 <= stopped.history[i]["validation_retain"] <= 1 for i in looked)


def test_both_of_the_last_two_looks_must_be_good_enough(
    tiny_experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = iter([0.0, 0.06, 0.0, 0.06, 0.05, 0.04, 0.0])
    monkeypatch.setattr(Look, "validation", lambda self: {"validation_forget": next(seen)})
    spec = dataclasses.replace(SPEC, steps=9, stop_at=0.05, check_every=1)
    assert run(tiny_experiment, spec=spec).steps == 6


def test_the_control_never_stops_early(tiny_experiment) -> None:
    spec = dataclasses.replace(SPEC, stop_at=1.0, check_every=1)
    control = run(tiny_experiment, get_method("fine_tune").build({}), spec)
    assert control.steps == SPEC.steps


def test_stopping_and_resuming_agree(tiny_experiment, tmp_path: Path) -> None:
    spec = dataclasses.replace(SPEC, steps=20, stop_at=1.0, check_every=3)
    expected = run(tiny_experiment, spec=spec)
    checkpoint = tmp_path / "checkpoint.pt"
    EVENTS.clear()
    FAIL_AT[:] = [4, ctrl_c]  # between the two looks
    with pytest.raises(KeyboardInterrupt):
        run(tiny_experiment, Interrupted(), spec, checkpoint=checkpoint)
    FAIL_AT[0] = 0
    resumed = run(tiny_experiment, Interrupted(), spec, checkpoint=checkpoint)
    assert resumed.steps == expected.steps == 6
    assert resumed.history == expected.history


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_runs_and_stays_close(tiny_experiment, precision: str) -> None:
    original = build("vit", tiny_experiment.original)
    whole, mixed = (
        erase(
            original,
            tiny_experiment.task,
            CLIPErase(),
            dataclasses.replace(SPEC, precision=name),
            progress=False,
        )
        for name in ("fp32", precision)
    )
    assert mixed.history[0]["retention"] == pytest.approx(whole.history[0]["retention"], rel=0.05)
    assert mixed.history[0]["retention"] != whole.history[0]["retention"]
    assert mixed.history[-1]["loss"] < mixed.history[0]["loss"]
    assert all(p.dtype == torch.float32 for p in mixed.model.model.parameters())


def test_compiled_towers_erase_alike(tiny_experiment, monkeypatch) -> None:
    """Captured as a graph and run as it is: a compiler that works on any machine, and quickly."""
    # Compiled towers take whole rows; cut ones differ by rounding, of which Adam makes steps.
    monkeypatch.setattr(encode, "encode_text", lambda model, tokens: model.encode_text(tokens))
    plain = tiny_experiment.erase("cliperase", steps=2)
    compiled = tiny_experiment.erase("cliperase", steps=2, compile="eager")
    assert compiled.history[-1]["loss"] == pytest.approx(plain.history[-1]["loss"], rel=1e-5)
    for (name, one), other in zip(
        plain.model.model.named_parameters(), compiled.model.model.parameters(), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-5), name
    with pytest.raises(UsageError, match="did you mean 'inductor'"):
        tiny_experiment.erase("cliperase", steps=2, compile="inducto")
