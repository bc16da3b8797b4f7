"""MLLMU-Bench, on small files of its published format."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from support_mllm_benchmarks import (
    BLUE,
    CHOOSING,
    GREEN,
    IMAGE,
    PERSON,
    RED,
    TEXT,
    chosen,
    person,
    picture,
    shown,
    told,
    write,
)

from erasekit.data.published.mllmu import MLLMU, read_mllmu_bench
from erasekit.data.question_list import Question
from erasekit.errors import RunError


@pytest.mark.parametrize("subset", [each for each in MLLMU.subsets if each != "Test_Set"])
def test_every_field_of_mllmu_bench_is_read(tmp_path: Path, subset: str) -> None:
    # The full and the real set have a further column, which is not read.
    schema = {**PERSON, "Directory": TEXT} if subset.endswith("_Set") else PERSON
    write(tmp_path / subset, [person()], schema)
    found = read_mllmu_bench(tmp_path, subset)
    who = ("007",)
    assert found.items == (
        Question("What does she do?", "bakes", "classification", who, 0, ("a", "b", "bakes", "d")),
        Question(
            "What does Ada do?", "bakes", "classification", who, None, ("bakes", "x", "y", "z")
        ),
        Question("Tell me of her.", "She bakes bread.", "generation", who, 0),
        Question("Tell me of Ada.", "Ada bakes bread.", "generation", who),
        Question("She bakes __.", "bread", "cloze", who, 0),
        Question("Ada Example bakes __.", "bread", "cloze", who),
    )
    assert len(found.images) == 1
    assert found.images[0].mode == "RGB" and found.images[0].size == (3, 2)
    assert shown(found) == [RED, None, RED, None, RED, None]
    assert len(found.visual) == len(found.textual) == 3


def test_a_test_set_shows_its_several_pictures_in_turn_and_spans_files(tmp_path: Path) -> None:
    schema = {("images" if k == "image" else k): v for k, v in PERSON.items()}
    schema["images"] = pa.list_(IMAGE)
    for number, colours in enumerate([(RED, GREEN), (BLUE,)]):
        row = person(f"00{number}", images=[picture(colour) for colour in colours])
        del row["image"]
        write(tmp_path / "Test_Set", [row], schema, f"train-0000{number}-of-00002.parquet")
    found = read_mllmu_bench(tmp_path, "Test_Set")
    assert [q.about for q in found] == [("000",)] * 6 + [("001",)] * 6
    assert shown(found.visual) == [RED, GREEN, RED, BLUE, BLUE, BLUE]
    only = read_mllmu_bench(tmp_path, "Test_Set", people={"001"})
    assert {q.about for q in only} == {("001",)} and len(only.images) == 1


def test_texts_pass_through_unchanged(tmp_path: Path) -> None:
    odd = "  Is “<image>” {so} __ [Blank]\n\t是 naïve\u00a0? "
    row = person(
        Classification_Task={
            "Image_Textual_Questions": [chosen(odd, "B", "x ", odd, " y", None)],
            "Pure_Text_Questions": [],
        },
        Generation_Task=[told("Pure_Text", odd, odd)],
        Mask_Task=None,
    )
    write(tmp_path / "forget_5", [row], PERSON)
    choosing, telling = read_mllmu_bench(tmp_path, "forget_5").items
    assert choosing.text == choosing.answer == telling.text == telling.answer == odd
    assert choosing.choices == ("x ", odd, " y")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"ID": None}, "'ID' is empty"),
        ({"image": None}, "a question about a picture, and there is none"),
        ({"image": {"bytes": None, "path": "/etc/passwd"}}, "no bytes of a picture"),
        ({"image": {"bytes": b"", "path": None}}, "no bytes of a picture"),
        ({"image": {"bytes": b"%!PS-Adobe", "path": None}}, "the picture cannot be read: "),
        ({"Generation_Task": [told("Pure_Text", "Q?", "")]}, "'Ground_Truth' is empty"),
        ({"Mask_Task": [told("Pure_Text", "Q?", None)]}, "'Ground_Truth' is empty"),
        ({"Mask_Task": [told("Pure_Text", " ", "a")]}, "'Question' is empty"),
        (
            {"Mask_Task": [told("Sound", "Q?", "a")]},
            "Mask_Task has the Type 'Sound', not Image_Textual or Pure_Text",
        ),
        (
            {
                "Classification_Task": {
                    "Image_Textual_Questions": [chosen("Q?", "D", "a", "b", "c", None)],
                    "Pure_Text_Questions": [],
                }
            },
            "the Correct_Answer 'D' is none of A, B, C",
        ),
        (
            {
                "Classification_Task": {
                    "Image_Textual_Questions": None,
                    "Pure_Text_Questions": [
                        {"Question": "Q?", "Options": None, "Correct_Answer": "A"}
                    ],
                }
            },
            "Options are not the answers A to D",
        ),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, other: dict, said: str) -> None:
    file = write(tmp_path / "forget_5", [person("1"), person("2") | other], PERSON)
    with pytest.raises(RunError) as caught:
        read_mllmu_bench(tmp_path, "forget_5")
    assert str(caught.value).startswith(f"{file}, row 1: ")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_column_or_field_is_named(tmp_path: Path) -> None:
    schema = {k: v for k, v in PERSON.items() if k != "Mask_Task"}
    file = write(tmp_path / "forget_5", [person()], schema)
    with pytest.raises(RunError, match="has no column 'Mask_Task'; it has image, ID, biography"):
        read_mllmu_bench(tmp_path, "forget_5")
    task = pa.struct([("Image_Textual_Questions", CHOOSING)])
    write(tmp_path / "forget_5", [person()], {**PERSON, "Classification_Task": task})
    with pytest.raises(RunError) as caught:
        read_mllmu_bench(tmp_path, "forget_5")
    assert str(caught.value) == f"{file}, row 0: there is no field 'Pure_Text_Questions'"
