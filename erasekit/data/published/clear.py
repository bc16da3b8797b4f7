"""CLEAR ("CLEAR: Character Unlearning in Textual and Visual Modalities", arXiv 2410.18057; data set
``therem/CLEAR``): pictures of TOFU's 200 fictitious authors. Columns according to its data card:

- ``forget*``, ``retain*``, ``full``: ``image``, ``caption``, ``name``.
- ``*+tofu``: ``image``, ``caption``, ``question``, ``answer``; a row has a picture and its caption,
  or a text question and its answer. No names.
- ``*_perturbed``: also ``paraphrased_caption``, ``perturbed_captions``, ``perturbed_names``. That
  ``retain_perturbed`` has the last one is inferred from the authors' evaluation settings.
- ``real_faces``: ``image``, ``answer``, ``options``; ``real_world``: also ``question``. That
  ``options`` holds wrong answers is inferred from third-party evaluation scripts; the reader
  accepts both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from erasekit.data.published.benchmark_files import (
    Benchmark,
    Pictures,
    joined,
    rows_of,
    text_of,
)
from erasekit.data.question_list import Question, Questions
from erasekit.errors import RunError

#: Question about a picture, since the files hold captions and names but no questions.
CAPTION_QUESTION = "Describe the picture."
NAME_QUESTION = "Who is the person in the picture?"

_PERCENTS = (1, 5, 10)
_PARTS = (
    *(f"forget{p:02}" for p in _PERCENTS),
    *(f"retain{100 - p}" for p in _PERCENTS),
    "full",
)


def read_clear(folder: Path, subset: str) -> Questions:
    """Read a subset of CLEAR.

    Kinds: ``caption`` (`CAPTION_QUESTION`), ``name`` (`NAME_QUESTION`) and ``question`` (TOFU's
    text questions, and those of ``real_world``). A ``*_perturbed`` subset also has
    ``paraphrase``: the caption in other words. Its choices, and those of the real subsets, are
    the published wrong answers and the right one in alphabetical order, so that the position
    gives no hint. `about` is the person's name.

    The ``+tofu`` files contain no names. We look them up in the folder of the same people
    without ``+tofu`` or with ``_perturbed``: for a picture by its caption, for a text question
    by the names in it or in its answer. Without such a folder `about` is empty.

    Args:
        folder: the downloaded data set, with one folder per subset.
        subset: one of `CLEAR.subsets`.

    Raises:
        UsageError: for an unknown or missing subset, and without the package pyarrow.
        RunError: when a file is damaged or not in the published format; names file and row.
    """
    items: list[Question] = []
    pictures = Pictures()
    named = _names(folder, subset) if subset.endswith("+tofu") else {}
    people = tuple(dict.fromkeys(named.values()))
    for place, row in rows_of(folder, CLEAR, subset, _columns(subset)):
        shown = row["image"]
        in_words = subset.endswith("+tofu") or subset == "real_world"
        if shown is None and not in_words:
            raise RunError(f"{place}: there are no bytes of a picture")
        image = None if shown is None else pictures.add(shown, place)
        if subset == "real_world" or image is None:
            text, answer = (text_of(row, key, place) for key in ("question", "answer"))
            about = tuple(name for name in people if name in text or name in answer)
            choices = _choices(row, "options", answer, place)
            items.append(Question(text, answer, "question", about, image, choices))
        elif subset == "real_faces":
            name = text_of(row, "answer", place)
            choices = _choices(row, "options", name, place)
            items.append(Question(NAME_QUESTION, name, "name", (name,), image, choices))
        else:
            items += _portrayed(row, image, named, place)
    return Questions(tuple(items), pictures)


def _portrayed(
    row: dict[str, Any], image: int, named: dict[str, str], place: str
) -> Iterator[Question]:
    """Yield the questions about a fictitious person's picture."""
    caption = text_of(row, "caption", place)
    name = text_of(row, "name", place) if "name" in row else named.get(caption)
    about = () if name is None else (name,)
    told = [("caption", caption)]
    if "paraphrased_caption" in row:
        told.append(("paraphrase", text_of(row, "paraphrased_caption", place)))
    for kind, answer in told:
        choices = _choices(row, "perturbed_captions", answer, place)
        yield Question(CAPTION_QUESTION, answer, kind, about, image, choices)
    if "name" in row and name is not None:
        choices = _choices(row, "perturbed_names", name, place)
        yield Question(NAME_QUESTION, name, "name", about, image, choices)


def _choices(row: dict[str, Any], column: str, answer: str, place: str) -> tuple[str, ...]:
    """Return the wrong answers and the right one; empty if the column is not published."""
    if column not in row:
        return ()
    wrong = row[column]
    if not isinstance(wrong, list) or not all(isinstance(each, str) and each for each in wrong):
        raise RunError(f"{place}: {column} has an empty answer")
    return tuple(sorted({answer, *wrong}))


def _columns(subset: str) -> list[tuple[str, ...]]:
    if subset == "real_faces":
        names = ["image", "answer", "options"]
    elif subset == "real_world":
        names = ["image", "question", "answer", "options"]
    elif subset.endswith("+tofu"):
        names = ["image", "caption", "question", "answer"]
    else:
        names = ["image", "caption", "name"]
    if subset.endswith("_perturbed"):
        names += ["paraphrased_caption", "perturbed_captions", "perturbed_names"]
    return [(name,) for name in names]


def _names(folder: Path, subset: str) -> dict[str, str]:
    """Map captions to names, from a folder of the same people; empty if there is none."""
    plain = subset.removesuffix("+tofu")
    for beside in (plain, f"{plain}_perturbed"):
        if (Path(folder) / beside).is_dir():
            rows = rows_of(folder, CLEAR, beside, [("caption",), ("name",)])
            return {text_of(r, "caption", place): text_of(r, "name", place) for place, r in rows}
    return {}


def _folders(percent: int) -> dict[str, tuple[str, ...]]:
    return {
        "forget": (f"forget{percent:02}+tofu",),
        "test": (f"forget{percent:02}_perturbed",),
        "retain": (f"retain{100 - percent}+tofu",),
        "real": ("real_faces", "real_world"),
    }


def _part(folder: Path, folders: Mapping[str, tuple[str, ...]], part: str) -> Questions:
    return joined([read_clear(folder, each) for each in folders[part]])


CLEAR = Benchmark(
    repository="therem/CLEAR",
    percents=_PERCENTS,
    subsets=(
        *_PARTS,
        *(f"{part}+tofu" for part in _PARTS),
        *(f"forget{p:02}_perturbed" for p in _PERCENTS),
        "retain_perturbed",
        "real_faces",
        "real_world",
    ),
    folders=_folders,
    beside={"forget": "test"},
    read=_part,
)
