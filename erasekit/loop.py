"""The training loop: steps, progress, history, checkpoint, resume.

Training and erasing only differ in the loss, so both use this loop. A step's loss must depend
only on the weights and the step's number; a resumed run is then bit-identical to an
uninterrupted one.

Several processes may run a loop together (see `processes`): the main one reads and writes
the checkpoint and shows progress.
"""

from __future__ import annotations

import csv
import io
import math
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from erasekit import processes
from erasekit.device import memory
from erasekit.errors import RunError
from erasekit.files import write_bytes, write_whole
from erasekit.progress import progress_bar


@dataclass
class LoopResult:
    """The result of a loop."""

    history: list[dict[str, float]] = field(default_factory=list)  #: one row per step
    seconds: float = 0.0  #: wall time, earlier interrupted parts included
    steps: int = 0  #: steps done
    stopped: bool = False  #: whether `stop` ended it early


def run_loop(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[int], dict[str, Tensor]],
    *,
    steps: int,
    label: str,
    learning_rate: Callable[[int], float] | None = None,
    after_step: Callable[[], None] | None = None,
    stop: Callable[[list[dict[str, float]]], bool] | None = None,
    stop_every: int = 0,
    max_grad_norm: float | None = 1.0,
    precision: str = "auto",
    log: Callable[[dict[str, float]], None] | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 50,
    identity: str = "",
    progress: bool = True,
) -> LoopResult:
    """Run `steps` optimiser steps on the sum of the terms that `loss` returns.

    Args:
        model: the model whose parameters `optimizer` updates; checkpoints hold all of it.
        loss: function from the step's number (from 0) to its named, weighted terms.
        learning_rate: function from the step's number to the rate; None keeps the optimiser's.
        after_step: called after each optimiser step (clamping, masks).
        stop: called every `stop_every` steps with the history so far, to whose last row it may
            add values; the loop ends when it returns true. It must depend only on the history
            and the weights, so that a resumed run stops at the same step.
        precision: at fp16, the loss is scaled before the backward pass, so that small gradients
            do not vanish; a step whose scaled gradient overflows is skipped, and the scale is
            halved.
        log: called with each step's row of the history.
        checkpoint: file to resume from and to save to; removed at the end of the loop.
        identity: hash of everything that determines the run; checkpoints of other runs are
            ignored.

    Raises:
        RunError: when a term or the gradient is not finite. The weights are then those after the
            last good step.
        KeyboardInterrupt: after the current step, with the checkpoint saved.
    """
    result = LoopResult()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    device = parameters[0].device
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    if checkpoint is not None:
        _restore(checkpoint, identity, model, optimizer, scaler, result)
    started = time.perf_counter() - result.seconds
    main = processes.is_main()
    bar = progress_bar(label, "step", steps, done=result.steps, show=progress and main)
    interrupt = _Interrupt()
    try:
        while result.steps < steps and not result.stopped:
            step = result.steps
            buffers = [buffer.clone() for buffer in model.buffers()]
            if learning_rate is not None:
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step)
            terms = loss(step)
            total = torch.stack([term.float() for term in terms.values()]).sum()
            row = {"step": step, **{k: float(v.detach()) for k, v in terms.items()}}
            row["loss"] = float(total.detach())
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(total).backward()
            processes.average([p.grad for p in parameters if p.grad is not None])
            scaler.unscale_(optimizer)
            norm = torch.nn.utils.clip_grad_norm_(
                parameters, math.inf if max_grad_norm is None else max_grad_norm
            )
            # At a scale of at most 1, an overflow is not caused by the scaling.
            overflows = scaler.is_enabled() and not norm.isfinite() and scaler.get_scale() > 1
            bad = _not_finite(row if overflows else {**row, "gradient norm": float(norm)})
            if bad:  # also undo the forward pass's update of batch statistics
                for buffer, before in zip(model.buffers(), buffers, strict=True):
                    buffer.copy_(before)
                kept = f"the state after step {step} is kept" if checkpoint and step else ""
                raise RunError(
                    f"{label} stopped at step {step + 1}: {bad}. "
                    + (f"{kept[0].upper()}{kept[1:]}. " if kept else "")
                    + "Lower the learning rate or the weights"
                )
            scaler.step(optimizer)
            scaler.update()
            if after_step is not None:
                after_step()
            # The step counts from here on; no earlier line changes `result`.
            result.history.append(row)
            result.steps = step + 1
            if stop is not None and stop_every and result.steps % stop_every == 0:
                result.stopped = stop(result.history)
            if log is not None and main:
                log(row)
            bar.update()
            if not bar.disable:
                bar.set_postfix(loss=f"{row['loss']:.3f}", memory=memory(device), refresh=False)
            result.seconds = time.perf_counter() - started
            if checkpoint is not None and main and result.steps % checkpoint_every == 0:
                _save(checkpoint, identity, model, optimizer, scaler, result)
            interrupt.check()
    except (KeyboardInterrupt, RunError):
        if checkpoint is not None and main and result.steps and not interrupt.impatient:
            _save(checkpoint, identity, model, optimizer, scaler, result)
        raise
    finally:
        interrupt.release()
        bar.close()
    if checkpoint is not None and main:
        checkpoint.unlink(missing_ok=True)
    return result


def cosine(rate: float, steps: int, warmup: int = 0) -> Callable[[int], float]:
    """The learning rate of each step: a linear warm-up to `rate`, then a cosine down to 0."""

    def at(step: int) -> float:
        ramp = min(1.0, (step + 1) / max(1, warmup))
        rest = max(0, step - warmup) / max(1, steps - warmup)
        return rate * ramp * 0.5 * (1 + math.cos(math.pi * rest))

    return at


def write_history(path: Path, history: list[dict[str, float]]) -> Path:
    """Write the history as CSV, one row per step, with a column for each term that occurs."""
    columns = list(dict.fromkeys(key for row in history for key in row))

    def write(aside: Path) -> None:
        with aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(history)

    return write_whole(path, write)


def _not_finite(values: dict[str, float]) -> str:
    """The first value that is not finite, in words; empty if all are finite."""
    return next((f"{k} is {v}" for k, v in values.items() if not math.isfinite(v)), "")


class _Interrupt:
    """Delays a first Ctrl-C until the end of the step; a second one acts immediately.

    An interrupted half step would leave a state that no uninterrupted run has. If signals cannot
    be caught (outside the main thread), Ctrl-C acts immediately, and the last periodic checkpoint
    remains.
    """

    def __init__(self) -> None:
        self.asked = False
        self.impatient = threading.current_thread() is not threading.main_thread()
        self._before = None if self.impatient else signal.signal(signal.SIGINT, self._note)

    def _note(self, *_: object) -> None:
        if self.asked:
            self.impatient = True
            raise KeyboardInterrupt
        self.asked = True

    def check(self) -> None:
        if processes.any_of(self.asked):  # all processes must stop at the same step
            raise KeyboardInterrupt

    def release(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


def _save(
    path: Path,
    identity: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    result: LoopResult,
) -> None:
    state = {
        "identity": identity,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
        "history": result.history,
        "seconds": result.seconds,
        "steps": result.steps,
        "stopped": result.stopped,
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def _restore(
    path: Path,
    identity: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    result: LoopResult,
) -> None:
    state = processes.on_main(lambda: _read(path, identity))
    if state is None:
        return
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scaler.load_state_dict(state["scaler"])
    result.history = state["history"]
    result.seconds = state["seconds"]
    result.steps = state["steps"]
    result.stopped = state["stopped"]


def _read(path: Path, identity: str) -> dict | None:
    """The content of a checkpoint; None if there is none of this run."""
    if not path.is_file():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception:  # ignore a damaged checkpoint and start over
        return None
    return state if state.get("identity") == identity else None
