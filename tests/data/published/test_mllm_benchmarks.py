"""The readers of MLLMU-Bench and CLEAR, on small files of their published format."""

from __future__ import annotations

import io
import pickle
import sys
import types
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from support_mllm_benchmarks import (
    BLUE,
    CHOOSING,
    GREEN,
    IMAGE,
    MIXED,
    PERSON,
    PERTURBED,
    PORTRAIT,
    RED,
    TEXT,
    chosen,
    encoded,
    person,
    perturbed,
    picture,
    told,
    write,
    write_clear,
    write_person,
)

from erasekit.data import picture_files
from erasekit.data.published.mllm_benchmarks import (
    CAPTION_QUESTION,
    CLEAR_SUBSETS,
    MLLMU_SUBSETS,
    NAME_QUESTION,
    mllmu_people,
    read_benchmark,
    read_clear,
    read_mllmu_bench,
)
from erasekit.data.question_list import Question, Questions
from erasekit.errors import RunError, UsageError


def shown(questions: Questions) -> list[tuple[int, ...] | None]:
    """The colour of each question's picture."""
    return [
        None if q.image is None else questions.images[q.image].getpixel((1, 1)) for q in questions
    ]


# MLLMU-Bench


@pytest.mark.parametrize("subset", [each for each in MLLMU_SUBSETS if each != "Test_Set"])
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


def test_the_parts_of_mllmu_bench_are_the_published_folders(tmp_path: Path) -> None:
    for subset, number in [
        ("forget_5", "1"),
        ("retain_95", "2"),
        ("forget_10", "3"),
        ("retain_90", "4"),
        ("Retain_Set", "5"),
    ]:
        write_person(tmp_path, subset, number=number)
    write(tmp_path / "Test_Set", [person(number) for number in "1234"], PERSON)
    found = read_benchmark(f"mllmu:{tmp_path}")
    assert {part: {q.about for q in qs} for part, qs in found.items()} == {
        "forget": {("1",)},
        "test": {("1",)},  # the forgotten people alone, though the folder holds all
        "retain": {("2",)},
        "real": {("5",)},
    }
    other = read_benchmark(f"mllmu:{tmp_path}", ["retain", "test"], percent=10)
    assert list(other) == ["retain", "test"]
    assert {q.about for part in other.values() for q in part} == {("4",), ("3",)}
    assert mllmu_people(tmp_path, "Test_Set") == {"1", "2", "3", "4"}


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


# CLEAR


@pytest.mark.parametrize("subset", CLEAR_SUBSETS)
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


@pytest.mark.parametrize("percent", [1, 5, 10])
def test_the_parts_of_clear_are_the_published_folders(tmp_path: Path, percent: int) -> None:
    write_clear(tmp_path)
    found = read_benchmark(f"clear:{tmp_path}", percent=percent)
    assert {part: [q.kind for q in qs] for part, qs in found.items()} == {
        "forget": ["caption", "question", "question"],
        "test": ["caption", "paraphrase", "name"],
        "retain": ["caption", "question", "question"],
        "real": ["name", "question", "question"],
    }
    # Two folders as one: the second's pictures come after the first's.
    assert [q.image for q in found["real"]] == [0, 1, None]
    assert shown(found["real"]) == [RED, BLUE, None]
    for part, folder in [("forget", f"forget{percent:02}+tofu"), ("test", "_perturbed")]:
        assert folder in found[part].images.places[0]
    assert f"retain{100 - percent}+tofu" in found["retain"].images.places[0]


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


# Both


def test_pictures_of_every_kind_come_in_rgb_and_travel(tmp_path: Path) -> None:
    held = [
        picture(RED),
        picture((250, 0, 0, 9), mode="RGBA"),
        picture((250,), mode="L"),
        picture(RED, kind="JPEG"),
        picture(RED, kind="WEBP"),
    ]
    rows = [{"image": each, "caption": "A.", "name": "Bo"} for each in held]
    write(tmp_path / "full", rows, PORTRAIT)
    images = pickle.loads(pickle.dumps(read_clear(tmp_path, "full"))).images
    assert len(images) == 5
    assert {each.mode for each in images} == {"RGB"}
    assert images[1].getpixel((0, 0)) == RED and images[2].getpixel((0, 0)) == (250, 250, 250)


def test_a_picture_cut_short_is_named_when_it_is_asked_for(tmp_path: Path) -> None:
    held = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(held, "PNG")
    cut = {"bytes": held.getvalue()[:900], "path": None}
    file = write_person(tmp_path, image=cut)
    found = read_mllmu_bench(tmp_path, "forget_5")
    with pytest.raises(RunError, match="the picture cannot be read: ") as caught:
        found.images[0]
    assert str(caught.value).startswith(f"{file}, row 0: ")


def test_a_picture_too_large_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_person(tmp_path)
    monkeypatch.setattr(picture_files, "_MOST_PIXELS", 5)
    with pytest.raises(
        RunError, match="the picture cannot be read: it is 3 × 2, more than 5 pixels"
    ):
        read_mllmu_bench(tmp_path, "forget_5")


def test_a_path_in_the_data_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "beside.png").write_bytes(encoded(RED))
    for path in ("beside.png", str(tmp_path / "beside.png")):
        write_person(tmp_path, image={"bytes": None, "path": path})
        with pytest.raises(RunError, match="there are no bytes of a picture"):
            read_mllmu_bench(tmp_path, "forget_5")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = write_person(tmp_path)
    whole = file.read_bytes()
    for content in (b"", b"no parquet at all", whole[:-9], whole[:200] + whole[900:]):
        file.write_bytes(content)
        with pytest.raises(RunError) as caught:
            read_mllmu_bench(tmp_path, "forget_5")
        assert str(caught.value).startswith(f"{file} is damaged: ")
        assert "\n" not in str(caught.value)
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(RunError, match="Git LFS has not fetched; run `git lfs pull`"):
        read_mllmu_bench(tmp_path, "forget_5")


def test_a_text_that_is_no_utf8_is_a_damaged_file(tmp_path: Path) -> None:
    text = pa.array([b"\xff\xfe"]).cast(TEXT, safe=False)
    table = pa.table(
        {"image": pa.array([picture()], IMAGE), "caption": text, "name": pa.array(["Bo"])}
    )
    (tmp_path / "full").mkdir()
    parquet.write_table(table, tmp_path / "full" / "train-00000-of-00001.parquet")
    with pytest.raises(RunError, match="is damaged: 'utf-8' codec"):
        read_clear(tmp_path, "full")


def test_what_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    write_person(tmp_path)
    cases = [
        (lambda: read_mllmu_bench(tmp_path, "forget5"), "did you mean 'forget_5'"),
        (lambda: read_mllmu_bench(tmp_path, "../forget_5"), "unknown subset of MLLMMU"),
        (lambda: read_mllmu_bench(tmp_path, "ft_Data"), "unknown subset of MLLMMU"),
        (lambda: read_clear(tmp_path, "real_face"), "did you mean 'real_faces'"),
        (lambda: read_mllmu_bench(tmp_path, "Full_Set"), "unknown subset in .*: known: forget_5"),
        (lambda: read_clear(tmp_path, "full"), "known: none. Get it from the data set therem"),
        (lambda: read_clear(tmp_path / "nowhere", "full"), "nowhere is not a folder"),
        (lambda: read_benchmark("mlmu:x"), "unknown benchmark 'mlmu': did you mean 'mllmu'"),
        (lambda: read_benchmark("clear"), "say where clear lies: clear:FOLDER"),
        (lambda: read_benchmark("clear:x", percent=15), "no forget set of 15 .*known: 1, 5, 10"),
        (lambda: read_benchmark("clear:x", ["forgot"]), "did you mean 'forget'"),
    ]
    for ask, said in cases:
        with pytest.raises(UsageError, match=said):
            ask()
    (tmp_path / "retain_95").mkdir()
    with pytest.raises(UsageError, match="retain_95 has no parquet file"):
        read_mllmu_bench(tmp_path, "retain_95")


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"package pyarrow: pip install 'erasekit\[mllm\]'"):
        read_mllmu_bench(tmp_path, "forget_5")


def test_the_hub_is_asked_for_the_folders_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clear(tmp_path)
    write_person(tmp_path)
    write_person(tmp_path, "Test_Set")
    asked: list[tuple] = []

    def snapshot_download(repository: str, *, repo_type: str, allow_patterns: list[str]) -> str:
        asked.append((repository, repo_type, allow_patterns))
        return str(tmp_path)

    hub = types.ModuleType("huggingface_hub")
    monkeypatch.setattr(hub, "snapshot_download", snapshot_download, raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert list(read_benchmark("clear:hub", ["real"])) == ["real"]
    read_benchmark("clear:hub", ["forget"])
    read_benchmark("mllmu:hub", ["test"])
    assert asked == [
        ("therem/CLEAR", "dataset", ["real_faces/*.parquet", "real_world/*.parquet"]),
        ("therem/CLEAR", "dataset", ["forget05+tofu/*.parquet", "forget05_perturbed/*.parquet"]),
        ("MLLMMU/MLLMU-Bench", "dataset", ["forget_5/*.parquet", "Test_Set/*.parquet"]),
    ]

    def offline(*_: object, **__: object) -> str:
        raise ConnectionError("no way out\nand more")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(RunError, match=r"^cannot fetch therem/CLEAR .*: no way out$"):
        read_benchmark("clear:hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"pip install 'erasekit\[mllm\]'"):
        read_benchmark("clear:hub")
