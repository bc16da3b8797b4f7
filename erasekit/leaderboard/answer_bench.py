"""The bench of multimodal language models: answers, and attacks on them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from erasekit.audit.answer_attacks import audit_mllm
from erasekit.audit.names import ORACLE, ORIGINAL
from erasekit.data.question_list import Questions
from erasekit.data.question_task import MllmTask
from erasekit.evaluate.answer_scores import evaluate_mllm
from erasekit.evaluate.subsets import neighbours
from erasekit.frames import records as rows_of
from erasekit.frames import where
from erasekit.leaderboard.bench import Bench
from erasekit.models.clip import Clip
from erasekit.models.mllm import Mllm, load_mllm
from erasekit.models.train_llava import trained_llava
from erasekit.models.trained import cost_of
from erasekit.unlearn.engine import erase
from erasekit.unlearn.registry import get_method

#: What the average gap is over: mode, subset and kind of questions.
MEASURES = {
    "seen forget": ("visual", "forget", "recognition"),
    "seen neighbours": ("visual", "neighbours", "recognition"),
    "seen retain": ("visual", "retain", "all"),
    "told forget": ("text", "forget", "all"),
    "told retain": ("text", "retain", "all"),
}
#: Nothing forgotten is recognised any more.
EXPECTED = {"seen forget": 0.0}
#: What stands beside it, of the audit: test and condition; None is the highest of them.
ATTACKS = {
    "paraphrase": ("paraphrase", None),
    "probe tower": ("probe", "tower"),
    "probe language": ("probe", "language model"),
    "relearning": ("relearning", "area"),
}


class AnswerBench(Bench):
    """A small LLaVA erased and measured; its oracle has the case's own seed."""

    measures = tuple(MEASURES)
    expected = EXPECTED
    costs = ("seconds", "steps")

    @cached_property
    def towers(self) -> dict[str, Clip]:
        """The CLIPs that the original and the oracle stand on."""
        return {kind: self.clip(kind) for kind in (ORIGINAL, ORACLE)}

    @cached_property
    def questions(self) -> MllmTask:
        return MllmTask(self.task, neighbours(self.towers[ORIGINAL], self.task))

    def load(self, name: str) -> Mllm:
        if name == ORIGINAL:
            folder = self._trained("llava", self.towers[ORIGINAL], self.questions.visual)
        else:
            folder = self.oracle_folder
        mllm = load_mllm(folder, self.device)
        mllm.model.requires_grad_(False)
        return mllm

    @cached_property
    def oracle_folder(self) -> Path:
        seen, gone = self.questions.retain, self.questions.forgotten
        return self._trained("llava-oracle", self.towers[ORACLE], seen, gone)

    def _trained(
        self, kind: str, tower: Clip, visual: Questions, without: Sequence[str] = ()
    ) -> Path:
        spec, text = self.case.llava, self.questions.text
        if spec is None:
            raise ValueError("a case of language models names their recipe")
        with self.running():
            return trained_llava(
                kind, tower, self.world, visual, text, spec, without=without, progress=False
            )

    def erase(
        self, original: Mllm, name: str, options: dict[str, Any], spec: dict[str, Any]
    ) -> tuple[Mllm, dict[str, Any]]:
        method = get_method(name).build(options, "language")
        recipe = self.case.erase.with_fields(**spec)
        erasure = erase(original, self.questions, method, recipe, progress=False)
        return erasure.model, {"seconds": erasure.seconds, "steps": erasure.steps}

    def measure(self, model: Mllm, split: str) -> dict[str, float]:
        table = evaluate_mllm(self.questions, {"it": model}, split=split, draws=self.case.draws)
        by_place = {(row.mode, row.subset, row.kind): row.value for row in rows_of(table)}
        return {name: float(by_place[place]) for name, place in MEASURES.items()}

    def attack(self, model: Mllm) -> dict[str, float]:
        table = audit_mllm(self.questions, {"it": model}, draws=self.case.draws, progress=False)
        found = {}
        for name, (test, condition) in ATTACKS.items():
            of_test = where(table, test=test)
            rows = of_test if condition is None else where(of_test, condition=condition)
            found[name] = max(rows["value"].tolist())
        return found

    def retraining_seconds(self) -> float:
        """The oracle's CLIP, and the language model on it."""
        tower = self.towers[ORACLE].folder
        assert tower is not None, "it was trained here"
        return sum(cost_of(folder)["seconds"] for folder in (tower, self.oracle_folder))
