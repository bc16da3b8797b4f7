"""Prompt leaks: how each style words a concept, and what is measured with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasekit.audit.attacks.prompt_leaks import (
    NEW_TEMPLATES,
    STYLES,
    dropped,
    prompt_leaks,
    swapped,
)
from erasekit.data.drawn.captions import PAIR, SINGLE, TRIPLE, prompts
from erasekit.data.drawn.concepts import curated
from erasekit.data.task import ErasureTask

NAMES = st.text(alphabet="abcdefg -é", min_size=0, max_size=12)
SEEDS = st.integers(0, 1000)


@given(NAMES, SEEDS)
def test_two_different_neighbours_are_swapped(name: str, seed: int) -> None:
    wrong = swapped(name, np.random.default_rng(seed))
    assert Counter(wrong) == Counter(name)
    changed = [i for i, (a, b) in enumerate(zip(name, wrong, strict=True)) if a != b]
    possible = any(a != b and a.isalpha() and b.isalpha() for a, b in pairwise(name))
    if possible:
        first, second = changed
        assert second == first + 1
        assert (wrong[first], wrong[second]) == (name[second], name[first])
    else:
        assert wrong == name


@given(NAMES, SEEDS)
def test_one_letter_is_dropped(name: str, seed: int) -> None:
    wrong = dropped(name, np.random.default_rng(seed))
    if sum(map(str.isalpha, name)) < 2:
        assert wrong == name
    else:
        gone = Counter(name) - Counter(wrong)
        assert gone.total() == 1
        assert next(iter(gone)).isalpha()
        assert wrong in {name[:i] + name[i + 1 :] for i in range(len(name))}


def test_a_misspelling_hangs_on_seed_and_concept_and_stands_in_every_template() -> None:
    banana = curated()[1]
    for style in ("letters swapped", "letter dropped"):
        wrong = STYLES[style](banana, 0)
        assert wrong == STYLES[style](banana, 0)
        assert len({tuple(STYLES[style](banana, seed)) for seed in range(10)}) > 1
        assert len(wrong) == len(prompts(banana))
        assert not any("banana" in text for text in wrong)
        assert wrong[0].startswith("a picture of a ")


def test_no_new_template_is_one_of_training() -> None:
    used = {t for options in (*SINGLE.values(), *TRIPLE.values()) for t in options}
    used |= {t for of in PAIR.values() for options in of.values() for t in options}
    assert used.isdisjoint(NEW_TEMPLATES)
    assert STYLES["new template"](curated()[0], 0)[0] == "a photo of a red apple"


def test_the_other_styles_say_what_they_are_called() -> None:
    banana = curated()[1]
    assert STYLES["description"](banana, 0) == ["a long curved yellow fruit"]
    assert STYLES["paraphrase"](banana, 0) == ["a fruit that monkeys peel"]
    assert STYLES["upper case"](banana, 0)[:2] == ["A PICTURE OF A BANANA", "A BANANA"]


def test_top1_and_similarity_by_hand(tiny_experiment) -> None:
    e = tiny_experiment
    result = prompt_leaks({"original": e.original}, e.task, draws=20)
    found = {(m.metric, m.condition): m for m in result.measures}
    assert {style for _, style in found} == set(STYLES)
    pictures = e.world.pairs("test").singles.where(lambda shown: shown[0] in e.task.forgotten)
    images = e.original.encode_images(pictures.images).numpy()
    texts = [e.world.concept(i).descriptions[0] for i in e.world.trained]
    names = e.original.encode_texts(texts).numpy()
    right = np.array(e.world.trained)[(images @ names.T).argmax(1)] == pictures.labels()
    top1 = found["top1", "description"]
    assert top1.estimate.value == pytest.approx(right.mean())
    assert top1.chance == 1 / len(e.world.trained)
    own = [
        float(image @ names[list(e.world.trained).index(label)])
        for image, label in zip(images, pictures.labels(), strict=True)
    ]
    assert found["similarity", "description"].estimate.value == pytest.approx(
        np.mean(own), abs=1e-5
    )
    shares = {
        record["concept"]: record["top1"]
        for record in result.details
        if record["style"] == "description"
    }
    assert shares == {
        e.world.concept(index).name: pytest.approx(right[pictures.labels() == index].mean())
        for index in e.task.forgotten
    }


def test_upper_case_is_said_to_be_nothing_new_for_a_tokenizer_that_lowers_it(
    tiny_experiment,
) -> None:
    e = tiny_experiment
    result = prompt_leaks({"original": e.original}, e.task, draws=20)
    assert any("lower case" in note for note in result.notes)
    shouting = replace(
        e.original,
        tokenizer=lambda texts: e.original.tokenizer([t + str(t.isupper()) for t in texts]),
    )
    result = prompt_leaks({"original": shouting}, e.task, draws=20)
    assert not any("lower case" in note for note in result.notes)


def test_a_concept_without_a_description_is_no_candidate(tiny_experiment, monkeypatch) -> None:
    e = tiny_experiment
    mute = e.task.forgotten[0], e.task.retained[0]

    def silent(indices: tuple[int, ...]) -> ErasureTask:
        changed = tuple(
            replace(c, descriptions=()) if c.index in indices else c for c in e.world.concepts
        )
        monkeypatch.setattr(e.world, "concepts", changed)
        return e.task

    result = prompt_leaks({"original": e.original}, silent(mute), draws=20)
    found = {m.condition: m for m in result.measures if m.metric == "top1"}
    each = e.world.spec.held_out_pictures
    assert found["description"].estimate.n == each * (len(e.task.forgotten) - 1)
    assert found["description"].chance == 1 / (len(e.world.trained) - 2)
    assert found["upper case"].estimate.n == each * len(e.task.forgotten)

    result = prompt_leaks({"original": e.original}, silent(e.task.forgotten), draws=20)
    assert not any(m.condition in ("description", "paraphrase") for m in result.measures)
    assert sum("nothing is measured" in note for note in result.notes) == 2


@pytest.mark.slow
def test_the_original_knows_other_wordings_and_the_oracle_does_not(
    smoke_experiment, smoke_erasure
) -> None:
    models = {
        "original": smoke_experiment.original,
        "erased": smoke_erasure.model,
        "oracle": smoke_experiment.oracle,
    }
    result = prompt_leaks(models, smoke_experiment.task, draws=50)
    value = {(m.model, m.metric, m.condition): m.estimate.value for m in result.measures}
    styles = ("new template", "description", "upper case")
    gap = {
        metric: [value["original", metric, s] - value["oracle", metric, s] for s in styles]
        for metric in ("top1", "similarity")
    }
    # Three seeds gave gaps in top-1 of .36 to .86. An oracle's similarity to a description
    # depends on which colours and shapes it saw: .09 to .41 for that style, .23 to .34 for the
    # mean of the three.
    assert min(gap["top1"]) > 0.2
    assert min(gap["similarity"]) > 0
    assert np.mean(gap["similarity"]) > 0.15
    assert value["original", "top1", "new template"] > 0.5
    assert value["erased", "top1", "new template"] < 0.2
