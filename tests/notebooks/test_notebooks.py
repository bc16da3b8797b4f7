"""Every notebook runs, and what it says in words is true of what it recorded.

With ERASEKIT_TEST_NOTEBOOKS set to a folder the executed notebooks stay there, where
nbval then runs them a second time and compares.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support_notebooks import PATHS, read

import erasekit
from erasekit.audit.verdict import LESS, MORE
from erasekit.evaluate.scorecard import AVERAGE_GAP
from erasekit.files import read_json
from erasekit.leaderboard.records import SHIPPED
from erasekit.tutorial.exercises.all_exercises import EXERCISES
from erasekit.tutorial.reference import compare_with_reference
from erasekit.tutorial.runner import cells_not_run, declared_parameters, run_notebook
from erasekit.tutorial.wording import SAME

Values = dict[str, Any]


def quickstart(v: Values) -> None:
    assert v["top1_forget_original"] >= 0.6
    assert v["top1_forget_erased"] <= 0.1
    assert v["top1_forget_oracle"] <= 0.05
    assert v["top1_retain_erased"] >= v["top1_retain_original"] - 0.15
    assert v["forgotten_names"] <= 0.1
    assert v["similarity_forget_gap"] < -20, "it goes further than never having learned"


def data(v: Values) -> None:
    # Counted anew by the group that each concept names, not by the rule that made the lists.
    world = erasekit.load("smoke", progress=False).world
    fruit = {concept.index for concept in world.concepts if concept.group == "fruit"}
    shown = [bool(fruit & set(sample.concepts)) for sample in world.samples("train")]
    assert (v["train"], v["forget"], v["retain"]) == (
        len(shown),
        shown.count(True),
        shown.count(False),
    )
    assert min(v["forget"], v["retain"]) > 0
    assert v["leaks"] == v["others"] == v["holdout_seen"] == v["shared"] == v["neither"] == 0
    assert 0.2 < v["caption_share"] < 0.8, "English names are a part of what is told"
    assert v["correlation"] > 0.3, "names follow pictures"


def base_model(v: Values) -> None:
    for subset in ("forget", "retain"):
        assert v[f"top1_{subset}_original"] >= max(0.5, 5 * v["chance"])
    assert v["loss_last"] < v["loss_first"] - 0.5, "fifty steps teach something"
    assert v["membership_auc_forget_original"] > 0.6, "there is something to forget"


def forgetting(v: Values) -> None:
    assert v["top1_forget_erased"] <= 0.05
    assert v["top1_retain_erased"] < v["top1_retain_original"] / 2, "it forgets everything"
    assert v["top1_retain_oracle"] >= v["top1_retain_original"] - 0.1
    for subset in ("forget", "retain", "holdout"):
        assert v[f"similarity_{subset}_erased"] < -0.5, "all of it moved together"
    assert v["pictures"] > v["pictures_before"] + 0.2, "pictures became similar to each other"


def retention(v: Values) -> None:
    assert v["top1_forget_erased"] <= 0.05
    assert v["top1_retain_erased"] >= v["top1_retain_forgetting alone"] + 0.3
    assert v["similarity_forget_gap"] < -20, "over-forgetting"
    assert v["similarity_retain_erased"] < v["similarity_retain_original"] - 0.2
    assert v["kit_retain"] < v["similarity_retain_original"] - 0.2, "names are kept, levels not"
    assert v["retention_both"] < v["retention_alone"] / 2


def consistency(v: Values) -> None:
    assert v["first"] < 1e-4, "before the first step nothing has moved"
    assert v["top1_forget_3"] <= 0.05
    assert v["top1_retain_3"] >= v["top1_retain_original"] - 0.1
    kept = "neighbourhood_kept_retain"
    assert v[f"{kept}_30"] > v[f"{kept}_0"], "what consistency is for"
    assert v["similarity_retain_30"] > v["similarity_retain_0"] + 0.1
    assert v[f"{kept}_oracle"] < 1
    # Kept more than the oracle keeps is farther from it: the text must say so.
    farther = abs(v["kept_heavy"] - v[f"{kept}_oracle"]) - abs(v["kept_0"] - v[f"{kept}_oracle"])
    told = (
        "farther" if farther > SAME else "nearer" if farther < -SAME else "no measurable difference"
    )
    assert v["prediction"] == told


def evaluation(v: Values) -> None:
    assert v["top1_forget_erased"] <= 0.05
    assert v["top1_forget_oracle"] <= 0.05
    assert v["top1_retain_erased"] >= v["top1_retain_original"] - 0.1
    assert v["similarity_forget_gap"] < -20
    assert "similarity (forget)" in v["over"], "and the text says so"
    assert v["prediction"] == "similarity"
    assert v["accuracy_gap"] < abs(v["similarity_forget_gap"]), "an accuracy table sees less"
    oracle = v["membership_auc_forget_oracle"]
    assert abs(v["membership_auc_forget_erased"] - oracle) < 0.15, (
        "near the oracle's, of either side"
    )
    assert v["membership_auc_forget_original"] > oracle + 0.15
    assert v["erased"] < v["original"], "nearer to the oracle than before"
    assert v["erase_steps"] < v["train_steps"]


def embedding_shift(v: Values) -> None:
    assert v["name_forgotten"] < v["name_retained"] - 0.2, (
        "the forgotten names move, the others hardly"
    )
    assert v["right"] <= 0.1 and v["prediction"] != "its own name"
    assert v["own_forgotten_after"] < v["own_forgotten_before"] - 0.5
    assert 0 < v["kept"] < 1 and 0 < v["least"] <= v["shown"] <= 1, "a projection only shortens"
    assert v["against_oracle"] == "over-forgetting"


def is_it_gone(v: Values) -> None:
    tests = [key.removeprefix("verdict_") for key in v if key.startswith("verdict_")]
    assert len(tests) == v["tests"] == 12
    leaks = [test for test in tests if v[f"verdict_{test}"] == LESS]
    assert v["leaks"] == len(leaks)
    assert (v["result"] == "It leaks") == bool(leaks)
    assert v["verdict_over_forgetting"] == MORE
    assert v["gap_over_forgetting"] < -20, "more was taken than by retraining"
    assert v["named_erased"] <= 0.1 and v["named_oracle"] <= 0.1
    assert v["probed_erased"] > v["named_erased"] + 0.3, "features hold more than names"
    assert v["probed_oracle"] > v["named_oracle"] + 0.3, "even where nothing was learned"
    assert v["relearned_original"] > max(v["relearned_erased"], v["relearned_oracle"]) + 0.2
    for test in ("prompt_leaks", "language_leaks", "domain_shift"):
        assert v[f"verdict_{test}"] != LESS, "the names are gone, whatever else is"


def methods(v: Values) -> None:
    assert v["top1_retain_gradient_ascent"] < v["top1_retain_original"] / 2, "forgets by breaking"
    assert "gradient_ascent" in v["broken"]
    assert v["gap_gradient_ascent"] > v["gap_cliperase"]
    gaps = committed_gaps()
    gaps.pop("never_seen")  # developed with many looks at this world
    floor = gaps.pop("oracle")
    filtered = gaps.pop("filter")
    for reference in ("original", "fine_tune"):
        gaps.pop(reference)
    best, second = sorted(gaps, key=lambda method: gaps[method])[:2]
    assert (v["best"], v["second"]) == (best, second)
    told = [v[f"{name}_gap"] for name in ("best", "second", "floor", "filter")]
    assert told == pytest.approx([gaps[best], gaps[second], floor, filtered], abs=1e-4)
    assert v["filter_is"] == ("above" if filtered > floor else "not above")
    assert v["tied"] >= 3, "so few tasks rank no winner"
    assert v["spread"] > 3, "one method's settings differ more than an oracle from the others"


def committed_gaps() -> dict[str, float]:
    """Each method's gap in points over all tasks, from the lines of the committed records alone."""
    tests = {}
    for line in SHIPPED.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["split"] == "test":
            place, metrics = (record["task"], record["seed"]), record["metrics"]
            tests[*place, record["method"]] = metrics
            if record["method"] == "original":  # a filter before it hides the names, and no more
                tests[*place, "filter"] = {
                    **metrics,
                    "top1_forget": 0,
                    "membership_auc_forget": 0.5,
                }
    gaps: dict[str, dict[str, list[float]]] = {}
    for (task, seed, method), metrics in tests.items():
        oracles = [
            found
            for (*place, name), found in tests.items()
            if place == [task, seed] and name.startswith("oracle-") and name != method
        ]
        metrics = metrics or tests[task, seed, "original"]  # it failed, and changed nothing
        gap = statistics.fmean(
            abs(metrics[f"{m}_{s}"] - statistics.fmean(oracle[f"{m}_{s}"] for oracle in oracles))
            for m, s in AVERAGE_GAP
        )
        name = "oracle" if method.startswith("oracle-") else method
        gaps.setdefault(name, {}).setdefault(task, []).append(100 * gap)
    most = max(len(tasks) for tasks in gaps.values())
    return {
        name: statistics.fmean(map(statistics.fmean, tasks.values()))
        for name, tasks in gaps.items()
        if len(tasks) == most
    }


def our_method(v: Values) -> None:
    # Which original is drawn differs between processors, and with it how far never_seen gets on
    # sixteen concepts: 0 to .28 of the forgotten named right, of about .86 before. The notebook's
    # sentences are computed; here is what holds with room to spare.
    assert v["top1_forget_never_seen"] <= v["top1_forget_original"] / 2
    assert v["top1_retain_never_seen"] >= v["top1_retain_original"] - 0.15
    assert v["top1_retain_no consistency"] < v["top1_retain_never_seen"] - 0.2, "torn along"
    assert v["gap_no consistency"] > v["gap_never_seen"]
    assert v["runs"] == 1
    for part in ("forgetting", "naming", "consistency"):
        assert v[f"{part}_is"] == "one run cannot tell whether that is luck"
        cost = v[f"gap_no {part}"] - v["gap_never_seen"]
        assert v[f"cost_{part}"] == pytest.approx(cost, abs=1e-4)
    oracle = v["similarity_forget_oracle"]
    ours, cliperase = (v[f"similarity_forget_{name}"] for name in ("never_seen", "cliperase"))
    assert abs(ours - oracle) < abs(cliperase - oracle) / 2, "among the unknown, not far below"
    moved = v["similarity_retain_never_seen"] - v["similarity_retain_original"]
    assert abs(moved) < 0.1, "the retained are where they were"
    faster = v["relearned_never_seen"] - v["relearned_oracle"]
    assert (v["never_seen_relearns"] == "faster") == (faster > 0.05)


def multimodal_llm(v: Values) -> None:
    for mode in ("seen", "told"):
        assert v[f"{mode}_forget_original"] > 60, "there is something to forget, and to keep"
    assert v["seen_forget_oracle"] <= 5
    assert v["seen_forget_mmunlearner"] <= v["seen_forget_oracle"] + 10
    # One answer of the smoke profile is three points; over three seeds of the default it is two.
    assert v["told_forget_mmunlearner"] >= v["told_forget_original"] - 5
    assert v["seen_retain_mmunlearner"] > v["seen_retain_gradient_ascent"], "without a mask"
    assert v["mask_language"] > 0.3, "the mask is no small selection"
    # 86 against 0 in smoke; over three seeds of the default 40 against 0 on the way there.
    assert v["relearned_erased"] > v["relearned_oracle"] + 20
    assert v["conclusion"] == "suppressed rather than removed"


def downstream(v: Values) -> None:
    assert v["seen_forget_oracle"] <= 5
    assert v["seen_forget_erased"] < v["seen_forget_original"]
    # 19 to 28 pictures of a hundred in smoke, as the sums come out; 22 to 53 in default.
    assert v["seen_forget_erased"] >= v["seen_forget_oracle"] + 10, "its reader still names it"
    assert v["seen_forget_never_seen"] > v["seen_forget_original"] / 2, "it leaves pictures"
    assert v["seen_retain_erased"] < v["seen_retain_original"] - 3, "what was feared"
    assert abs(v["seen_retain_never_seen"] - v["seen_retain_original"]) < 5, "held in place"
    assert v["clip_forget_erased"] <= v["clip_forget_original"] / 4
    assert v["clip_forget_control"] >= v["clip_forget_erased"] + 20, "it still names them"
    assert v["kept_retain_never_seen"] > v["kept_retain_erased"], "its pictures stayed"
    for subset in ("forget", "neighbours", "retain"):
        for tower in ("control", "erased", "never_seen"):
            words = f"told_{subset}"
            assert v[f"{words}_{tower}"] == v[f"{words}_original"], "words do not pass the tower"


def your_own_data(v: Values) -> None:
    assert (v["asked"], v["copies"], v["pairs"]) == (3, 1, 4)
    assert v["recall@1_forget_erased"] <= v["recall@1_forget_original"]
    assert v["recall@1_retain_erased"] >= v["recall@1_retain_original"] - 0.1
    assert v["similarity_forget"] < v["similarity_holdout"]
    assert v["certified"] != "met", "the original tells these pictures from no others"
    assert v["similarity_forget_oracle"] < v["similarity_forget_original"] - 0.05, "it remembers"
    assert v["similarity_forget_erased"] < v["similarity_forget_original"]
    assert v["against_oracle"] in ("About as the oracle.", "Forgot more than the oracle.")
    assert {0 <= v[f"mapped_{model}"] <= 1 for model in ("original", "erased", "oracle")} == {True}


def reproduce_cliperase(v: Values) -> None:
    assert v["cifar100_forget_original"] >= 50
    assert v["cifar100_forget_erased"] <= 5
    assert v["cifar100_forget_control"] >= v["cifar100_forget_erased"] + 20, "it is the method"
    for name in ("flickr30k", "cc12m"):
        assert v[f"{name}_forget_erased"] < v[f"{name}_forget_control"]
    assert (v["compared"], v["outside"], v["stand_ins"]) == (0, 0, 3)


def deletion_request(v: Values) -> None:
    assert (v["first"], v["stage"], v["version"]) == ("met", "candidate", "v1")
    assert v["top1_forget_original"] >= 0.6
    assert v["top1_forget_erased"] <= 0.1
    assert v["top1_retain_erased"] >= v["top1_retain_original"] - 0.2
    assert (v["strict"], v["state"], v["made"], v["live"]) == ("not met", "failed", "v2", "v1")
    assert v["trace"] < v["bound"] - 0.1, "it over-forgets, by more than chance"
    assert 0 < v["about"] <= v["changed"] <= v["queries"]
    told = "about the letter" if 2 * v["about"] > v["changed"] else "about other pictures"
    assert v["prediction"] == told
    assert (v["extends"], v["forgery"]) == ("True", "False")
    assert v["entries"] == 20


CLAIMS: dict[str, Callable[[Values], None]] = {
    "00_quickstart": quickstart,
    "01_data": data,
    "02_base_model": base_model,
    "03_forgetting": forgetting,
    "04_retention": retention,
    "05_consistency": consistency,
    "06_evaluation": evaluation,
    "07_embedding_shift": embedding_shift,
    "08_is_it_gone": is_it_gone,
    "09_methods": methods,
    "10_our_method": our_method,
    "11_multimodal_llm": multimodal_llm,
    "12_downstream": downstream,
    "13_your_own_data": your_own_data,
    "14_reproduce_cliperase": reproduce_cliperase,
    "15_deletion_request": deletion_request,
}


def test_every_notebook_has_its_claims():
    assert list(CLAIMS) == [path.stem for path in PATHS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("ERASEKIT_TEST_NOTEBOOKS")
    return Path(kept) if kept else tmp_path_factory.mktemp("notebooks")


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_notebook(path: Path, folder: Path):
    wanted = {"profile": "smoke", "solve": True, "threads": 1}  # as `make tutorial` runs them
    declared = declared_parameters(path)
    executed = run_notebook(path, folder, {k: v for k, v in wanted.items() if k in declared})
    assert not cells_not_run(read(executed))
    recorded = read_json(folder / f"{path.stem}.json")["values"]
    found = {name: recorded[f"exercise_{name}"] for name in EXERCISES[path.stem]}
    assert set(found.values()) == {"right"}, found
    assert recorded["prediction"], "the prediction is answered"
    CLAIMS[path.stem](recorded)


@pytest.mark.slow
def test_the_smoke_scorecard_is_as_the_committed_reference(folder: Path):
    assert (folder / "scorecard.json").is_file(), "run this together with test_notebook"
    right, lines = compare_with_reference("smoke", folder)
    assert right, "\n".join(lines)
    assert lines == [lines[0]]
    assert "agree" in lines[0], "another task than the reference's would be no comparison"
