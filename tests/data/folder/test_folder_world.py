"""A folder as a world: what is forgotten and retained in it, and what is read of it."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from support_trainings import trainings

import erasekit
from erasekit.data.data_spec import FolderSpec
from erasekit.data.folder.check import read_folder
from erasekit.data.folder.folder_world import FolderTask, FolderWorld
from erasekit.data.folder.selection import ask
from erasekit.errors import UsageError
from erasekit.models.batches import plan_batches
from erasekit.plots.audit_details import audit_figures

SIZE = 48


def folder_task(folder: Path, rule: str, **spec) -> FolderTask:
    source = read_folder(folder, progress=False)
    world = FolderWorld(FolderSpec(str(folder), **spec), source, ask(source, rule), SIZE)
    return FolderTask(world)


@pytest.fixture(scope="module")
def fruit(own_folder: Path, tiny_experiment) -> FolderTask:
    group = tiny_experiment.world.concepts[0].group
    return folder_task(own_folder, f"group={group}")


def test_a_world_that_was_written_is_read_again_pixel_by_pixel(fruit, tiny_experiment) -> None:
    for split in ("train", "validation", "test"):
        before, after = tiny_experiment.world.pairs(split), fruit.world.pairs(split)
        order = [before.captions.index(caption) for caption in after.captions]
        assert len(after) == len(before)
        found = after.images[:]
        # A caption may stand at several pictures: what is compared is the set of both together.
        told = {(c, bytes(i.numpy())) for c, i in zip(before.captions, before.images, strict=True)}
        assert {(c, bytes(i.numpy())) for c, i in zip(after.captions, found, strict=True)} == told
        assert sorted(set(order)) == sorted({before.captions.index(c) for c in before.captions})


def test_a_group_is_forgotten_by_its_names(fruit, tiny_experiment) -> None:
    first = tiny_experiment.world.concepts[0].group
    groups = {fruit.world.concept(i).group for i in fruit.forgotten}
    assert groups == {first} and fruit.named
    kept = {fruit.world.concept(i).group for i in fruit.retained}
    assert first not in kept
    drawn = [c for c in tiny_experiment.world.concepts if c.group == first]
    assert [fruit.world.concept(i).name for i in fruit.forgotten] == [c.name for c in drawn]


@pytest.mark.parametrize("rule", ["group", "word=picture", "regex=^a"])
def test_what_was_selected_goes_and_nothing_else(own_folder: Path, fruit, rule: str) -> None:
    task = fruit if rule == "group" else folder_task(own_folder, rule)
    source = read_folder(own_folder, progress=False)
    selected = task.world._selected
    for split in ("train", "validation", "test"):
        pairs = task.world.pairs(split)
        touched = [task.touches(shown) for shown in pairs.concepts]
        assert touched == selected[pairs.positions].tolist()
        assert pairs.captions == tuple(source.captions(pairs.positions))
    assert np.array_equal(task.forget.positions, np.flatnonzero(selected))
    assert set(task.forget.positions).isdisjoint(task.retain.positions)


def test_a_concept_of_which_some_pictures_stay_is_retained(own_folder: Path) -> None:
    """A word takes some pictures of each thing: the things stay, the pictures lose their names."""
    task = folder_task(own_folder, "word=picture")
    assert not task.named
    assert task.retained == task.world.trained
    names = len(task.world.concepts)
    assert all(shown[0] >= names for shown in task.forget.concepts)
    assert {shown[0] for shown in task.forget.concepts} == set(task.forgotten)
    for index in task.forgotten[:5]:
        thing = task.world.concept(index)
        assert "picture" in thing.name and len(thing.prompts) == len(task.world.spec.templates)


def test_lists_are_bounded_and_drawn_by_the_seed(own_folder: Path, fruit) -> None:
    rule = fruit.world.request.text
    small, again, other = (
        folder_task(own_folder, rule, most_pairs=5, judged_pairs=3, seed=seed) for seed in (1, 1, 2)
    )
    assert (len(small.forget), len(small.retain)) == (len(fruit.forget), 5)
    assert len(small.judged("test")) == len(small.world.pairs("test")) == 6
    assert small.retain.captions == again.retain.captions
    assert (small.retain.positions != other.retain.positions).any()
    assert set(small.retain.positions) <= set(fruit.retain.positions)
    # The description tells of the whole folder, and of what is read of it.
    told = small.describe()
    assert told["forget_pairs"] == told["read_pairs"]["forget"] == len(fruit.forget)
    assert told["read_pairs"]["retain"] == 5 and told["judged_pairs"] == 3


def test_captions_that_only_name_are_no_negatives_of_their_like(tmp_path: Path) -> None:
    from PIL import Image

    for number, name in enumerate(("cat", "dog", "fox") * 12):
        for part, offset in (("train", 0), ("test", 100)):
            path = tmp_path / part / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (9, 9), (number + offset, 7, 3)).save(path)
    task = folder_task(tmp_path, "cat")
    assert {len(shown) for shown in task.retain.concepts} == {1}
    plan = plan_batches(task.retain.concepts, steps=20, batch=2, seed=0)
    for rows in plan:
        assert len({task.retain.captions[i] for i in rows}) == 2


def photos(folder: Path, rule: str, **spec) -> FolderTask:
    """Eight cats and eight dogs, six in train and one in each other split; some to forget."""
    rows = ["image,caption,concept,split"]
    for i in range(16):
        Image.new("RGB", (9, 9), (9 * i, 7, 7)).save(folder / f"{i}.png")
        thing = ("cat", "dog")[i % 2]
        split = {12: "validation", 13: "validation", 14: "test", 15: "test"}.get(i, "train")
        rows.append(f"{i}.png,a {thing} number {i},{thing},{split}")
    (folder / "pairs.csv").write_text("\n".join(rows))
    return folder_task(folder, rule, **spec)


def test_listed_pictures_are_forgotten_whatever_their_split(tmp_path: Path) -> None:
    """Three of them, one in each split: all are read to forget, and judged on in every split."""
    (tmp_path / "list.txt").write_text("0.png\n12.png\n14.png\n")
    task = photos(tmp_path, f"files={tmp_path / 'list.txt'}")
    assert not task.named and len(task.forgotten) == 3
    asked = ["a cat number 0", "a cat number 12", "a cat number 14"]
    assert list(task.forget.captions) == asked
    for split, kept in (("train", 11), ("validation", 1), ("test", 1)):
        judged = task.judged(split)
        assert list(judged.where(task.touches).captions) == asked
        assert len(judged) == 3 + kept
    assert task.describe()["forget_languages"] == []


def test_whom_the_asked_are_told_from(tmp_path: Path) -> None:
    """Pictures: from held-out ones of the same concept; a thing: from its own held-out ones."""
    (tmp_path / "list.txt").write_text("0.png\n2.png\n12.png\n")
    pictures = photos(tmp_path, f"files={tmp_path / 'list.txt'}")
    members, others = pictures.members("test")
    assert len(members) == 3 and others.captions == ("a cat number 14",)
    trained = FolderTask(pictures.world, trained=True)
    assert trained.members("test")[0].captions == ("a cat number 0", "a cat number 2")
    members, others = folder_task(tmp_path, "cat").members("test")
    assert len(members) == 6 and others.captions == ("a cat number 14",)


def test_things_of_one_split_are_not_told_from_others(tmp_path: Path) -> None:
    """A copy below another name is forgotten too; no draw of it alone has an AUC."""
    photos(tmp_path, "cat")
    shutil.copy(tmp_path / "0.png", tmp_path / "z.png")
    with (tmp_path / "pairs.csv").open("a") as table:
        table.write("\nz.png,lunch,dog,train")
    task = folder_task(tmp_path, "cat")
    assert "lunch" in task.forget.captions
    members, others = task.members("test")
    assert len(members) == 6 and "lunch" not in members.captions
    assert others.captions == ("a cat number 14",)


def test_a_whole_concept_in_a_list_is_still_a_list_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("".join(f"{i}.png\n" for i in range(0, 16, 2)))
    task = photos(tmp_path, f"files={tmp_path / 'list.txt'}")
    assert not task.named
    assert [task.world.concept(i).name for i in task.retained] == ["dog"]
    assert folder_task(tmp_path, "cat").named


def test_a_benchmark_forgets_in_train_and_judges_elsewhere(tmp_path: Path) -> None:
    task = photos(tmp_path, "word=cat", forget_split="train")
    assert task.named and len(task.forget) == 6
    members, unseen = task.members("test")
    assert len(members) == 6 and unseen.captions == ("a cat number 14",)
    assert task.judged("test").captions == ("a cat number 14", "a dog number 15")


def test_pictures_are_decoded_however_they_are_indexed(fruit) -> None:
    images = fruit.retain.images
    whole = images[:]
    assert whole.dtype == torch.uint8 and tuple(whole.shape[1:]) == (3, SIZE, SIZE)
    rows = np.array([4, 0, 4])
    assert torch.equal(images[rows], whole[rows])
    assert torch.equal(images[torch.from_numpy(rows)], whole[rows])
    assert torch.equal(images[2], whole[2]) and torch.equal(images[1:3], whole[1:3])
    assert len(images.take(rows)) == 3 and torch.equal(images.take(rows)[0], whole[4])


def test_a_split_without_what_it_needs_is_refused(own_folder: Path, fruit) -> None:
    source = read_folder(own_folder, progress=False)
    source = source.where(source.split.codes == 0)
    request = ask(source, fruit.world.request.text)
    world = FolderWorld(FolderSpec(str(own_folder)), source, request, SIZE)
    with pytest.raises(UsageError, match="the test split has no pair to retain"):
        FolderTask(world)
    with pytest.raises(UsageError, match="unknown split"):
        fruit.world.pairs("dev")


def test_a_picture_is_retrieved_once_however_many_captions_it_has(tmp_path: Path) -> None:
    """With a second row of its own it would be its own rival, and a tie counts against it."""
    rows = ["image,caption,split"]
    for split, shade in (("train", 0), ("test", 100)):
        for i in range(4):
            name = f"{split}{i}.png"
            Image.new("RGB", (9, 9), (shade + 9 * i, 7, 7)).save(tmp_path / name)
            thing = "cat" if i < 2 else "dog"
            rows += [f"{name},a {thing} {i} told {n},{split}" for n in range(3)]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    task = folder_task(tmp_path, "word=cat")
    pairs = task.world.pairs("test")
    assert len(pairs) == 12
    assert pairs.scenes.captions == tuple(
        f"a {thing} {i} told 0" for i, thing in enumerate(("cat", "cat", "dog", "dog"))
    )
    assert len(set(pairs.scenes.concepts)) == 4


# A folder that is trained on: the same, with requests of every kind, and copies in it.

THINGS = ("cat", "dog", "boat")


@dataclass(frozen=True)
class Own:
    """A row of a folder: the colour of its picture, its file, its words and its split."""

    colour: int
    file: str
    caption: str
    concept: str
    split: str


@st.composite
def own_folders(draw: st.DrawFn) -> list[Own]:
    """Rows with copies of pictures: byte by byte as PNG, and of the same pixels as BMP."""
    rows = []
    for number in range(draw(st.integers(12, 24))):
        colour = draw(st.integers(0, number))  # an earlier one is a copy
        thing = draw(st.sampled_from(THINGS))
        caption = draw(st.sampled_from([thing, f"a {thing} in the sun", "somewhere in the sun"]))
        ending = draw(st.sampled_from(["png", "bmp"]))
        split = draw(st.sampled_from(["train", "train", "validation", "test"]))
        rows.append(Own(colour, f"{number:02d}.{ending}", caption, thing, split))
    return rows


def written(folder: Path, rows: list[Own]) -> Path:
    for row in rows:
        Image.new("RGB", (40, 40), (row.colour * 9, 80, 200)).save(folder / row.file)
    # All rows of a picture are in one split: that of the first.
    first = {row.colour: row.split for row in reversed(rows)}
    with (folder / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "caption", "concept", "split"])
        table.writerows((r.file, r.caption, r.concept, first[r.colour]) for r in rows)
    return folder


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=own_folders(), kind=st.sampled_from(["concept", "word", "files"]), data=st.data())
def test_no_oracle_of_a_folder_is_trained_on_what_was_asked_for(
    rows: list[Own], kind: str, data: st.DataObject
) -> None:
    thing = data.draw(st.sampled_from(THINGS))
    listed = data.draw(st.lists(st.sampled_from([r.file for r in rows]), min_size=1, max_size=3))
    asked = {
        "concept": [r for r in rows if r.concept == thing],
        "word": [r for r in rows if thing in r.caption.split()],
        "files": [r for r in rows if r.file in listed],
    }[kind]
    gone = {row.colour for row in asked}  # with every copy
    splits = {row.colour: row.split for row in reversed(rows)}
    kept = {colour: split for colour, split in splits.items() if colour not in gone}
    assume(asked and {"train", "test"} <= set(kept.values()))
    with TemporaryDirectory() as place, trainings(Path(place) / "cache") as found:
        folder = Path(place) / "own"
        folder.mkdir()
        written(folder, rows)
        (folder / "list.txt").write_text("\n".join(listed))
        rule = {"concept": thing, "word": f"word={thing}", "files": f"files={folder / 'list.txt'}"}
        experiment = erasekit.load(
            data=f"folder:{folder}", train=True, forget=rule[kind], progress=False
        )
        # Without a training, what is loaded is the folder's path.
        folders: Any = [experiment.original_folder, *experiment.oracles(2)]
        original, *oracles = found
        recipes = [json.loads((f / "manifest.json").read_text())["recipe"] for f in folders]
        colours = [
            [round(int(image[0, 0, 0]) / 9) for image in training.pairs.images[:]]
            for training in found
        ]
    assert [t.label for t in found] == ["training the original", *["training the oracle"] * 2]
    assert len({training.folder for training in found}) == 3
    # The cache keeps no word of a picture that was asked for.
    assert all(recipe["without"] == [] for recipe in recipes)
    train = [i for i, row in enumerate(rows) if splits[row.colour] == "train"]
    assert original.pairs.positions.tolist() == train
    for training, shown in zip(oracles, colours[1:], strict=True):
        assert gone.isdisjoint(shown)
        assert training.pairs.positions.tolist() == [i for i in train if rows[i].colour in kept]
        if kind == "concept":
            assert all(rows[i].concept != thing for i in training.pairs.positions)
        if kind == "word":
            assert not any(thing in caption.split() for caption in training.pairs.captions)


def test_an_original_of_a_folder_is_trained_once_whatever_is_asked_for(
    own_folder: Path, fruit: FolderTask, tmp_path: Path
) -> None:
    asked = {"data": f"folder:{own_folder}", "train": True, "progress": False}
    with trainings(tmp_path) as found:
        made = [
            erasekit.load(forget=rule, **asked)
            for rule in (fruit.world.request.text, "word=picture")
        ]
        assert len({experiment.original_folder for experiment in made}) == 1
        assert len({experiment.oracle_folder for experiment in made}) == 2
        larger = erasekit.load(forget=fruit.world.request.text, image_size=64, **asked)
        assert larger.original_folder != made[0].original_folder
    assert len(found) == 4


def test_a_folder_is_trained_on_erased_from_and_judged_by_its_oracle(
    own_folder: Path, fruit: FolderTask, tiny: dict
) -> None:
    drawn = ("concepts", "pictures", "scenes", "held_out_pictures")
    given = {name: value for name, value in tiny.items() if name not in drawn}
    own = {
        "data": f"folder:{own_folder}",
        "forget": fruit.world.request.text,
        "templates": "a picture of {}|{}",
    }
    experiment = erasekit.load("smoke", progress=False, train=True, image_size=32, **own, **given)
    assert experiment.has_oracle
    erased = experiment.erase()
    card = experiment.evaluate({"erased": erased, "control": experiment.control()})
    assert card.models == ["original", "erased", "control", "oracle"]
    assert experiment.original.model.visual.image_size in (32, (32, 32))
    asked = [experiment.world.concept(i).name for i in experiment.world.trained]
    assert len(set(map(tuple, experiment.original.tokenizer(asked).tolist()))) == len(asked)

    tests = ["composition_leaks", "domain_shift", "probes", "membership", "over_forgetting"]
    audit = experiment.audit(erased.model, tests=tests, oracles=1)
    measured = {(row.test, row.condition) for row in audit.rows}
    assert {("composition_leaks", "mirrored"), ("domain_shift", "blurred")} <= measured
    assert not {("composition_leaks", "outlined"), ("domain_shift", "white")} & measured
    told = {report.name: " ".join(report.notes) for report in audit.tests}
    assert all("drawn" in told[name] for name in tests[:2])
    assert len(audit_figures(audit)) >= len(tests) - 1
