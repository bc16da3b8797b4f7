"""The erasure task: the forget and retain sets, and what stands between them."""

from __future__ import annotations

import pytest
import torch

from erasekit.data.data_spec import WorldSpec
from erasekit.data.drawn.world import World
from erasekit.data.task import ErasureTask
from erasekit.errors import UsageError


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldSpec(concepts=12, pictures=8, scenes=10, held_out_pictures=3))


def test_forget_and_retain_share_the_training_list_between_them(world: World) -> None:
    task = ErasureTask(world, "fruit")
    everything = {*task.forget.positions.tolist(), *task.retain.positions.tolist()}
    assert everything == set(range(len(world.pairs("train"))))
    assert len(task.forget) + len(task.retain) == len(everything)


def test_no_forgotten_concept_is_retained_in_any_language_or_scene(world: World) -> None:
    task = ErasureTask(world, "fruit")
    fruit = {c.index for c in world.concepts if c.group == "fruit"}
    assert set(task.forgotten) == fruit
    assert all(fruit.isdisjoint(c) for c in task.retain.concepts)
    assert all(fruit & set(c) for c in task.forget.concepts)
    assert any(len(c) > 1 for c in task.forget.concepts)
    names = [name for c in task.forgotten_concepts for name in (c.name, *c.names.values())]
    told = " | ".join(task.retain.captions).lower()
    assert not [name for name in names if len(name) > 3 and name.lower() in told]


def test_one_language_leaves_the_others_out_of_both_sets(world: World) -> None:
    everything, japanese = ErasureTask(world, "fruit"), ErasureTask(world, "fruit", ["ja"])
    assert set(japanese.forget.languages) == {"ja"}
    assert len(japanese.forget) == everything.forget.languages.count("ja")
    assert list(japanese.retain.positions) == list(everything.retain.positions)


def test_the_pairs_keep_their_pictures(world: World) -> None:
    task = ErasureTask(world, "fruit")
    whole = world.pairs("train")
    assert torch.equal(task.retain.images, whole.images[torch.from_numpy(task.retain.positions)])
    first = int(task.forget.positions[0])
    assert task.forget.captions[0] == whole.captions[first]
    assert world.captions_in(task.forget, "train", "en")[0] == world.caption(
        world.sample("train", first), "en"
    )


def test_a_task_describes_itself(world: World) -> None:
    said = ErasureTask(world, "red apple", ["en"]).describe()
    assert said["forget"] == ["red apple"]
    assert said["forget_languages"] == ["en"]
    assert said["forget_pairs"] + said["retain_pairs"] < len(world.pairs("train"))
    assert said["world"]["concepts"] == 12


def test_forgetting_almost_everything_is_refused(world: World) -> None:
    names = [world.concept(i).name for i in world.trained]
    ErasureTask(world, names[4:])
    for forget, left in ((names[3:], 3), (names, 0)):
        with pytest.raises(UsageError, match=f"leaves {left} of 12 concepts"):
            ErasureTask(world, forget)


def test_what_is_not_in_the_world_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match="unknown concept or group 'guitar'"):
        ErasureTask(world, "guitar")  # a holdout concept: there is nothing to forget
    with pytest.raises(UsageError, match="forget language 'ko' is not in this world"):
        ErasureTask(world, "fruit", ["ko"])


def test_an_empty_forget_set_is_refused() -> None:
    world = World(WorldSpec(concepts=8, pictures=1, scenes=0, held_out_pictures=3))
    name, language = next(
        (world.concept(s.concepts[0]).name, code)
        for s in world.samples("train")
        for code in ("ja", "ru", "ar")
        if s.language != code
    )
    with pytest.raises(UsageError, match="the forget set is empty"):
        _ = ErasureTask(world, name, [language]).forget


def test_what_earlier_requests_took_is_in_neither_set(world: World) -> None:
    task = ErasureTask(world, "banana", gone=["bird", "banana"])
    first = ErasureTask(world, "bird")
    assert set(task.gone) == set(first.forgotten)
    assert not set(task.retained) & {*task.gone, *task.forgotten}
    assert len(task.retained) + len(task.gone) + len(task.forgotten) == len(world.trained)
    shown = {i for concepts in task.retain.concepts for i in concepts}
    assert shown == set(task.retained)
    assert all(task.touches(concepts) for concepts in task.forget.concepts)
    assert task.describe()["gone"] == [world.concept(i).name for i in first.forgotten]
    assert "gone" not in first.describe()
    with pytest.raises(UsageError, match="unknown concept or group 'brid'"):
        ErasureTask(world, "banana", gone=["brid"])


def test_a_forget_set_of_scenes_leaves_the_singles_out_of_both_sets(world: World) -> None:
    whole, scenes = ErasureTask(world, "bird"), ErasureTask(world, "bird", scenes_only=True)
    assert list(scenes.forget.captions) == list(whole.forget.scenes.captions)
    assert len(scenes.forget) < len(whole.forget)
    assert list(scenes.retain.captions) == list(whole.retain.captions)
    assert scenes.describe()["scenes_only"] is True
