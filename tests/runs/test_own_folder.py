"""Erasing in a folder of one's own, from the settings to the report and the command line."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import erasekit
from erasekit.errors import UsageError
from erasekit.experiment.clip_experiment import Experiment
from erasekit.experiment.specs import make_plan
from erasekit.models.clip import load_clip
from erasekit.runs.run_folder import RunFolder, run_erase, run_evaluate
from erasekit.runs.tables import summary
from erasekit.settings import make_settings


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
    pairs = same.world.pairs("test").singles.where(same.task.touches)
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
        "similarity",
        "neighbourhood_kept",
        "membership_auc",
    }
    assert all(np.isfinite([row.value, row.low, row.high]).all() for row in card.rows)
    assert card.task["forget"] == ["word=picture"]
    said = summary(unnamed_run)
    assert "recall@1 forget" in said and "top1" not in said
    page = unnamed_run.report.read_text()
    assert "R@1 on the forgotten pairs" in page and "there is no oracle in this run" in page


@pytest.mark.parametrize("method", ["cliperase", "delete", "null_space"])
def test_captions_alone_are_enough(own_folder, own_parameters, tmp_path, method: str) -> None:
    """No column tells a concept: methods that compare with names take captions for them."""
    rows = list(csv.DictReader((own_folder / "pairs.csv").open(encoding="utf-8")))
    with (tmp_path / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("image", "caption", "split"))
        table.writerows((row["image"], row["caption"], row["split"]) for row in rows)
    shutil.copytree(own_folder / "pictures", tmp_path / "pictures")
    given = {**own_parameters, "data": f"folder:{tmp_path}", "forget": "word=picture"}
    experiment = Experiment(make_settings("smoke", **given, method=method), progress=False)
    assert len(experiment.task.retained) > 0 and not experiment.task.named
    card = experiment.evaluate({"erased": experiment.erase()}, oracle=False)
    assert card.has("recall@1", "retain") and not card.has("top1", "forget")


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


@pytest.mark.parametrize("method", ["never_seen", "salun", "null_space", "slug", "ssd", "munba"])
@pytest.mark.parametrize("rule", ["group", "word=picture"])
def test_methods_of_every_kind_run_on_a_folder(own_parameters, group, method, rule) -> None:
    options = {"level": "shuffled"} if method == "never_seen" else {}
    settings = make_settings(
        "smoke",
        **own_parameters,
        forget=group if rule == "group" else rule,
        method=method,
        options=options,
    )
    experiment = Experiment(settings, progress=False)
    erased = experiment.erase()
    assert erased.model.fingerprint() != experiment.original.fingerprint()


def test_what_cannot_be_is_refused(own_parameters, group, tmp_path: Path) -> None:
    def plan(**given: Any) -> None:
        make_plan(make_settings("smoke", **{**own_parameters, "forget": group, **given}))

    with pytest.raises(UsageError, match="there is no such folder"):
        plan(data=f"folder:{tmp_path / 'none'}")
    with pytest.raises(UsageError, match="erasekit-small is trained on the embedded world"):
        plan(model="erasekit-small")
    with pytest.raises(UsageError, match="nothing tells the language"):
        plan(forget_languages="en")
    with pytest.raises(UsageError, match="unknown rule"):
        plan(forget="wrod=apple")
    with pytest.raises(UsageError, match="oracle_model"):
        make_plan(make_settings("smoke", oracle_model="local-dir:x"))
    with pytest.raises(UsageError, match="skip_bad = 'maybe' must be true or false"):
        plan(skip_bad="maybe")


def test_a_folder_has_a_published_clip_for_its_default(tmp_path: Path) -> None:
    settings = make_settings(data=f"folder:{tmp_path}", forget="cat")
    assert (settings.model, settings.pretrained) == ("ViT-B-32-quickgelu", "openai")
    other = make_settings(data=f"folder:{tmp_path}", forget="cat", model="local-dir:x")
    assert other.pretrained == ""


def test_what_a_folder_cannot_do_yet_is_said(own_parameters, group) -> None:
    experiment = Experiment(make_settings("smoke", **own_parameters, forget=group), progress=False)
    assert not experiment.has_oracle
    with pytest.raises(UsageError, match="give one as oracle_model"):
        _ = experiment.oracle
    with pytest.raises(UsageError, match="the audit draws its own pictures"):
        experiment.audit(experiment.original)


def test_a_rule_that_finds_nothing_leaves_no_run_behind(own_parameters, tmp_path: Path) -> None:
    settings = make_settings("smoke", **own_parameters, forget="word=zebra")
    with pytest.raises(UsageError, match="zebra"):
        run_erase(settings, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
