"""The bench of CLIPs: scorecard, relearning, and processor seconds."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from erasekit.audit.attacks.relearning import relearning
from erasekit.audit.names import ORACLE, ORIGINAL
from erasekit.data.task import ErasureTask
from erasekit.evaluate.scorecard import AVERAGE_GAP, evaluate
from erasekit.leaderboard.bench import ORACLES, Bench
from erasekit.leaderboard.trial import CONTROL, EXPECTED
from erasekit.models.clip import Clip
from erasekit.models.trained import cost_of
from erasekit.unlearn.engine import erase
from erasekit.unlearn.registry import get_method

#: What is kept of a scorecard beside the measures of the average gap.
BESIDE = (
    ("similarity", "forget"),
    ("similarity", "neighbours"),
    ("similarity", "retain"),
    ("similarity", "holdout"),
    ("top1_among_forgotten", "forget"),
    ("recall@1", "forget"),
)
#: The audit's relearning, in its cheapest form that says something.
_RELEARNING = {"pairs": (4,), "repeats": 1, "checkpoints": (2, 4, 8), "learning_rate": 5e-4}


class ClipBench(Bench):
    """A CLIP erased and measured; ``oracle-0`` to ``oracle-2`` are the same for every seed."""

    measures = tuple(f"{metric}_{subset}" for metric, subset in AVERAGE_GAP)
    expected = EXPECTED
    costs = ("seconds", "steps", "peak_mb")

    @cached_property
    def oracles(self) -> dict[str, Clip]:
        """By name; the same seeds whatever the case's seed is."""
        return {f"{ORACLE}-{seed}": self.clip(ORACLE, seed) for seed in ORACLES}

    def load(self, name: str) -> Clip:
        return self.clip(ORIGINAL) if name == ORIGINAL else self.oracles[name]

    def retraining_seconds(self) -> float:
        which = "cpu_seconds" if self._on_cpu else "seconds"
        costs = [cost_of(oracle.folder)[which] for oracle in self.oracles.values() if oracle.folder]
        return sum(costs) / len(costs)

    @property
    def _on_cpu(self) -> bool:
        return self.device.type == "cpu"

    @cached_property
    def requests(self) -> list[ErasureTask]:
        """A task for each request; what went earlier is in neither of its sets."""
        requests = self.case.requests
        return [
            ErasureTask(
                self.world, request, gone=requests[:place], scenes_only=self.case.scenes_only
            )
            for place, request in enumerate(requests)
        ]

    @cached_property
    def judged(self) -> ErasureTask:
        """What the results are measured on: all that must be gone, as the requests see it."""
        forget = ", ".join(self.case.requests)
        return ErasureTask(self.world, forget, scenes_only=self.case.scenes_only)

    def erase(
        self, original: Clip, name: str, options: dict[str, Any], spec: dict[str, Any]
    ) -> tuple[Clip, dict[str, Any]]:
        """Carry out every request with one method.

        Seconds are of the processor where it does the work, so that what else it has to do at
        the time does not count.
        """
        method = get_method(name).build(options, "clip")
        recipe = self.case.erase.with_fields(**spec)
        model, steps = original, 0
        clock = time.process_time if self._on_cpu else time.perf_counter
        began = clock()
        _reset_peak()
        # The control is the original trained on with all that stays, once.
        for task in [self.judged] if name == CONTROL else self.requests:
            erasure = erase(model, task, method, recipe, progress=False)
            model = erasure.model
            steps += erasure.steps
        return model, {"seconds": clock() - began, "steps": steps, "peak_mb": _peak()}

    def measure(self, model: Clip, split: str) -> dict[str, float]:
        """Every measure by ``metric_subset``."""
        models = {ORIGINAL: self.original, "erased": model}
        card = evaluate(self.judged, models, split=split, draws=self.case.draws)
        return {f"{m}_{s}": card.value("erased", m, s) for m, s in (*AVERAGE_GAP, *BESIDE)}

    def attack(self, model: Clip) -> dict[str, float]:
        measures = relearning(
            {"erased": model}, self.task, split="test", draws=self.case.draws, **_RELEARNING
        ).measures
        return {"relearning": next(m.estimate.value for m in measures if m.metric == "area")}


def _reset_peak() -> None:
    """Let the kernel forget the highest memory use so far, where it can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float | None:
    """Highest memory use since `_reset_peak`, in MB; None where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return round(int(line.split()[1]) / 1024, 1)
    return None
