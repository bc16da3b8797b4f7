"""CLEAR, on small files of its published format."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_mllm_benchmarks import (
    BLUE,
    GREEN,
    MIXED,
    PERTURBED,
    RED,
    perturbed,
    shown,
    write,
    write_clear,
)

from erasekit.data.published.clear import CAPTION_QUESTION, CLEAR, NAME_QUESTION, read_clear
from erasekit.data.question_list import Question
from erasekit.errors import RunError


@pytest.mark.parametrize("subset", CLEAR.subsets)
def test_every_subset_of_clear_is_read(tmp_path: Path, subset: str) -> None:
    write_clear(tmp_path)
    found = read_clear(tmp_path, subset)
    bo = ("Bo Sample",)
    caption = Question(CAPTION_QUESTION, "Bo Sample reads by a lamp.", "caption", bo, 0)
    if subset.endswith("+tofu"):
        assert found.items == (
            caption,
            Question("Who wrote it?", "By Bo Sample.", "question", bo),
            Question("And when?", "In May.", "question", ()),
        )
        assert shown(found) == [GREEN, None, None]
    elif subset.endswith("_perturbed"):
        wrong = ("Bo Sample cooks.", "Bo Sample reads by a lamp.", "Bo Sample swims.")
        others = ("Bo Sample cooks.", "Bo Sample swims.", "By a lamp, Bo Sample reads.")
        names = ("Al Instance", "Bo Sample", "Cy Instance")
        assert found.items == (
            Question(CAPTION_QUESTION, wrong[1], "caption", bo, 0, wrong),
            Question(CAPTION_QUESTION, others[2], "paraphrase", bo, 0, others),
            Question(NAME_QUESTION, "Bo Sample", "name", bo, 0, names),
        )
        assert shown(found) == [BLUE] * 3 and len(found.images) == 1
    elif subset == "real_faces":
        names = ("Bi Known", "Di Known", "Em Known")
        assert found.items == (Question(NAME_QUESTION, names[1], "name", names[1:2], 0, names),)
        assert shown(found) == [RED]
    elif subset == "real_world":
        assert found.items == (
            Question("Which is it?", "a lamp", "question", (), 0, ("a bee", "a lamp", "a tub")),
            Question("Is ice cold?", "yes", "question", (), None, ("no", "yes")),
        )
        assert shown(found) == [BLUE, None]
    else:
        assert found.items == (caption, Question(NAME_QUESTION, bo[0], "name", bo, 0))
        assert shown(found) == [GREEN, GREEN]


def test_questions_in_words_have_no_names_where_no_folder_tells_them(tmp_path: Path) -> None:
    write_clear(tmp_path)
    (tmp_path / "forget05").rename(tmp_path / "aside")
    assert read_clear(tmp_path, "forget05+tofu").items[0].about == ("Bo Sample",)
    (tmp_path / "forget05_perturbed").rename(tmp_path / "aside too")
    assert {q.about for q in read_clear(tmp_path, "forget05+tofu")} == {()}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"image": None}, "no bytes of a picture"),
        ({"caption": ""}, "'caption' is empty"),
        ({"name": None}, "'name' is empty"),
        ({"paraphrased_caption": None}, "'paraphrased_caption' is empty"),
        ({"perturbed_captions": None}, "perturbed_captions has an empty answer"),
        ({"perturbed_names": ["Al Instance", ""]}, "perturbed_names has an empty answer"),
    ],
)
def test_a_bad_row_of_clear_is_named(tmp_path: Path, other: dict, said: str) -> None:
    file = write(tmp_path / "retain_perturbed", [perturbed(), perturbed(**other)], PERTURBED)
    with pytest.raises(RunError) as caught:
        read_clear(tmp_path, "retain_perturbed")
    assert str(caught.value).startswith(f"{file}, row 1: ") and said in str(caught.value)


def test_a_row_of_words_must_have_an_answer(tmp_path: Path) -> None:
    row = {"image": None, "caption": None, "question": "Q?", "answer": None}
    write(tmp_path / "full+tofu", [row], MIXED)
    with pytest.raises(RunError, match=r"row 0: 'answer' is empty"):
        read_clear(tmp_path, "full+tofu")
