"""How often the audit accuses an innocent model, and how often it finds a guilty one.

    python benchmarks/audit_calibration.py measure     # hours of CPU without cached models; resumes
    python benchmarks/audit_calibration.py fit         # writes erasekit/audit/calibration.json
    python benchmarks/audit_calibration.py report      # writes the rates that docs/ shows

`measure` runs the audit's tests on eight oracles of each of six tasks (three in the default
profile, three in the smoke profile), and on the models of known_models.py. `--only smoke/fruit`
measures one task; two such processes may run side by side. What was measured lies beside the cached
models, a file for each task and test, and is reused while the test's code is the same.

`fit` measures how far oracles of different seeds lie apart. `report` audits every oracle as if
it were an erased model, against three others, and every guilty model against three oracles.
It never uses a calibration that knows the task: those of the audited group are left out, in both
profiles. A second report leaves out the other profile as well.
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from bench_report import table
from known_models import GUILTY, ORACLES, known_models
from scipy import stats

from erasekit.audit.attack_registry import TESTS, choose_tests
from erasekit.audit.base import Estimate, Result
from erasekit.audit.judging import gather, is_judged, judge_measures, noise_key, report_on
from erasekit.audit.names import AUDITED, ORACLE, ORIGINAL, oracle_name
from erasekit.audit.seed_noise import Calibration, measure_noise
from erasekit.audit.suite import broken_models
from erasekit.audit.verdict import LESS, MORE
from erasekit.cache import cache_root
from erasekit.fingerprint import fingerprint

ROOT = Path(__file__).resolve().parent.parent
MEASURED = cache_root() / "audit_calibration"
CALIBRATION = ROOT / "erasekit" / "audit" / "calibration.json"
RECORDS = Path(__file__).with_suffix(".json")
RATES = ROOT / "docs" / "explanation" / "audit_rates.md"
#: Profile, forgotten group, and the group without which the relearned model is trained.
TASKS = (
    ("smoke", "fruit", "vehicle"),
    ("smoke", "bird", "vehicle"),
    ("smoke", "vehicle", "fruit"),
    ("default", "fruit", "tool"),
    ("default", "bird", "tool"),
    ("default", "tool", "fruit"),
)
#: Oracles that an audit has, as in the command line.
AT_HAND = 3
#: Errors below this do not matter to a verdict: no margin is under two points.
LEAST_ERROR = 0.01
WORTH = (0.5, 1, 2, 4, 8, 16, 32)
DEGREES = (3, 4, 5, 6, 8, 12, 20, 40)


@dataclass(frozen=True)
class Measured:
    """What the tests measured on one task, and the models that no longer work."""

    profile: str
    group: str
    results: Mapping[str, Result]
    broken: set[str]

    def oracles(self) -> Iterator[tuple[str, list[Estimate]]]:
        """Every judged value of the oracles: the name of its noise, and its estimates."""
        for name, result in self.results.items():
            test = TESTS[name]
            for metric, condition, value in gather(test, result):
                if is_judged(test, metric, value):
                    own = [value[oracle_name(place)].estimate for place in range(ORACLES)]
                    yield noise_key(name, metric, condition), own


def measure(only: Sequence[str], tests: Sequence[str] | None) -> None:
    """Run the tests on every task's models, one file for each task and test."""
    import torch

    for profile, group, other in TASKS:
        if only and f"{profile}/{group}" not in only:
            continue
        paths = {name: _path(profile, group, name) for name in choose_tests("clip", tests)}
        if all(path.exists() for path in paths.values()):
            continue
        torch.set_num_threads(1)
        models, experiment = known_models(profile, group, other)
        shape = {"draws": experiment.settings.draws, "seed": experiment.settings.seed}
        MEASURED.mkdir(parents=True, exist_ok=True)
        with experiment.running():
            broken = broken_models(models, experiment.task, **shape)
            for name, path in paths.items():
                if path.exists():
                    continue
                smoke = TESTS[name].smoke if profile == "smoke" else {}
                result = TESTS[name].run(models, experiment.task, split="test", **shape, **smoke)
                aside = path.with_suffix(".part")
                aside.write_bytes(pickle.dumps((result, broken)))
                aside.rename(path)
                print(profile, group, name, flush=True)


def _path(profile: str, group: str, test: str) -> Path:
    code = fingerprint(TESTS[test].run.__module__)[:12]
    return MEASURED / f"{profile}-{group}-{test}-{code}.pickle"


def read() -> list[Measured]:
    """What `measure` left; a task that is not whole is an error."""
    found = []
    for profile, group, _ in TASKS:
        results, broken = {}, set()
        for name in choose_tests("clip", None):
            path = _path(profile, group, name)
            if not path.exists():
                sys.exit(f"error: {profile}/{group} lacks {name}: run `measure` first")
            results[name], broken = pickle.loads(path.read_bytes())
        found.append(Measured(profile, group, results, broken))
    return found


def fitted(tasks: Sequence[Measured], worth: float, degrees: float) -> Calibration:
    """The calibration by these tasks' oracles, with given weights."""
    values: dict[str, list[list[Estimate]]] = {}
    for task in tasks:
        for name, oracles in task.oracles():
            values.setdefault(name, []).append(oracles)
    source = {
        "tasks": [f"{task.profile}/{task.group}" for task in tasks],
        "oracles": ORACLES * len(tasks),
        "command": "python benchmarks/audit_calibration.py fit",
    }
    metrics = {name: measure_noise(of) for name, of in values.items()}
    return Calibration(worth, degrees, metrics, source)


def fit(tasks: Sequence[Measured]) -> Calibration:
    """Choose the weights by how well they foretell oracles of groups that are left out."""
    groups = sorted({task.group for task in tasks})
    best, chosen = -np.inf, (WORTH[0], DEGREES[0])
    scaled: dict[float, list[np.ndarray]] = {}
    for worth in WORTH:
        pairs = []
        for group in groups:
            base = fitted([task for task in tasks if task.group != group], worth, DEGREES[0])
            for task in tasks:
                if task.group == group:
                    pairs += list(_distances(task, base))
        scaled[worth] = pairs
    for worth, pairs in scaled.items():
        gaps, errors = np.array(pairs).T
        for degrees in DEGREES:
            likely = float(np.mean(stats.t.logpdf(gaps / errors, degrees) - np.log(errors)))
            print(f"worth {worth:>4}, degrees {degrees:>3}: {likely:.4f}")
            if likely > best:
                best, chosen = likely, (worth, degrees)
    return fitted(tasks, *chosen)


def _distances(task: Measured, base: Calibration) -> Iterator[tuple[float, float]]:
    """Gap and error of each oracle in each value, to the three that follow it."""
    for name, oracles in task.oracles():
        for own in range(ORACLES):
            others = [oracles[place] for place in _following(own)]
            gap = oracles[own].value - float(np.mean([other.value for other in others]))
            yield gap, max(base.error(name, others), LEAST_ERROR)


def _following(place: int) -> list[int]:
    return [(place + step) % ORACLES for step in range(1, AT_HAND + 1)]


def audits(task: Measured, base: Calibration) -> Iterator[dict[str, Any]]:
    """Audit every oracle against the three after it, and every guilty model against each three."""
    for place in range(ORACLES):
        yield _audited(task, base, oracle_name(place), _following(place))
        for guilty in GUILTY:
            yield _audited(task, base, guilty, _following(place))


def every_three(task: Measured, base: Calibration) -> Iterator[dict[str, Any]]:
    """How often each oracle is accused, by every choice of three others."""
    for place in range(ORACLES):
        choices = list(combinations([p for p in range(ORACLES) if p != place], AT_HAND))
        found = [_audited(task, base, oracle_name(place), oracles) for oracles in choices]
        yield {
            "profile": task.profile,
            "group": task.group,
            "model": oracle_name(place),
            "accused": sum(bool(one["accused"]) for one in found),
            "of": len(found),
        }


def _audited(task: Measured, base: Calibration, model: str, oracles: Sequence[int]) -> dict:
    """One audit: what the tests say of a model."""
    names = {model: AUDITED} | {
        oracle_name(own): oracle_name(place) for place, own in enumerate(oracles)
    }
    broken = {names.get(who, who) for who in task.broken}
    tests, values = [], []
    for name, result in task.results.items():
        kept = [
            _renamed(measure, names.get(measure.model, measure.model))
            for measure in result.measures
            if measure.model in names or measure.model == ORIGINAL
        ]
        own = Result(kept)
        rows = judge_measures(TESTS[name], own, broken, tests=len(task.results), calibration=base)
        if report_on(AUDITED, TESTS[name], own, rows).verdict in (LESS, MORE):
            tests.append(name)
        values += [
            f"{name}/{row.metric}/{row.condition}"
            for row in rows
            if row.model == AUDITED and row.verdict in (LESS, MORE)
        ]
    return {
        "profile": task.profile,
        "group": task.group,
        "model": model,
        "oracles": list(oracles),
        "accused": tests,
        **({"values": values} if model.startswith(ORACLE) else {}),
    }


def _renamed(measure: Any, model: str) -> Any:
    return type(measure)(**{**vars(measure), "model": model})


def replay(tasks: Sequence[Measured], chosen: Calibration) -> dict[str, list[dict[str, Any]]]:
    """Every audit, with calibrations that know neither the group nor (second) the profile."""
    found: dict[str, list[dict[str, Any]]] = {
        "other group": [],
        "other profile": [],
        "every three": [],
    }
    for task in tasks:
        others = [other for other in tasks if other.group != task.group]
        foreign = [other for other in others if other.profile != task.profile]
        for name, base in (("other group", others), ("other profile", foreign)):
            known = fitted(base, chosen.worth, chosen.degrees)
            found[name] += list(audits(task, known))
            if name == "other group":
                found["every three"] += list(every_three(task, known))
    return found


def report(records: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """The rates as Markdown."""
    lines = []
    titles = {
        "other group": "Calibrated on the other groups, both profiles",
        "other profile": "Calibrated on the other groups of the other profile",
    }
    for name, title in titles.items():
        own = records[name]
        rows = [["an oracle (innocent)", *_shares(own, None)]]
        rows += [[words, *_shares(own, guilty)] for guilty, words in GUILTY.items()]
        lines += [
            f"**{title}.** Audits that accuse the model in any test:",
            "",
            *table(["model", "default profile", "smoke profile", "both, 95 % interval"], rows),
            "",
        ]
    often = records["every three"]
    accused, of = (sum(one[key] for one in often) for key in ("accused", "of"))
    ever = sum(bool(one["accused"]) for one in often)
    lines += [
        f"The {len(often)} oracles against every three others, calibrated as in the first table: "
        f"{accused} of {of:,} audits accuse, of {ever} oracles.",
        "",
    ]
    own = records["other group"]
    innocent = [record for record in own if record["model"].startswith("oracle")]
    tests = choose_tests("clip", None)
    lines += [
        f"**By test** ({len(innocent)} audits of oracles; first table's calibration):",
        "",
        *table(
            ["test", "innocent accused", *(words for words in _SHORT.values())],
            [
                [
                    TESTS[test].title.lower(),
                    str(sum(test in record["accused"] for record in innocent)),
                    *(_found(own, guilty, test) for guilty in _SHORT),
                ]
                for test in tests
            ],
        ),
    ]
    return lines


_SHORT = {
    "itself": "original",
    "half": "half",
    "quarter": "quarter",
    "filter": "filter",
    "relearned": "relearned",
    "cliperase": "CLIPErase",
    "never_seen": "never_seen",
}


def _found(records: Sequence[Mapping[str, Any]], guilty: str, test: str) -> str:
    own = [record for record in records if record["model"] == guilty]
    share = sum(test in record["accused"] for record in own) / len(own)
    return f"{100 * share:.0f} %"


def _shares(records: Sequence[Mapping[str, Any]], guilty: str | None) -> list[str]:
    """How many audits accuse, in each profile and in all, with the interval of the last."""
    cells, total, of = [], 0, 0
    for profile in ("default", "smoke"):
        own = [
            record
            for record in records
            if record["profile"] == profile
            and (record["model"] == guilty if guilty else record["model"].startswith("oracle"))
        ]
        accused = sum(bool(record["accused"]) for record in own)
        total, of = total + accused, of + len(own)
        cells.append(f"{accused} of {len(own)}")
    low, high = stats.binomtest(total, of).proportion_ci(0.95)
    return [*cells, f"{100 * total / of:.0f} % ({100 * low:.0f} to {100 * high:.0f})"]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("measure", "fit", "report"))
    parser.add_argument("--only", nargs="*", default=(), help="tasks to measure: smoke/fruit")
    parser.add_argument("--tests", nargs="*", help="tests to measure")
    chosen = parser.parse_args(arguments)
    if chosen.step == "measure":
        measure(chosen.only, chosen.tests)
    elif chosen.step == "fit":
        found = fit(read())
        CALIBRATION.write_text(json.dumps(found.as_dict(), indent=2) + "\n", encoding="utf-8")
        print(CALIBRATION)
    else:
        base = Calibration.from_dict(json.loads(CALIBRATION.read_text(encoding="utf-8")))
        records = replay(read(), base)
        RECORDS.write_text(
            "{"
            + ",\n".join(
                f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, own)) + "\n]"
                for name, own in records.items()
            )
            + "}\n",
            encoding="utf-8",
        )
        RATES.write_text("\n".join(report(records)) + "\n", encoding="utf-8")
        print(RATES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
