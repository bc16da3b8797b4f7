"""Is the audit itself right? Models whose verdict is known beforehand.

An audit that is wrong about these is not to be believed about any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from erasekit.audit.audit import judge_measures, report_on
from erasekit.audit.base import Models
from erasekit.audit.names import ORACLE, ORIGINAL
from erasekit.audit.registry import TESTS
from erasekit.audit.verdict import AS_THE_ORACLE, LESS, MORE
from erasekit.data.task import ErasureTask
from erasekit.progress import hidden, progress_bar


@dataclass(frozen=True)
class Known:
    """A model of which one knows what an audit must find.

    Attributes:
        name: in words.
        must: a verdict that at least one test gives it.
        never: verdicts that no test may give it.
    """

    name: str
    must: str
    never: tuple[str, ...]

    def right(self, verdicts: Sequence[str]) -> bool:
        """Whether the verdicts of the tests are such as they must be."""
        return self.must in verdicts and not set(self.never) & set(verdicts)


#: By the name under which each is put among the models.
KNOWN = {
    "itself": Known("the original itself", LESS, (MORE,)),
    "random": Known("a model with random weights", MORE, (LESS,)),
    "another-seed": Known("an oracle of another seed", AS_THE_ORACLE, (LESS, MORE)),
    "forgetting-alone": Known("erased by forgetting alone", MORE, (LESS,)),
}


@dataclass(frozen=True)
class KnownAnswers:
    """What the audit said of each known model: its verdict by test."""

    verdicts: dict[str, dict[str, str]]

    @property
    def right(self) -> bool:
        """Whether it was right about all of them."""
        return all(KNOWN[name].right(list(said.values())) for name, said in self.verdicts.items())

    def text(self) -> str:
        """A paragraph a model, for a terminal."""
        lines = []
        for name, said in self.verdicts.items():
            known = KNOWN[name]
            right = "right" if known.right(list(said.values())) else "WRONG"
            never = " or ".join(f"“{word}”" for word in known.never)
            lines.append(f"{known.name}: {right} (must be “{known.must}” in a test, never {never})")
            lines += [f"    {TESTS[test].title}: {word}" for test, word in said.items()]
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
    """
    assert ORIGINAL in models and ORACLE in models
    names = list(tests or [name for name, test in TESTS.items() if not test.opt_in])
    verdicts: dict[str, dict[str, str]] = {name: {} for name in KNOWN if name in models}
    with progress_bar("known answers", "test", len(names), show=progress) as bar, hidden():
        for name in names:
            test = TESTS[name]
            result = test.run(models, task, draws=draws, seed=seed, **(test.smoke if smoke else {}))
            rows = judge_measures(test, result)
            for known in verdicts:
                verdicts[known][name] = report_on(known, test, result, rows).verdict
            bar.update()
    return KnownAnswers(verdicts)
