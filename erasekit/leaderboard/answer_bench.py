"""The bench of multimodal language models: answers, and attacks on them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from erasekit.audit.attacks import answer_probes, answer_relearning, answer_wordings
from erasekit.audit.names import ORACLE, ORIGINAL
from erasekit.data.question_list import Questions
from erasekit.data.question_task import MllmTask
from erasekit.evaluate.answer_scores import evaluate_answers
from erasekit.evaluate.scorecard import ANSWERS_GAP
from erasekit.evaluate.subsets import neighbours
from erasekit.leaderboard.bench import Bench
from erasekit.models.clip import Clip
from erasekit.models.mllm import Mllm, load_mllm
from erasekit.models.train_llava import trained_llava
from erasekit.models.trained import cost_of
from erasekit.unlearn.engine import erase
from erasekit.unlearn.registry import get_method

#: What the average gap is over, such as ``seen forget``.
MEASURES = {f"{direction} {subset}": (m, subset, direction) for m, subset, direction in ANSWERS_GAP}
#: Nothing forgotten is recognised any more.
EXPECTED = {"seen forget": 0.0}
#: What stands beside it: tests of the audit, and each name by its metric: the highest value.
TESTS = (answer_wordings.TEST, answer_probes.TEST, answer_relearning.TEST)
ATTACKS = {
    "paraphrase": "named",
    "probe tower": "tower",
    "probe language": "language model",
    "relearning": "area",
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
        card = evaluate_answers(self.questions, {"it": model}, split=split, draws=self.case.draws)
        return {name: card.value("it", *measure) for name, measure in MEASURES.items()}

    def attack(self, model: Mllm) -> dict[str, float]:
        found: dict[str, list[float]] = {}
        for test in TESTS:
            measures = test.run({"it": model}, self.questions, draws=self.case.draws).measures
            for measure in measures:
                found.setdefault(measure.metric, []).append(measure.estimate.value)
        return {name: max(found[metric]) for name, metric in ATTACKS.items()}

    def retraining_seconds(self) -> float:
        """The oracle's CLIP, and the language model on it."""
        tower = self.towers[ORACLE].folder
        assert tower is not None, "it was trained here"
        return sum(cost_of(folder)["seconds"] for folder in (tower, self.oracle_folder))
