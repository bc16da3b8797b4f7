"""Is the audit itself right? Models whose verdict is known beforehand.

An audit that is wrong about these is not to be believed about any other.
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
    """A model of which one knows what an audit must find.

    Attributes:
        name: in words.
        word: the verdict that it must get in the tests of `tests`.
        tests: those that have the power to say so in every profile.
        never: verdicts that no other test may give it.
        open: tests of which one does not know beforehand what they find.
    """

    name: str
    word: str
    tests: tuple[str, ...]
    never: tuple[str, ...]
    open: tuple[str, ...] = ()

    def must(self, test: str) -> str:
        """What `test` must say of it, in words; empty where anything is right."""
        if test in self.open:
            return ""
        if test in self.tests:
            return f"must be “{self.word}”"
        return "never " + " or ".join(f"“{word}”" for word in self.never)

    def right(self, test: str, verdict: str) -> bool:
        """Whether `test` may give it this verdict."""
        if test in self.open:
            return True
        return verdict == self.word if test in self.tests else verdict not in self.never


_NAMING = ("prompt_leaks", "language_leaks", "domain_shift")
#: By the name under which each is put among the models.
KNOWN = {
    "itself": Known(
        "the original itself",
        LESS,
        (*_NAMING, "compression", "relearning", "membership"),
        never=(MORE,),
    ),
    "random": Known(
        "a model with random weights",
        MORE,
        ("domain_shift", "over_forgetting"),
        never=(LESS, AS_THE_ORACLE),
    ),
    "another-seed": Known(
        "an oracle of another seed", AS_THE_ORACLE, (*_NAMING, "over_forgetting"), (LESS, MORE)
    ),
    # Forgetting alone parts pictures from names, and each tower keeps its own order: whether
    # a probe of the texts still tells the forgotten apart is found, not known.
    "forgetting-alone": Known(
        "erased by forgetting alone",
        MORE,
        ("prompt_leaks", "domain_shift", "compression", "over_forgetting"),
        never=(LESS, AS_THE_ORACLE),
        open=("probes",),
    ),
}


@dataclass(frozen=True)
class KnownAnswers:
    """What the audit said of each known model: its verdict by test."""

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
        """A paragraph a model, a line a test, for a terminal."""
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
    """Audit the known models beside original and oracles.

    Args:
        models: ``original``, oracles, and the names of `KNOWN`; ``itself`` is the original
            under that name.
        tests: names of audit tests; all but the costly ones by default.

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
            rows = judge_measures(test, result, broken)
            for known in verdicts:
                verdicts[known][name] = report_on(known, test, result, rows).verdict
            bar.update()
    return KnownAnswers(verdicts)
