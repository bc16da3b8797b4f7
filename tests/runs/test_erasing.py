"""Erasing into a run folder: nothing is lost; a folder of pairs runs as the embedded world."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import erasekit
from erasekit.certificate.judgement import judge
from erasekit.certificate.policy import load_policy
from erasekit.data.pairs import joined
from erasekit.data.worlds import SPLITS
from erasekit.errors import RunError, UsageError
from erasekit.experiment.clip_experiment import Experiment
from erasekit.models.clip import load_clip
from erasekit.runs import figures, provenance
from erasekit.runs.erasing import run_erase, run_evaluate
from erasekit.runs.run_folder import RunFolder
from erasekit.runs.tables import summary
from erasekit.settings import Settings, make_settings


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures cost seconds where they are not what is tested."""
    monkeypatch.setattr(figures, "write_figures", lambda *_: [])


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_folder_that_holds_a_run_is_refused_and_stays_as_it_is(
    copied: Path, settings: Settings
) -> None:
    before = contents(copied)
    with pytest.raises(UsageError, match="already holds a run"):
        run_erase(settings, copied)
    assert contents(copied) == before


def test_overwrite_keeps_the_old_run_until_the_new_one_is_whole(
    copied: Path, tiny: dict, no_pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copied / "notes.ipynb").write_text("{}", encoding="utf-8")
    before = contents(copied)
    other = make_settings("smoke", **{**tiny, "steps": 2})

    with monkeypatch.context() as patch:

        def fails(*_: object, **__: object) -> None:
            raise RunError("a fault in the middle")

        patch.setattr(Experiment, "evaluate", fails)
        with pytest.raises(RunError, match="a fault in the middle"):
            run_erase(other, copied, overwrite=True, control=False, progress=False)
    assert contents(copied) == before
    assert RunFolder.open(copied).params["steps"] == tiny["steps"]

    run_erase(other, copied, overwrite=True, control=False, progress=False)
    assert RunFolder.open(copied).params["steps"] == 2
    assert len(RunFolder.open(copied).history) == 2
    assert (copied / "notes.ipynb").is_file()  # not the run's to remove
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]


def test_scorecard_is_written_last(
    tmp_path: Path, settings: Settings, no_pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever of the data cannot be written, the folder is not taken for a whole run."""

    def full(*_: object, **__: object) -> None:
        raise RunError("cannot write: No space left on device")

    for number, (module, name) in enumerate(
        [(figures, "write_figures"), (provenance, "provenance")]
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, full)
            out = tmp_path / str(number)
            with pytest.raises(RunError, match="No space left"):
                run_erase(settings, out, oracle=False, control=False, progress=False)
        assert not RunFolder(out).whole


def test_two_runs_do_not_work_in_one_folder(tmp_path: Path, settings: Settings) -> None:
    folder = RunFolder.create(tmp_path / "run", settings)
    hold = (
        "import sys, time; from pathlib import Path\n"
        "from erasekit.runs.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked(): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match="another run is at work"):
        run_erase(settings, folder.path, progress=False)
    other.communicate("")
    with folder.locked():
        pass


def test_evaluate_again_gives_the_same_rows_and_keeps_the_cost_of_erasing(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple] = []
    monkeypatch.setattr(figures, "write_figures", lambda *given: drawn.append(given))
    before = RunFolder.open(copied).scorecard
    after = run_evaluate(copied, progress=False).scorecard
    assert after.rows == before.rows
    assert after.cost["erased"] == before.cost["erased"]
    [(folder, _, models, erasure, card)] = drawn
    assert folder.name == "figures"
    assert set(models) == {"original", "erased", "control", "oracle"}
    assert erasure.history == RunFolder.open(copied).history
    assert card.as_dict()["rows"] == after.as_dict()["rows"]


@pytest.fixture(scope="module")
def group(tiny_experiment) -> str:
    return f"group={tiny_experiment.world.concepts[0].group}"


@pytest.fixture(scope="module")
def named_run(own_parameters, group, tiny_experiment, tmp_path_factory) -> RunFolder:
    oracle = f"local-dir:{tiny_experiment.oracle_folder}"
    settings = make_settings("smoke", **own_parameters, forget=group, oracle_model=oracle)
    return run_erase(settings, tmp_path_factory.mktemp("runs") / "named", progress=False)


@pytest.fixture(scope="module")
def unnamed_run(own_parameters, tmp_path_factory) -> RunFolder:
    settings = make_settings("smoke", **own_parameters, forget="word=picture")
    return run_erase(settings, tmp_path_factory.mktemp("runs") / "unnamed", progress=False)


def test_names_are_judged_as_in_the_embedded_world(named_run, tiny_experiment, tiny) -> None:
    """The same pictures, models and templates: what can be measured in both is the same."""
    card = named_run.scorecard
    assert card.models == ["original", "erased", "control", "oracle"]
    group = tiny_experiment.world.concepts[0].group
    same = erasekit.load("smoke", progress=False, **tiny, forget=group)
    # Of a folder, all pictures that were asked for are judged on, whatever their split.
    parts = [same.world.pairs(split).singles.where(same.task.touches) for split in SPLITS]
    pairs = joined(parts)
    from erasekit.models.zero_shot import hits

    clip, world = same.original, same.world
    texts = [
        [t.format(world.concept(i).name) for t in ("a picture of {}", "{}")] for i in world.trained
    ]
    flat = clip.encode_texts([text for of in texts for text in of]).view(len(texts), 2, -1).mean(1)
    candidates = flat / flat.norm(dim=1, keepdim=True)
    labels = [world.trained.index(i) for i in pairs.labels()]
    expected = hits(clip.encode_images(pairs.images), candidates, labels).mean()
    assert card.value("original", "top1", "forget") == pytest.approx(float(expected), abs=1e-6)


def test_the_erased_model_is_what_was_trained(named_run: RunFolder, tiny_experiment) -> None:
    erased = load_clip(named_run.path / "model")
    assert erased.fingerprint() != tiny_experiment.original.fingerprint()
    record = json.loads((named_run.path / "provenance.json").read_text())
    assert record["models"]["erased"] == erased.fingerprint()
    assert record["models"]["original"] == tiny_experiment.original.fingerprint()


def test_nobody_learns_where_the_folder_lies(named_run: RunFolder, own_folder: Path) -> None:
    for name in ("scorecard.json", "provenance.json"):
        assert str(own_folder) not in (named_run.path / name).read_text()
    assert len(named_run.scorecard.task["world"]["content"]) == 64


def test_without_names_pairs_are_judged(unnamed_run: RunFolder) -> None:
    card = unnamed_run.scorecard
    assert card.models == ["original", "erased", "control"] and card.main_metric == "recall@1"
    metrics = {row.metric for row in card.rows}
    assert metrics == {
        "recall@1",
        "recall@5",
        "recall@10",
        "rank",
        "similarity",
        "neighbourhood_kept",
        "membership_auc",
    }
    assert all(np.isfinite([row.value, row.low, row.high]).all() for row in card.rows)
    assert card.task["forget"] == ["word=picture"]
    said = summary(unnamed_run)
    assert "recall@1 forget" in said and "top1" not in said
    page = unnamed_run.report.read_text()
    assert "R@1 on the forgotten pairs" in page and "This run has no oracle" in page


def test_the_request_is_counted(named_run: RunFolder, unnamed_run: RunFolder, group: str) -> None:
    for run, kind, text in ((named_run, "group", group), (unnamed_run, "word", "word=picture")):
        told = json.loads((run.path / "request.json").read_text())
        assert told["asked"] == {"kind": kind, "text": text, "entries": [text]}
        assert told["found"] == [text] and told["not_found"] == []
        assert len(told["erased"]) == sum(told["by_split"].values())
        assert all(told["by_split"].values())  # of every split
        assert run.scorecard.task["forget_pairs"] >= len(told["erased"])


def test_three_listed_pictures_are_forgotten_and_judged(
    own_folder: Path, own_parameters, tmp_path: Path
) -> None:
    rows = list(csv.DictReader((own_folder / "pairs.csv").open(encoding="utf-8")))
    listed = [next(r["image"] for r in rows if r["split"] == split) for split in SPLITS]
    (tmp_path / "list.txt").write_text("\n".join([*listed, "gone.png"]))
    rule = f"files={tmp_path / 'list.txt'}"
    settings = make_settings("smoke", **own_parameters, forget=rule)
    with pytest.warns(UserWarning, match=r"not found: 1 of 4: gone\.png"):
        run = run_erase(settings, tmp_path / "run", control=False, progress=False)
    told = json.loads((run.path / "request.json").read_text())
    assert sorted(told["erased"]) == sorted(listed) and told["not_found"] == ["gone.png"]
    assert told["by_split"] == dict.fromkeys(SPLITS, 1)
    judged = [r for r in run.scorecard.rows if (r.metric, r.subset) == ("similarity", "forget")]
    assert {row.n for row in judged} == {3}
    policy = load_policy("pictures")
    results = [judge(c, run.scorecard, None).result for c in policy.criteria]
    assert "not tested" not in results


@pytest.mark.parametrize("run", ["named_run", "unnamed_run"])
def test_every_picture_is_there(run: str, request: pytest.FixtureRequest) -> None:
    folder: RunFolder = request.getfixturevalue(run)
    drawn = {path.stem for path in (folder.path / "figures").glob("*.png")}
    always = {"forget_retain", "scorecard_bars", "similarity_distributions", "loss_terms"}
    of_names = {"similarity_matrix", "embedding_shift", "retrieval_gallery"}
    assert drawn == (always | of_names if run == "named_run" else always)


def test_a_run_is_measured_again_alike(named_run: RunFolder) -> None:
    before = named_run.scorecard
    after = run_evaluate(named_run.path, progress=False).scorecard
    for old, new in zip(before.rows, after.rows, strict=True):
        assert (old.model, old.metric, old.subset) == (new.model, new.metric, new.subset)
        assert old.value == pytest.approx(new.value, abs=1e-6)


def test_a_rule_that_finds_nothing_leaves_no_run_behind(own_parameters, tmp_path: Path) -> None:
    settings = make_settings("smoke", **own_parameters, forget="word=zebra")
    with pytest.raises(UsageError, match="zebra"):
        run_erase(settings, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
