"""MLLMU-Bench ("Protecting Privacy in Multimodal Large Language Models with MLLMU-Bench",
arXiv 2410.22108; data set ``MLLMMU/MLLMU-Bench``): 500 fictitious and 153 famous people.
Columns according to its data card: ``image`` (bytes and path), ``ID``,
``Classification_Task`` (``Image_Textual_Questions`` and ``Pure_Text_Questions``, each a list of
``Question``, ``Options`` A to D, ``Correct_Answer``), ``Generation_Task`` and ``Mask_Task`` (lists
of ``Type``, ``Question``, ``Ground_Truth``). The values of ``Type``, the letters of
``Correct_Answer``, the list ``images`` of ``Test_Set``, and that its people are those of the
forget set, are inferred from the authors' evaluation script, not from the files.
``biography``, ``question``, ``answer``, ``Directory`` and the folder ``ft_Data`` are not read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from erasekit.data.published.benchmark_files import (
    Benchmark,
    Pictures,
    field_of,
    rows_of,
    text_of,
)
from erasekit.data.question_list import Question, Questions
from erasekit.errors import RunError

_PERCENTS = (5, 10, 15)
_TASKS = ("Classification_Task", "Generation_Task", "Mask_Task")
_TYPES = {"Image_Textual": True, "Pure_Text": False}


def mllmu_people(folder: Path, subset: str) -> frozenset[str]:
    """Return the ids of the people in a subset of MLLMU-Bench. Raises as `read_mllmu_bench`."""
    rows = rows_of(folder, MLLMU, subset, [("ID",)])
    return frozenset(text_of(row, "ID", place) for place, row in rows)


def read_mllmu_bench(
    folder: Path, subset: str, *, people: Collection[str] | None = None
) -> Questions:
    """Read a subset of MLLMU-Bench.

    Kinds: ``classification`` with `choices` in their published order, ``generation`` and
    ``cloze``, whose gap is written as published (``__``). `about` is the person's ``ID``. A row
    of ``Test_Set`` has several pictures: its visual questions use them in turn, while the
    authors' script draws one at random.

    Args:
        folder: the downloaded data set, with one folder per subset.
        subset: one of `MLLMU.subsets`.
        people: read only these people's questions.

    Raises:
        UsageError: for an unknown or missing subset, and without the package pyarrow.
        RunError: when a file is damaged or not in the published format; names file and row.
    """
    columns = [("ID",), ("images", "image"), *((task,) for task in _TASKS)]
    items: list[Question] = []
    pictures = Pictures()
    for place, row in rows_of(folder, MLLMU, subset, columns):
        person = text_of(row, "ID", place)
        if people is not None and person not in people:
            continue
        held = row["images"] if row.get("images") is not None else [row.get("image")]
        shown = [pictures.add(each, place) for each in held if each is not None]
        turn = 0
        for kind, visual, asked in _asked(row, place):
            if visual and not shown:
                raise RunError(f"{place}: a question about a picture, and there is none")
            answer, choices = _answered(kind, asked, place)
            image = shown[turn % len(shown)] if visual else None
            turn += visual
            text = text_of(asked, "Question", place)
            items.append(Question(text, answer, kind, (person,), image, choices))
    return Questions(tuple(items), pictures)


def _asked(row: dict[str, Any], place: str) -> Iterator[tuple[str, bool, Any]]:
    """Yield kind, whether the question is about a picture, and the published entry."""
    choosing = row["Classification_Task"] or {}
    for group, visual in (("Image_Textual_Questions", True), ("Pure_Text_Questions", False)):
        for asked in field_of(choosing, group, place) or () if choosing else ():
            yield "classification", visual, asked
    for task, kind in (("Generation_Task", "generation"), ("Mask_Task", "cloze")):
        for asked in row[task] or ():
            told = text_of(asked, "Type", place)
            if told not in _TYPES:
                raise RunError(f"{place}: {task} has the Type '{told}', not {' or '.join(_TYPES)}")
            yield kind, _TYPES[told], asked


def _answered(kind: str, asked: Any, place: str) -> tuple[str, tuple[str, ...]]:
    """Return the right answer, and the options of a multiple-choice question."""
    if kind != "classification":
        return text_of(asked, "Ground_Truth", place), ()
    options = field_of(asked, "Options", place)
    if not isinstance(options, dict):
        raise RunError(f"{place}: Options are not the answers A to D")
    letters = {letter: told for letter, told in sorted(options.items()) if told and told.strip()}
    right = text_of(asked, "Correct_Answer", place)
    if right not in letters:
        raise RunError(
            f"{place}: the Correct_Answer '{right}' is none of {', '.join(letters) or 'no Options'}"
        )
    return letters[right], tuple(letters.values())


def _folders(percent: int) -> dict[str, tuple[str, ...]]:
    return {
        "forget": (f"forget_{percent}",),
        "test": ("Test_Set",),
        "retain": (f"retain_{100 - percent}",),
        "real": ("Retain_Set",),
    }


def _part(folder: Path, folders: Mapping[str, tuple[str, ...]], part: str) -> Questions:
    people = mllmu_people(folder, folders["forget"][0]) if part == "test" else None
    return read_mllmu_bench(folder, folders[part][0], people=people)


MLLMU = Benchmark(
    repository="MLLMMU/MLLMU-Bench",
    percents=_PERCENTS,
    subsets=(
        *(f"forget_{p}" for p in _PERCENTS),
        *(f"retain_{100 - p}" for p in _PERCENTS),
        "Test_Set",
        "Full_Set",
        "Retain_Set",
    ),
    folders=_folders,
    beside={"test": "forget"},
    read=_part,
)
