"""Language leaks, on models whose every answer is written down beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest
import torch
from torch import Tensor

from erasekit.audit.attacks.language_leaks import language_leaks
from erasekit.data.data_spec import WorldSpec
from erasekit.data.drawn.captions import prompts
from erasekit.data.drawn.world import World
from erasekit.data.task import ErasureTask


class Scripted:
    """A model that reads a language or does not, concept by concept.

    A picture's feature is its concept's own axis. A name that it knows has that axis too;
    one that it does not know points away from it, so that it is never the nearest.

    Args:
        unknown: language and concept of each name that it does not know.
        mistaken: how many of a concept's pictures it takes for the last trained one.
    """

    def __init__(
        self,
        world: World,
        unknown: Iterable[tuple[str, int]] = (),
        mistaken: Mapping[int, int] | None = None,
    ) -> None:
        axes = torch.eye(len(world.concepts))
        singles = world.pairs("test").singles
        self.pictures: dict[bytes, Tensor] = {}
        left = dict(mistaken or {})
        for image, label in zip(singles.images, singles.labels().tolist(), strict=True):
            right = left.get(label, 0) <= 0
            left[label] = left.get(label, 0) - 1
            self.pictures[image.numpy().tobytes()] = axes[label if right else world.trained[-1]]
        without = set(unknown)
        self.texts = {
            text: -axes[concept.index]
            if (language, concept.index) in without
            else axes[concept.index]
            for language in world.spec.languages
            for concept in world.concepts
            for text in prompts(concept, language)
        }

    def encode_images(self, images: Tensor) -> Tensor:
        return torch.stack([self.pictures[image.numpy().tobytes()] for image in images])

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([self.texts[text] for text in texts])


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldSpec(concepts=8, pictures=1, scenes=4, held_out_pictures=4))


@pytest.fixture(scope="module")
def task(world: World) -> ErasureTask:
    return ErasureTask(world, "fruit", ["en", "ja"])


def values(result, model: str) -> dict[str, float]:
    return {m.condition: m.estimate.value for m in result.measures if m.model == model}


def test_a_language_that_was_forgotten_in_part_shows_its_share(world, task) -> None:
    gone = [("en", i) for i in task.forgotten] + [("ru", task.forgotten[0])]
    models = {
        "original": Scripted(world),
        "erased": Scripted(world, gone),
        "oracle": Scripted(
            world, [(code, i) for code in world.spec.languages for i in task.forgotten]
        ),
    }
    result = language_leaks(models, task, draws=20)
    kept = 1 - 1 / len(task.forgotten)
    assert values(result, "original") == dict.fromkeys(world.spec.languages, 1.0)
    assert values(result, "erased") == {"en": 0.0, "ja": 1.0, "ru": kept, "ar": 1.0}
    assert values(result, "oracle") == dict.fromkeys(world.spec.languages, 0.0)
    assert {m.chance for m in result.measures} == {1 / len(world.trained)}
    assert result.notes == ["The forget set is in en, ja."]
    records = [r for r in result.details if r["model"] == "erased"]
    assert len(records) == len(task.forgotten) * len(world.spec.languages)
    assert {r["language"] for r in records if r["in_forget_set"]} == {"en", "ja"}
    apple = world.concept(task.forgotten[0]).name
    row = next(r for r in records if (r["concept"], r["language"]) == (apple, "ru"))
    assert (row["top1"], row["known"]) == (0.0, 1.0)


def test_only_pictures_that_the_original_names_right_count(world, task) -> None:
    first, second = task.forgotten[:2]
    unknown = [("ja", i) for i in task.forgotten]
    original = Scripted(world, unknown, mistaken={first: 1, second: 3})
    result = language_leaks({"original": original, "erased": Scripted(world)}, task, draws=20)
    others = len(task.forgotten) - 2
    n = {m.condition: m.estimate.n for m in result.measures if m.model == "erased"}
    assert n == dict.fromkeys(("en", "ru", "ar"), 3 + 4 * others)
    assert any("in ja" in note for note in result.notes)
    known = {
        (r["concept"], r["language"]): (r["known"], r["top1"])
        for r in result.details
        if r["model"] == "erased"
    }
    names = [world.concept(i).name for i in (first, second)]
    assert known[names[0], "en"] == (0.75, 1.0)
    assert known[names[1], "en"] == (0.25, None)
    assert known[world.concept(task.forgotten[2]).name, "ja"] == (0.0, None)


@pytest.fixture(scope="module")
def romance() -> World:
    spec = WorldSpec(
        concepts=8, pictures=1, scenes=4, held_out_pictures=3, languages=("en", "it", "pt", "ru")
    )
    return World(spec)


@pytest.mark.parametrize(
    ("forget_languages", "left_out"),
    [
        (["en"], {"it", "pt"}),
        (["it"], {"en", "pt"}),
        (["ru"], {"it", "pt"}),
        (["en", "it", "pt", "ru"], set()),
    ],
)
def test_a_name_that_the_forget_set_or_english_shares_is_left_out(
    romance, forget_languages, left_out
) -> None:
    assert {romance.concept(1).names[code] for code in ("en", "it", "pt")} == {"banana"}
    task = ErasureTask(romance, "fruit", forget_languages)
    result = language_leaks({"original": Scripted(romance)}, task, draws=20)
    n = {m.condition: m.estimate.n for m in result.measures}
    for language in romance.spec.languages:
        kept = len(task.forgotten) - (language in left_out)
        assert n[language] == 3 * kept
        named = any(f"Left out in {language}" in note and "banana" in note for note in result.notes)
        assert named == (language in left_out)
    empty = {
        r["language"] for r in result.details if r["concept"] == "banana" and r["known"] is None
    }
    assert empty == left_out


@pytest.mark.slow
def test_the_original_knows_each_language_and_the_oracle_none(
    smoke_experiment, smoke_erasure
) -> None:
    models = {
        "original": smoke_experiment.original,
        "erased": smoke_erasure.model,
        "oracle": smoke_experiment.oracle,
    }
    result = language_leaks(models, smoke_experiment.task, draws=50)
    assert len(values(result, "oracle")) >= 2
    assert set(values(result, "original").values()) == {1.0}
    assert max(values(result, "oracle").values()) < 0.3
    assert max(values(result, "erased").values()) < 0.3
