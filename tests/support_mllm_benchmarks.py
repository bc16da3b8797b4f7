"""Small files in the published formats of MLLMU-Bench and CLEAR."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from erasekit.data.question_list import Questions

TEXT = pa.string()
IMAGE = pa.struct([("bytes", pa.binary()), ("path", TEXT)])
CHOOSING = pa.list_(
    pa.struct(
        [
            ("Correct_Answer", TEXT),
            ("Options", pa.struct([(letter, TEXT) for letter in "ABCD"])),
            ("Question", TEXT),
        ]
    )
)
TELLING = pa.list_(pa.struct([("Ground_Truth", TEXT), ("Question", TEXT), ("Type", TEXT)]))
PERSON = {
    "image": IMAGE,
    "ID": TEXT,
    "biography": TEXT,
    "question": TEXT,
    "answer": TEXT,
    "Classification_Task": pa.struct(
        [("Image_Textual_Questions", CHOOSING), ("Pure_Text_Questions", CHOOSING)]
    ),
    "Generation_Task": TELLING,
    "Mask_Task": TELLING,
}
RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


def encoded(colour: tuple[int, ...], kind: str = "PNG", mode: str = "RGB") -> bytes:
    held = io.BytesIO()
    Image.new(mode, (3, 2), colour).save(held, kind)
    return held.getvalue()


def picture(colour: tuple[int, ...] = RED, **how: str) -> dict[str, Any]:
    return {"bytes": encoded(colour, **how), "path": "/etc/hostname"}


def write(
    folder: Path,
    rows: list[dict],
    schema: dict[str, pa.DataType],
    file: str = "train-00000-of-00001.parquet",
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows, pa.schema(list(schema.items()))), folder / file)
    return folder / file


def chosen(question: str, right: str, *options: str | None) -> dict:
    told = dict(zip("ABCD", options, strict=True))
    return {"Question": question, "Options": told, "Correct_Answer": right}


def told(kind: str, question: str, answer: str | None) -> dict:
    return {"Type": kind, "Question": question, "Ground_Truth": answer}


def person(number: str = "007", **other: Any) -> dict:
    return {
        "image": picture(),
        "ID": number,
        "biography": "Ada Example bakes bread.",
        "question": "Who is it?",
        "answer": "Ada Example",
        "Classification_Task": {
            "Image_Textual_Questions": [chosen("What does she do?", "C", "a", "b", "bakes", "d")],
            "Pure_Text_Questions": [chosen("What does Ada do?", "A", "bakes", "x", "y", "z")],
        },
        "Generation_Task": [
            told("Image_Textual", "Tell me of her.", "She bakes bread."),
            told("Pure_Text", "Tell me of Ada.", "Ada bakes bread."),
        ],
        "Mask_Task": [
            told("Image_Textual", "She bakes __.", "bread"),
            told("Pure_Text", "Ada Example bakes __.", "bread"),
        ],
        **other,
    }


def write_person(folder: Path, subset: str = "forget_5", **other: Any) -> Path:
    return write(folder / subset, [person(**other)], PERSON)


def clear_schema(*columns: str) -> dict[str, pa.DataType]:
    lists = {"perturbed_captions", "perturbed_names", "options"}
    return {
        name: IMAGE if name == "image" else pa.list_(TEXT) if name in lists else TEXT
        for name in columns
    }


PORTRAIT = clear_schema("image", "caption", "name")
MIXED = clear_schema("image", "caption", "question", "answer")
PERTURBED = clear_schema(
    "image", "caption", "name", "paraphrased_caption", "perturbed_captions", "perturbed_names"
)
FACES = clear_schema("image", "answer", "options")
WORLD = clear_schema("question", "answer", "image", "options")


def perturbed(**other: Any) -> dict:
    return {
        "image": picture(BLUE),
        "caption": "Bo Sample reads by a lamp.",
        "name": "Bo Sample",
        "paraphrased_caption": "By a lamp, Bo Sample reads.",
        "perturbed_captions": ["Bo Sample swims.", "Bo Sample cooks."],
        "perturbed_names": ["Cy Instance", "Al Instance"],
        **other,
    }


def write_clear(folder: Path) -> None:
    """Every published folder of CLEAR, with a row or two."""
    caption, name = "Bo Sample reads by a lamp.", "Bo Sample"
    for part in ("forget01", "forget05", "forget10", "retain99", "retain95", "retain90", "full"):
        row = {"image": picture(GREEN), "caption": caption, "name": name}
        write(folder / part, [row], PORTRAIT)
        mixed = [
            {"image": picture(GREEN), "caption": caption, "question": None, "answer": None},
            {"image": None, "caption": None, "question": "Who wrote it?", "answer": f"By {name}."},
            {"image": None, "caption": None, "question": "And when?", "answer": "In May."},
        ]
        write(folder / f"{part}+tofu", mixed, MIXED)
    for part in ("forget01", "forget05", "forget10", "retain"):
        write(folder / f"{part}_perturbed", [perturbed()], PERTURBED)
    face = {"image": picture(RED), "answer": "Di Known", "options": ["Em Known", "Bi Known"]}
    write(folder / "real_faces", [face], FACES)
    thing = {"question": "Which is it?", "answer": "a lamp", "image": picture(BLUE)}
    words = {"question": "Is ice cold?", "answer": "yes", "image": None, "options": ["no", "yes"]}
    write(folder / "real_world", [thing | {"options": ["a bee", "a tub"]}, words], WORLD)


def shown(questions: Questions) -> list[tuple[int, ...] | None]:
    """The colour of each question's picture."""
    return [
        None if q.image is None else questions.images[q.image].getpixel((1, 1)) for q in questions
    ]
