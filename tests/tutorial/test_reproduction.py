"""The published experiments: what is there, and what runs."""

from __future__ import annotations

import csv
import math
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from erasekit.data.folder.check import read_folder
from erasekit.data.worlds import SPLITS
from erasekit.errors import UsageError
from erasekit.experiment.clip_experiment import Experiment
from erasekit.files import read_json, write_json
from erasekit.tutorial import reproduction
from erasekit.tutorial.reported import MODELS, published
from erasekit.tutorial.reproduction import (
    Prepared,
    Reproduced,
    data_here,
    prepare,
    reproduce,
    weights_here,
    why_absent,
)
from erasekit.tutorial.reproduction_tables import (
    numbers,
    set_up,
    setup_table,
    splits_table,
)
from erasekit.tutorial.stand_ins import FORMS, stand_in

PAPERS = "ViT-B-16-quickgelu"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub's."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_weights_are_looked_for_and_never_fetched(hub: Path, tmp_path: Path) -> None:
    assert not weights_here(PAPERS, "openai")
    home = hub / "models--timm--vit_base_patch16_clip_224.openai"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("abc")
    (home / "snapshots" / "abc").mkdir(parents=True)
    (home / "snapshots" / "abc" / "open_clip_config.json").write_text("{}")
    assert not weights_here(PAPERS, "openai"), "a configuration is no weights"
    (home / "snapshots" / "abc" / "open_clip_model.safetensors").write_bytes(b"x")
    assert weights_here(PAPERS, "openai")
    assert not weights_here("hf-hub:some/other")
    assert weights_here(f"local-dir:{tmp_path}")
    with pytest.raises(UsageError, match="did you mean"):
        weights_here("ViT-B-16-quickgel", "openai")


def test_why_a_stand_in_runs(hub: Path, tmp_path: Path) -> None:
    one = published()["cifar100"]
    assert "profile smoke" in why_absent(one, "smoke", tmp_path)
    assert "data_scripts/get_cifar100.py writes it" in why_absent(one, "paper", tmp_path)
    (tmp_path / "cifar100" / "images").mkdir(parents=True)
    assert not data_here(tmp_path / "cifar100"), "without its table a folder is not whole"
    (tmp_path / "cifar100" / "pairs.parquet").write_bytes(b"x")
    assert "model=ViT-B-16-quickgelu:openai fetches" in why_absent(one, "paper", tmp_path)
    assert why_absent(one, "paper", tmp_path, model="ViT-L-14-quickgelu:openai") == ""


@pytest.fixture(scope="module")
def published_data(tiny_experiment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny data in the three published forms."""
    home = tmp_path_factory.mktemp("data")
    for name in published():
        made = stand_in(tiny_experiment, name)["data"].removeprefix("folder:")
        shutil.copytree(made, home / name)
    return home


def test_stand_ins_have_the_form_that_the_scripts_write(published_data: Path) -> None:
    from pyarrow import parquet

    columns = {
        "cifar100": ["image", "caption", "concept", "group", "split"],
        "flickr30k": ["image", "caption", "split"],
    }
    for name, wanted in columns.items():
        rows = parquet.read_table(published_data / name / "pairs.parquet")
        assert rows.column_names == wanted
        assert set(rows["split"].to_pylist()) == set(SPLITS)
        pictures = rows["image"].to_pylist()
        assert (len(set(pictures)) < len(pictures)) == (name == "flickr30k")
        assert "CC BY-SA 4.0" in (published_data / name / "DATASET_CARD.md").read_text()
    rows = parquet.read_table(published_data / "cifar100" / "pairs.parquet")
    assert rows["caption"].to_pylist() == rows["concept"].to_pylist(), "bare names"
    listed = list(csv.DictReader((published_data / "cc12m" / "shards.csv").open()))
    assert sum(int(each["pairs"]) for each in listed) == len(
        read_folder(published_data / "cc12m", progress=False)
    )
    with tarfile.open(published_data / "cc12m" / "shards" / listed[0]["shard"]) as tar:
        assert [name.split(".")[1] for name in tar.getnames()[:3]] == ["jpg", "txt", "json"]


def test_published_experiments_take_the_papers_backbone(
    published_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduction, "weights_here", lambda model, tag: model == PAPERS)
    prepared = prepare("paper", data=published_data)
    assert {(each.settings.model, each.settings.pretrained) for each in prepared} == {
        (PAPERS, "openai")
    }
    assert not any(each.absent for each in prepared)


def test_there_is_no_stand_in_of_another_form(tiny_experiment) -> None:
    with pytest.raises(UsageError, match="did you mean 'cifar100'"):
        stand_in(tiny_experiment, "cifar10")
    assert set(published()) < set(FORMS)


def test_absent_data_give_stand_ins(tiny: dict, tmp_path: Path) -> None:
    prepared = prepare("smoke", data=tmp_path, **tiny)
    assert [each.title for each in prepared] == [
        f"{title} (stand-in)" for title in ("CIFAR-100", "Flickr30K", "CC12M")
    ]
    assert all(each.settings.profile == "smoke" for each in prepared)
    frame = splits_table(prepared)
    assert (frame.loc[(slice(None), ["train", "test"]), ["forget", "retain"]] > 0).all(axis=None)
    for each in prepared:
        pairs = read_folder(each.settings.data, progress=False)
        by_split = {
            split: set(pairs.picture[pairs.split.codes == code].tolist())
            for code, split in enumerate(SPLITS)
        }
        assert not by_split["test"] & (by_split["train"] | by_split["validation"]), "by picture"


@pytest.fixture(scope="module")
def real(published_data: Path, tiny_experiment) -> list[Prepared]:
    """The published set-up but for its steps, and with a CLIP of a few weights."""
    return prepare(
        "paper",
        data=published_data,
        forget="word=apple,word=banana",
        model=f"local-dir:{tiny_experiment.original_folder}",
        steps=3,
        draws=10,
        threads=1,
    )


@pytest.fixture(scope="module")
def results(real: list[Prepared], tmp_path_factory: pytest.TempPathFactory) -> list[Reproduced]:
    out = tmp_path_factory.mktemp("runs")
    return [
        reproduce(each, out, 2 if each.published.name == "cifar100" else 1, progress=False)
        for each in real
    ]


def test_present_data_take_the_published_way(real, results, published_data: Path) -> None:
    assert [each.absent for each in real] == ["", "", ""]
    for each, one in zip(results, published().values(), strict=True):
        run = each.runs[0]
        assert run.params["profile"] == "paper" and run.params["oracle"] is False
        assert run.params["data"] == f"folder:{published_data / one.name}"
        assert run.scorecard.models == list(MODELS)
        for model in ("erased", "control"):
            assert run.scorecard.cost[model]["steps"] == 3
    rate = {each.prepared.published.name: each.runs[0].params["learning_rate"] for each in results}
    assert rate == {"cifar100": 1e-6, "flickr30k": 1e-8, "cc12m": 1e-6}
    assert [run.params["seed"] for run in results[0].runs] == [0, 1]
    found = numbers(results)
    assert found["comparable"].all() and found.loc["cifar100"]["seeds"].eq(2).all()
    known = found["reported"].notna()
    assert (found["difference"].notna() == known).all()
    assert found.loc["cifar100"]["within"].notna().sum() == 4
    assert found.loc["flickr30k"]["within"].isna().all(), "no tolerance can be stated"
    setup = setup_table(results)
    assert setup["model"].str.len().gt(5).all() and list(setup["seeds"]) == [2, 1, 1]
    assert set_up([each.prepared for each in results]) == "Everything ran as published."


def test_a_whole_run_is_not_run_again(real, results, monkeypatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it ran again")

    monkeypatch.setattr(reproduction, "run_erase", refuse)
    out = results[0].runs[0].path.parents[1]
    again = reproduce(real[0], out, 2, progress=False)
    assert [run.path for run in again.runs] == [run.path for run in results[0].runs]
    assert numbers([again]).equals(numbers(results[:1]))
    import dataclasses

    other = dataclasses.replace(real[0].settings, learning_rate=1e-5)
    with pytest.raises(UsageError, match=r"other parameters \(learning_rate is 1e-06 there\)"):
        reproduce(dataclasses.replace(real[0], settings=other), out, progress=False)
    faster = dataclasses.replace(real[0].settings, threads=2)
    assert reproduce(dataclasses.replace(real[0], settings=faster), out, progress=False).runs
    with pytest.raises(UsageError, match="seeds = 0"):
        reproduce(real[0], out, 0)
    with pytest.raises(AssertionError, match="it ran again"):
        reproduce(real[0], out, 3, progress=False)


def test_a_stand_in_of_other_code_is_run_again(tiny: dict, tmp_path: Path, monkeypatch) -> None:
    cifar100 = prepare("smoke", **{**tiny, "steps": 1})[0]
    ran = reproduce(cifar100, tmp_path, progress=False).runs[0]
    assert ran.path == tmp_path / "cifar100-stand-in" / "seed-0"
    asked = []

    def note(settings: Any, path: Path, **given: Any) -> Any:
        asked.append((path, given["overwrite"]))
        return ran

    monkeypatch.setattr(reproduction, "run_erase", note)
    reproduce(cifar100, tmp_path, progress=False)
    assert asked == []
    write_json(ran.path / "provenance.json", {**read_json(ran.path / "provenance.json"), "code": 0})
    reproduce(cifar100, tmp_path, progress=False)
    assert asked == [(ran.path, True)]


def test_epochs_are_counted_in_steps(real: list[Prepared]) -> None:
    import dataclasses

    settings = dataclasses.replace(real[1].settings, epochs=2.5)
    experiment = Experiment(settings, progress=False)
    pairs = len(experiment.task.retain)
    assert experiment.erase_spec.steps == math.ceil(2.5 * pairs / 16)
    assert experiment.erase_spec.steps != settings.steps
