"""Validation of the audit on models whose verdicts are known in advance.

If the audit is wrong about these models, its other verdicts cannot be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from erasekit.audit.attack_registry import TESTS, choose_tests
from erasekit.audit.base import Models
from erasekit.audit.judging import judge_measures, report_on
from erasekit.audit.names import ORACLE, ORIGINAL
from erasekit.audit.suite import broken_models
from erasekit.audit.verdict import AS_THE_ORACLE, LESS, MORE
from erasekit.data.task import ErasureTask
from erasekit.errors import UsageError
from erasekit.progress import hidden, progress_bar


@dataclass(frozen=True)
class Known:
    """A model with known verdicts.

    Attributes:
        name: description of the model.
        word: the verdict that the tests in `tests` must give.
        tests: tests with enough power for this verdict in every profile.
        never: verdicts that no other test may give.
        open: tests whose verdict is not known in advance.
    """

    name: str
    word: str
    tests: tuple[str, ...]
    never: tuple[str, ...]
    open: tuple[str, ...] = ()

    def must(self, test: str) -> str:
        """Describe the verdict that `test` must give; empty if any verdict is right."""
        if test in self.open:
            return ""
        if test in self.tests:
            return f"must be “{self.word}”"
        return "never " + " or ".join(f"“{word}”" for word in self.never)

    def right(self, test: str, verdict: str) -> bool:
        """Whether `test` may give this verdict."""
        if test in self.open:
            return True
        return verdict == self.word if test in self.tests else verdict not in self.never


_NAMING = ("prompt_leaks", "language_leaks", "domain_shift")
#: Known models by their name in the audit.
KNOWN = {
    "itself": Known(
        "the original itself",
        LESS,
        (*_NAMING, "compression", "relearning", "realignment", "membership"),
        never=(MORE,),
    ),
    "random": Known(
        "a model with random weights", MORE, ("over_forgetting",), never=(LESS, AS_THE_ORACLE)
    ),
    # Each test acquits an oracle in 95 of 100 cases, so that none must. All together accuse it in
    # at most 5 of 100.
    "another-seed": Known("an oracle of another seed", AS_THE_ORACLE, (), never=(LESS, MORE)),
    # The forgetting loss alone separates pictures from names, but each tower keeps its structure:
    # what an attack finds that looks at one tower alone is not known in advance.
    "forgetting-alone": Known(
        "erased by forgetting alone",
        MORE,
        ("prompt_leaks", "compression", "over_forgetting"),
        never=(LESS, AS_THE_ORACLE),
        open=("probes", "one_picture", "realignment"),
    ),
}


@dataclass(frozen=True)
class KnownAnswers:
    """The audit's verdicts on each known model, by test."""

    verdicts: dict[str, dict[str, str]]

    @property
    def right(self) -> bool:
        """Whether every verdict is right."""
        return all(
            KNOWN[name].right(test, word)
            for name, said in self.verdicts.items()
            for test, word in said.items()
        )

    def text(self) -> str:
        """Format for a terminal: one paragraph per model, one line per test."""
        lines = []
        for name, said in self.verdicts.items():
            known = KNOWN[name]
            lines.append(f"{known.name}:")
            for test, word in said.items():
                judged = "right" if known.right(test, word) else "WRONG"
                must = known.must(test)
                lines.append(
                    f"    {TESTS[test].title}: {word} "
                    + (f"({judged}: {must})" if must else "(not known beforehand)")
                )
        ending = "right about all" if self.right else "WRONG about some: do not trust this audit"
        return "\n".join([*lines, f"The audit is {ending}."])


def known_answers(
    models: Models,
    task: ErasureTask,
    *,
    tests: Sequence[str] | None = None,
    smoke: bool = False,
    draws: int = 1000,
    seed: int = 0,
    progress: bool = True,
) -> KnownAnswers:
    """Audit the known models with the original and the oracles.

    Args:
        models: ``original``, oracles, and the names in `KNOWN`; ``itself`` is the original
            under that name.
        tests: names of audit tests; by default all that are not opt-in.

    Raises:
        UsageError: without an original or an oracle.
    """
    for needed in (ORIGINAL, ORACLE):
        if needed not in models:
            raise UsageError(f"known answers need a model named '{needed}'")
    names = choose_tests("clip", tests)
    broken = broken_models(models, task, draws=draws, seed=seed)
    verdicts: dict[str, dict[str, str]] = {name: {} for name in KNOWN if name in models}
    with progress_bar("known answers", "test", len(names), show=progress) as bar, hidden():
        for name in names:
            test = TESTS[name]
            result = test.run(models, task, draws=draws, seed=seed, **(test.smoke if smoke else {}))
            rows = judge_measures(test, result, broken, tests=len(names))
            for known in verdicts:
                verdicts[known][name] = report_on(known, test, result, rows).verdict
            bar.update()
    return KnownAnswers(verdicts)
