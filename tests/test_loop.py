"""The loop on a model small enough to follow by hand."""

from __future__ import annotations

import csv
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from erasekit import progress
from erasekit.errors import RunError
from erasekit.loop import LoopResult, cosine, run_loop, write_history


class Line(nn.Module):
    """One weight, and a buffer that each forward pass moves, as batch statistics do."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("seen", torch.tensor(0))

    def forward(self) -> Tensor:
        self.seen += 1
        return self.weight


def descend(model: Line, steps: int = 5, **rest) -> LoopResult:
    def loss(step: int) -> dict[str, Tensor]:
        weight = model()
        return {"pull": (weight - 3) ** 2, "push": weight * 0 + 1}

    loss = rest.pop("loss", loss)
    rest.setdefault("max_grad_norm", None)
    return run_loop(
        model,
        torch.optim.SGD(model.parameters(), lr=0.25, momentum=rest.pop("momentum", 0.0)),
        loss,
        steps=steps,
        label="descending",
        progress=False,
        **rest,
    )


def test_steps_are_gradient_descent_by_hand() -> None:
    model = Line()
    result = descend(model, 3)
    # w ← w − 0.25 · 2(w − 3): halfway to 3 each time.
    assert float(model.weight.detach()) == pytest.approx(3 * (1 - 0.5**3))
    assert [row["step"] for row in result.history] == [0, 1, 2]
    assert [row["pull"] for row in result.history] == pytest.approx([9, 2.25, 0.5625])
    assert [row["loss"] for row in result.history] == pytest.approx([10, 3.25, 1.5625])
    assert (result.steps, result.stopped) == (3, False)
    assert result.seconds > 0


def test_gradients_are_clipped_to_a_norm() -> None:
    model = Line()
    descend(model, 1, max_grad_norm=1.0)
    assert float(model.weight.detach()) == pytest.approx(0.25, rel=1e-4)  # gradient −6 cut to −1


def test_the_rate_follows_the_step_and_after_step_comes_last() -> None:
    model, asked = Line(), []

    def rate(step: int) -> float:
        asked.append(step)
        return 0.5 if step == 0 else 0.0

    after = []
    descend(
        model, 3, learning_rate=rate, after_step=lambda: after.append(float(model.weight.detach()))
    )
    assert asked == [0, 1, 2]
    assert after == pytest.approx([3, 3, 3])  # the whole way at once, then no step at all


def test_stop_is_asked_every_so_often_and_may_add_to_the_history() -> None:
    asked = []

    def stop(history: list[dict[str, float]]) -> bool:
        asked.append(len(history))
        history[-1]["looked"] = 1.0
        return len(history) >= 4

    result = descend(Line(), 9, stop=stop, stop_every=2)
    assert asked == [2, 4]
    assert (result.steps, result.stopped) == (4, True)
    assert [row["step"] for row in result.history if "looked" in row] == [1, 3]


def test_a_resumed_loop_is_the_uninterrupted_one(tmp_path: Path) -> None:
    expected = Line()
    whole = descend(expected, 8, momentum=0.9)
    for at in range(8):
        model, path = Line(), tmp_path / f"{at}.pt"

        def loss(step: int, model: Line = model, at: int = at) -> dict[str, Tensor]:
            if step == at:
                os.kill(os.getpid(), signal.SIGINT)
            weight = model()
            return {"pull": (weight - 3) ** 2, "push": weight * 0 + 1}

        with pytest.raises(KeyboardInterrupt):
            descend(model, 8, momentum=0.9, loss=loss, checkpoint=path)
        resumed = Line()
        result = descend(resumed, 8, momentum=0.9, checkpoint=path)
        assert torch.equal(resumed.weight, expected.weight)
        assert torch.equal(resumed.seen, expected.seen)
        assert result.history == whole.history
        assert not path.exists()


def test_a_checkpoint_is_saved_every_so_often(tmp_path: Path) -> None:
    path, there = tmp_path / "c.pt", []
    descend(
        Line(),
        5,
        checkpoint=path,
        checkpoint_every=2,
        after_step=lambda: there.append(path.exists()),
    )
    assert there == [False, False, True, True, True]
    assert not path.exists()


def test_what_must_not_be_resumed_is_not(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"

    def stopped_at_two(step: int) -> dict[str, Tensor]:
        if step == 2:
            raise KeyboardInterrupt
        return {"pull": (model() - 3) ** 2}

    model = Line()
    with pytest.raises(KeyboardInterrupt):
        descend(model, 5, loss=stopped_at_two, checkpoint=path, identity="one")
    kept = path.read_bytes()
    far = Line()
    far.weight.data.fill_(103)  # a resumed run would not begin from here
    assert descend(far, 5, checkpoint=path, identity="other").history[0]["pull"] == 10_000
    path.write_bytes(kept[: len(kept) // 2])
    assert len(descend(Line(), 5, checkpoint=path, identity="one").history) == 5


@pytest.mark.parametrize("kind", ["term", "gradient"])
def test_what_is_not_finite_keeps_the_last_good_state(tmp_path: Path, kind: str) -> None:
    model, path = Line(), tmp_path / "c.pt"

    def loss(step: int) -> dict[str, Tensor]:
        weight = model()
        if step < 2:
            return {"pull": (weight - 3) ** 2}
        if kind == "term":
            return {"pull": weight * float("inf")}
        return {"pull": (weight - weight.detach()).abs().sqrt()}  # 0, with an endless slope

    message = {"term": "pull is (nan|inf)", "gradient": "gradient norm is (nan|inf)"}[kind]
    with pytest.raises(RunError, match=f"stopped at step 3: {message}.*The state after step 2"):
        descend(model, 5, loss=loss, checkpoint=path)
    assert float(model.weight.detach()) == pytest.approx(2.25)
    assert int(model.seen) == 2  # the bad step's forward pass was undone
    kept = torch.load(path)
    assert kept["steps"] == 2
    assert float(kept["model"]["weight"]) == pytest.approx(2.25)


def test_a_second_interrupt_acts_at_once(tmp_path: Path) -> None:
    path, reached = tmp_path / "c.pt", []

    def loss(step: int) -> dict[str, Tensor]:
        if step == 0:
            return {"pull": (model() - 3) ** 2}
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("one")
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("two")
        return {"pull": (model() - 3) ** 2}

    model = Line()
    with pytest.raises(KeyboardInterrupt):
        descend(model, 5, loss=loss, checkpoint=path)
    assert reached == ["one"]
    assert not path.exists()  # half a step is never saved


def test_each_row_is_logged_as_the_history_has_it() -> None:
    rows: list[dict[str, float]] = []

    def stop(history: list[dict[str, float]]) -> bool:
        history[-1]["looked"] = 1.0
        return False

    result = descend(Line(), 4, stop=stop, stop_every=2, log=lambda row: rows.append(dict(row)))
    assert rows == result.history
    assert [row["step"] for row in rows if "looked" in row] == [1, 3]


def test_a_scaled_loss_gives_the_same_steps() -> None:
    plain, scaled = Line(), Line()
    expected = descend(plain, 6, momentum=0.9)
    assert descend(scaled, 6, momentum=0.9, precision="fp16").history == expected.history
    assert torch.equal(plain.weight, scaled.weight)


def test_a_step_that_overflows_when_scaled_is_left_out(tmp_path: Path) -> None:
    """The scale is 2¹⁶ at first: 2¹¹³ is too much for it, until it is halved twice."""
    path = tmp_path / "c.pt"

    def loss(model: Line, stop_at: int = -1):
        def terms(step: int) -> dict[str, Tensor]:
            if step == stop_at:
                os.kill(os.getpid(), signal.SIGINT)
            return {"slope": model.weight * 2.0**113}

        return terms

    model, after = Line(), []
    descend(
        model,
        4,
        loss=loss(model),
        precision="fp16",
        max_grad_norm=1.0,
        after_step=lambda: after.append(float(model.weight.detach())),
    )
    assert after == pytest.approx([0, 0, -0.25, -0.5], rel=1e-4)
    # The scale is a part of the state: a resumed run does not begin with the first one again.
    stopped = Line()
    with pytest.raises(KeyboardInterrupt):
        descend(
            stopped, 4, loss=loss(stopped, 2), precision="fp16", max_grad_norm=1.0, checkpoint=path
        )
    resumed = Line()
    descend(resumed, 4, loss=loss(resumed), precision="fp16", max_grad_norm=1.0, checkpoint=path)
    assert torch.equal(resumed.weight, model.weight)


def test_a_gradient_that_no_scale_helps_stops_the_run() -> None:
    model = Line()

    def loss(step: int) -> dict[str, Tensor]:
        weight = model()
        return {"pull": (weight - weight.detach()).abs().sqrt()}

    with pytest.raises(RunError, match=r"stopped at step 17: gradient norm is (nan|inf)"):
        descend(model, 50, loss=loss, precision="fp16")
    assert float(model.weight.detach()) == 0


def test_the_signal_handler_is_given_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    descend(Line(), 2)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_loop_runs_beside_the_main_thread() -> None:
    results: list[LoopResult] = []
    thread = threading.Thread(target=lambda: results.append(descend(Line(), 3)))
    thread.start()
    thread.join()
    assert results[0].steps == 3


def test_progress_is_shown_unless_told_otherwise(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> str:
        model = Line()
        run_loop(
            model,
            torch.optim.SGD(model.parameters(), lr=0.1),
            lambda step: {"pull": (model() - 3) ** 2},
            steps=2,
            label="showing",
        )
        return capsys.readouterr().err

    monkeypatch.delenv("ERASEKIT_PROGRESS")
    assert "showing" in run()
    monkeypatch.setenv("ERASEKIT_PROGRESS", "0")
    assert run() == ""


def test_progress_says_how_fast_how_long_and_how_much_memory(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ERASEKIT_PROGRESS")
    monkeypatch.setattr(progress, "watched", lambda: True)
    model = Line()

    def loss(step: int) -> dict[str, Tensor]:
        time.sleep(0.6)  # a bar is drawn once a second
        return {"pull": (model() - 3) ** 2}

    run_loop(model, torch.optim.SGD(model.parameters(), lr=0.1), loss, steps=3, label="slowly")
    shown = capsys.readouterr().err
    expected = r"2/3 \[\d+:\d+<\d+:\d+,  ?\d+\.\d+(step/s|s/step), loss=\d.*, memory=\d+\.\d GiB\]"
    assert re.search(expected, shown), shown


def test_history_is_written_with_every_column(tmp_path: Path) -> None:
    rows = [{"step": 0, "loss": 1.5}, {"step": 1, "loss": 1.25, "validation_forget": 0.5}]
    path = write_history(tmp_path / "history.csv", rows)
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert found == [
        {"step": "0", "loss": "1.5", "validation_forget": ""},
        {"step": "1", "loss": "1.25", "validation_forget": "0.5"},
    ]


def test_the_rate_climbs_in_the_warm_up_and_then_falls_to_zero() -> None:
    rate = cosine(2.0, 10, warmup=2)
    assert [rate(0), rate(1), rate(2)] == [1.0, 2.0, 2.0]
    assert rate(6) == pytest.approx(1.0) and rate(10) == pytest.approx(0.0)
    assert cosine(2.0, 10)(0) == 2.0
