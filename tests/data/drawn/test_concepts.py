"""Concepts: names, groups, attributes, and how many there are."""

from __future__ import annotations

from collections import Counter

import pytest

from erasekit.data.drawn.concepts import (
    HOLDOUT_GROUPS,
    count_available,
    curated,
    drawing_path,
    match_concepts,
    select_concepts,
)
from erasekit.errors import UsageError


def test_the_default_world_is_as_large_as_promised() -> None:
    trained = [c for c in curated() if not c.holdout]
    holdout = {c.group for c in curated() if c.holdout}
    assert 60 <= len(trained) <= 70
    assert len({c.group for c in trained}) >= 12
    assert holdout == set(HOLDOUT_GROUPS)
    assert len(holdout) >= 2


def test_every_curated_concept_is_drawn_described_and_named() -> None:
    for concept in curated():
        assert drawing_path(concept.emoji) is not None, concept.name
        assert len(concept.descriptions) == 2
        assert all(concept.descriptions)
        assert {"en", "ja", "ru", "ar"} <= set(concept.names), concept.name
        # A description that holds the name would let a model read the answer.
        assert not any(concept.name in text for text in concept.descriptions), concept.name


@pytest.mark.parametrize("language", ["en", "ja", "ru", "ar"])
def test_no_two_curated_concepts_share_a_name(language: str) -> None:
    counted = Counter(c.names[language] for c in curated())
    assert [name for name, n in counted.items() if n > 1] == []


@pytest.mark.parametrize("number", [8, 12, 16, 40, 65, 66, 1000])
def test_a_world_can_be_any_size(number: int) -> None:
    concepts = select_concepts(number)
    trained = [c for c in concepts if not c.holdout]
    assert len(trained) == number
    assert [c.index for c in concepts] == list(range(len(concepts)))
    assert len({c.group for c in trained}) >= 2
    assert len({c.emoji for c in concepts}) == len(concepts)
    assert len({c.name for c in concepts}) == len(concepts)
    assert {c.group for c in concepts if c.holdout} == set(HOLDOUT_GROUPS)


def test_a_dozen_is_several_groups() -> None:
    trained = [c for c in select_concepts(12) if not c.holdout]
    assert set(Counter(c.group for c in trained).values()) == {4}


def test_thousands_of_drawings_have_a_name() -> None:
    assert count_available() > 1000
    assert len(select_concepts(count_available())) == count_available() + 8


@pytest.mark.parametrize("number", [7, 0, -1, 10_000])
def test_an_impossible_size_is_refused(number: int) -> None:
    with pytest.raises(UsageError, match=f"concepts = {number}"):
        select_concepts(number)


def test_a_world_can_be_chosen_by_name() -> None:
    trained = [c for c in select_concepts(["fruit", "bird"]) if not c.holdout]
    assert {c.group for c in trained} == {"fruit", "bird"}
    with pytest.raises(UsageError, match="at least 8"):
        select_concepts(["fruit"])


@pytest.mark.parametrize(
    ("forget", "names"),
    [
        ("red apple", {"red apple"}),
        ("Red_Apple", {"red apple"}),
        ("🍎", {"red apple"}),
        ("red apple, banana", {"red apple", "banana"}),
        (["grapes", "banana"], {"grapes", "banana"}),
    ],
)
def test_forget_takes_names_in_any_dress(forget: str | list[str], names: set[str]) -> None:
    concepts = curated()
    assert {concepts[i].name for i in match_concepts(concepts, forget)} == names


def test_forget_takes_a_group_and_an_attribute() -> None:
    concepts = curated()
    group = match_concepts(concepts, "sea animal")
    assert group == [c.index for c in concepts if c.group == "sea-animal"]
    red = match_concepts(concepts, "colour=red")
    assert red == [c.index for c in concepts if c.attributes["colour"] == "red"]
    assert len(red) > 1
    assert match_concepts(concepts, "colour=red,fruit") == sorted(
        {*red, *match_concepts(concepts, "fruit")}
    )


@pytest.mark.parametrize(
    ("forget", "nearest"),
    [("friut", "fruit"), ("red aple", "red apple"), ("colour=rde", "colour=red")],
)
def test_a_misspelt_name_gets_the_nearest(forget: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean '{nearest}'"):
        match_concepts(curated(), forget)


@pytest.mark.parametrize("forget", ["", " , ", []])
def test_forgetting_nothing_is_refused(forget: str | list[str]) -> None:
    with pytest.raises(UsageError, match="forget is empty"):
        match_concepts(curated(), forget)
