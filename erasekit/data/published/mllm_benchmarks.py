"""MLLMU-Bench and CLEAR, read from their published files into `Questions`.

Neither data set comes with erasekit, which downloads only what is asked of the Hugging Face hub.

MLLMU-Bench ("Protecting Privacy in Multimodal Large Language Models with MLLMU-Bench",
arXiv 2410.22108; data set ``MLLMMU/MLLMU-Bench``): 500 invented people and 153 famous ones.
Columns as its data card declares them: ``image`` (bytes and path), ``ID``,
``Classification_Task`` (``Image_Textual_Questions`` and ``Pure_Text_Questions``, each a list of
``Question``, ``Options`` A to D, ``Correct_Answer``), ``Generation_Task`` and ``Mask_Task`` (lists
of ``Type``, ``Question``, ``Ground_Truth``). The values of ``Type``, the letters of
``Correct_Answer``, the list ``images`` of ``Test_Set``, and that its people are those of the
forget set, are read off the authors' evaluation script, not off the files.
``biography``, ``question``, ``answer``, ``Directory`` and the folder ``ft_Data`` are not read.

CLEAR ("CLEAR: Character Unlearning in Textual and Visual Modalities", arXiv 2410.18057; data set
``therem/CLEAR``): pictures of TOFU's 200 invented authors. Columns as its data card declares them:

- ``forget*``, ``retain*``, ``full``: ``image``, ``caption``, ``name``.
- ``*+tofu``: ``image``, ``caption``, ``question``, ``answer``; a row has a picture and its caption,
  or a question in words and its answer. No names.
- ``*_perturbed``: further ``paraphrased_caption``, ``perturbed_captions``, ``perturbed_names``. The
  last one's presence in ``retain_perturbed`` is read off the authors' evaluation settings.
- ``real_faces``: ``image``, ``answer``, ``options``; ``real_world``: further ``question``. That
  ``options`` are wrong ones is read off other people's evaluation scripts; either way works here.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from erasekit.data.picture_files import decode, opened
from erasekit.data.question_list import Question, Questions
from erasekit.errors import RunError, UsageError, unknown

if TYPE_CHECKING:
    from PIL import Image

#: Where each benchmark is published on the Hugging Face hub.
REPOSITORIES = {"mllmu": "MLLMMU/MLLMU-Bench", "clear": "therem/CLEAR"}
#: Forget sets, in percent of the people, that each benchmark publishes.
PERCENTS = {"mllmu": (5, 10, 15), "clear": (1, 5, 10)}
#: Published folders of MLLMU-Bench that hold questions.
MLLMU_SUBSETS = (
    *(f"forget_{p}" for p in PERCENTS["mllmu"]),
    *(f"retain_{100 - p}" for p in PERCENTS["mllmu"]),
    "Test_Set",
    "Full_Set",
    "Retain_Set",
)
_CLEAR_PARTS = (
    *(f"forget{p:02}" for p in PERCENTS["clear"]),
    *(f"retain{100 - p}" for p in PERCENTS["clear"]),
    "full",
)
#: Published folders of CLEAR.
CLEAR_SUBSETS = (
    *_CLEAR_PARTS,
    *(f"{part}+tofu" for part in _CLEAR_PARTS),
    *(f"forget{p:02}_perturbed" for p in PERCENTS["clear"]),
    "retain_perturbed",
    "real_faces",
    "real_world",
)
#: What `read_benchmark` reads of each benchmark.
SUBSETS = ("forget", "test", "retain", "real")
#: Asked of a picture of CLEAR, whose files hold captions and names but no such questions.
CAPTION_QUESTION = "Describe the picture."
NAME_QUESTION = "Who is the person in the picture?"

# Who is forgotten stands in MLLMU-Bench's forget set, and who is who in CLEAR's test set.
_BESIDE = {"mllmu": {"test": "forget"}, "clear": {"forget": "test"}}
_ROWS_AT_ONCE = 64


@dataclass
class Pictures:
    """Pictures as the files hold them, each decoded into RGB whenever it is asked for.

    Attributes:
        contents: each picture's encoded bytes.
        places: the file and row that each came from, for errors.
    """

    contents: list[bytes] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.contents)

    def __getitem__(self, index: int) -> Image.Image:
        """The picture at a position, mode RGB.

        Raises:
            RunError: when it is damaged.
        """
        content, place = self.contents[index], self.places[index]
        try:
            return decode(content)
        except ValueError as error:
            raise _unreadable(place, error) from error

    def add(self, picture: Any, place: str) -> int:
        """Take one cell of an image column; its position here.

        Only its bytes are used: a path, which the data may point anywhere, is not followed.
        Its header is read at once, so that a file of another kind is found before a run begins.

        Raises:
            RunError: when it has no bytes, or they are no picture.
        """
        content = picture.get("bytes") if isinstance(picture, dict) else None
        if not isinstance(content, bytes) or not content:
            raise RunError(f"{place}: there are no bytes of a picture")
        try:
            with opened(io.BytesIO(content)):
                pass
        except ValueError as error:
            raise _unreadable(place, error) from error
        self.contents.append(content)
        self.places.append(place)
        return len(self.contents) - 1


def _unreadable(place: str, error: ValueError) -> RunError:
    return RunError(f"{place}: the picture cannot be read: {error}")


def read_benchmark(
    spec: str, subsets: Sequence[str] = SUBSETS, *, percent: int = 5
) -> dict[str, Questions]:
    """Parts of a benchmark by what they are for.

    ``forget`` must go and ``retain`` must stay. ``test`` asks after the forgotten people with
    other pictures (MLLMU-Bench) or with wrong answers to choose among (CLEAR). ``real`` asks after
    the real world: famous people, and for CLEAR other things too.

    Args:
        spec: ``mllmu:FOLDER`` or ``clear:FOLDER`` with a downloaded data set in the folder, or
            ``mllmu:hub`` or ``clear:hub`` to fetch what is read from the Hugging Face hub. CLEAR's
            retain set is then without names, which stand in a copy of it that is as large.
        subsets: which parts to read, of `SUBSETS`. Their pictures stay in memory, encoded.
        percent: the share of people to forget: 5, 10 or 15 (MLLMU-Bench); 1, 5 or 10 (CLEAR).

    Raises:
        UsageError: for an unknown benchmark, part or share; when files or a package are missing.
        RunError: when a file is damaged or not of the published format.
    """
    name, _, place = spec.partition(":")
    if name not in REPOSITORIES:
        raise unknown("benchmark", name, REPOSITORIES, "It is mllmu:FOLDER or clear:FOLDER")
    if not place:
        raise UsageError(f"say where {name} lies: {name}:FOLDER, or {name}:hub to fetch it")
    for subset in subsets:
        if subset not in SUBSETS:
            raise unknown("part of a benchmark", subset, SUBSETS)
    if percent not in PERCENTS[name]:
        told = ", ".join(map(str, PERCENTS[name]))
        raise UsageError(f"{name} has no forget set of {percent} percent: known: {told}")
    folders = _mllmu_folders(percent) if name == "mllmu" else _clear_folders(percent)
    wanted = {*subsets, *(beside for each, beside in _BESIDE[name].items() if each in subsets)}
    folder = (
        _fetched(REPOSITORIES[name], [each for part in sorted(wanted) for each in folders[part]])
        if place == "hub"
        else Path(place).expanduser()
    )
    found = {}
    for subset in subsets:
        if name == "clear":
            found[subset] = _joined([read_clear(folder, each) for each in folders[subset]])
        else:
            people = mllmu_people(folder, folders["forget"][0]) if subset == "test" else None
            found[subset] = read_mllmu_bench(folder, folders[subset][0], people=people)
    return found


def _mllmu_folders(percent: int) -> dict[str, tuple[str, ...]]:
    return {
        "forget": (f"forget_{percent}",),
        "test": ("Test_Set",),
        "retain": (f"retain_{100 - percent}",),
        "real": ("Retain_Set",),
    }


def _clear_folders(percent: int) -> dict[str, tuple[str, ...]]:
    return {
        "forget": (f"forget{percent:02}+tofu",),
        "test": (f"forget{percent:02}_perturbed",),
        "retain": (f"retain{100 - percent}+tofu",),
        "real": ("real_faces", "real_world"),
    }


def _fetched(repository: str, folders: Sequence[str]) -> Path:
    """Folders of a published data set, in the Hugging Face hub's own cache."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UsageError(
            "fetching a benchmark takes the package huggingface_hub: pip install 'erasekit[mllm]'"
        ) from error
    patterns = [f"{each}/*.parquet" for each in folders]
    try:
        return Path(snapshot_download(repository, repo_type="dataset", allow_patterns=patterns))
    except Exception as error:  # no network, no such data set, a full disk: of many kinds
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RunError(f"cannot fetch {repository} from the Hugging Face hub: {said}") from error


def mllmu_people(folder: Path, subset: str) -> frozenset[str]:
    """Ids of the people in a subset of MLLMU-Bench. Raises as `read_mllmu_bench`."""
    rows = _rows(folder, "mllmu", subset, [("ID",)])
    return frozenset(_text(row, "ID", place) for place, row in rows)


def read_mllmu_bench(
    folder: Path, subset: str, *, people: Collection[str] | None = None
) -> Questions:
    """A subset of MLLMU-Bench.

    Kinds: ``classification`` with `choices` in their published order, ``generation`` and
    ``cloze``, whose gap is written as published (``__``). `about` is the person's ``ID``. A row
    of ``Test_Set`` has several pictures: its visual questions take them in turn, where the
    authors' script draws one at random.

    Args:
        folder: the downloaded data set, with a folder for each subset.
        subset: of `MLLMU_SUBSETS`.
        people: read these people's questions only.

    Raises:
        UsageError: for an unknown or missing subset, and without the package pyarrow.
        RunError: when a file is damaged or not of the published format; names file and row.
    """
    columns = [("ID",), ("images", "image"), *((task,) for task in _TASKS)]
    items: list[Question] = []
    pictures = Pictures()
    for place, row in _rows(folder, "mllmu", subset, columns):
        person = _text(row, "ID", place)
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
            text = _text(asked, "Question", place)
            items.append(Question(text, answer, kind, (person,), image, choices))
    return Questions(tuple(items), pictures)


_TASKS = ("Classification_Task", "Generation_Task", "Mask_Task")
_TYPES = {"Image_Textual": True, "Pure_Text": False}


def _asked(row: dict[str, Any], place: str) -> Iterator[tuple[str, bool, Any]]:
    """Kind, whether it is about a picture, and the published entry."""
    choosing = row["Classification_Task"] or {}
    for group, visual in (("Image_Textual_Questions", True), ("Pure_Text_Questions", False)):
        for asked in _field(choosing, group, place) or () if choosing else ():
            yield "classification", visual, asked
    for task, kind in (("Generation_Task", "generation"), ("Mask_Task", "cloze")):
        for asked in row[task] or ():
            told = _text(asked, "Type", place)
            if told not in _TYPES:
                raise RunError(f"{place}: {task} has the Type '{told}', not {' or '.join(_TYPES)}")
            yield kind, _TYPES[told], asked


def _answered(kind: str, asked: Any, place: str) -> tuple[str, tuple[str, ...]]:
    """The right answer, and for a multiple choice what there is to choose."""
    if kind != "classification":
        return _text(asked, "Ground_Truth", place), ()
    options = _field(asked, "Options", place)
    if not isinstance(options, dict):
        raise RunError(f"{place}: Options are not the answers A to D")
    letters = {letter: told for letter, told in sorted(options.items()) if told and told.strip()}
    right = _text(asked, "Correct_Answer", place)
    if right not in letters:
        raise RunError(
            f"{place}: the Correct_Answer '{right}' is none of {', '.join(letters) or 'no Options'}"
        )
    return letters[right], tuple(letters.values())


def read_clear(folder: Path, subset: str) -> Questions:
    """A subset of CLEAR.

    Kinds: ``caption`` (`CAPTION_QUESTION`, for the files hold none), ``name`` (`NAME_QUESTION`) and
    ``question`` (TOFU's in words, and ``real_world``'s). A ``*_perturbed`` subset has a
    ``paraphrase`` besides: the caption in other words. Its choices, and those of the real subsets,
    are the published wrong answers with the right one, in alphabetical order, so that the place
    tells nothing. `about` is the person's name.

    The ``+tofu`` files name nobody. Their rows are given the names by the folder of the same people
    without ``+tofu`` or with ``_perturbed``: a picture by its caption, a question in words by the
    names in it or in its answer. Without such a folder `about` is empty.

    Args:
        folder: the downloaded data set, with a folder for each subset.
        subset: of `CLEAR_SUBSETS`.

    Raises:
        UsageError: for an unknown or missing subset, and without the package pyarrow.
        RunError: when a file is damaged or not of the published format; names file and row.
    """
    items: list[Question] = []
    pictures = Pictures()
    named = _names(folder, subset) if subset.endswith("+tofu") else {}
    people = tuple(dict.fromkeys(named.values()))
    for place, row in _rows(folder, "clear", subset, _clear_columns(subset)):
        shown = row["image"]
        in_words = subset.endswith("+tofu") or subset == "real_world"
        if shown is None and not in_words:
            raise RunError(f"{place}: there are no bytes of a picture")
        image = None if shown is None else pictures.add(shown, place)
        if subset == "real_world" or image is None:
            text, answer = (_text(row, key, place) for key in ("question", "answer"))
            about = tuple(name for name in people if name in text or name in answer)
            choices = _choices(row, "options", answer, place)
            items.append(Question(text, answer, "question", about, image, choices))
        elif subset == "real_faces":
            name = _text(row, "answer", place)
            choices = _choices(row, "options", name, place)
            items.append(Question(NAME_QUESTION, name, "name", (name,), image, choices))
        else:
            items += _portrayed(row, image, named, place)
    return Questions(tuple(items), pictures)


def _portrayed(
    row: dict[str, Any], image: int, named: dict[str, str], place: str
) -> Iterator[Question]:
    """What is asked of an invented person's picture."""
    caption = _text(row, "caption", place)
    name = _text(row, "name", place) if "name" in row else named.get(caption)
    about = () if name is None else (name,)
    told = [("caption", caption)]
    if "paraphrased_caption" in row:
        told.append(("paraphrase", _text(row, "paraphrased_caption", place)))
    for kind, answer in told:
        choices = _choices(row, "perturbed_captions", answer, place)
        yield Question(CAPTION_QUESTION, answer, kind, about, image, choices)
    if "name" in row and name is not None:
        choices = _choices(row, "perturbed_names", name, place)
        yield Question(NAME_QUESTION, name, "name", about, image, choices)


def _choices(row: dict[str, Any], column: str, answer: str, place: str) -> tuple[str, ...]:
    """Wrong answers with the right one; none where the column is not published."""
    if column not in row:
        return ()
    wrong = row[column]
    if not isinstance(wrong, list) or not all(isinstance(each, str) and each for each in wrong):
        raise RunError(f"{place}: {column} has an empty answer")
    return tuple(sorted({answer, *wrong}))


def _clear_columns(subset: str) -> list[tuple[str, ...]]:
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
    """Whom each caption is about, from a folder of the same people; empty if there is none."""
    plain = subset.removesuffix("+tofu")
    for beside in (plain, f"{plain}_perturbed"):
        if (Path(folder) / beside).is_dir():
            rows = _rows(folder, "clear", beside, [("caption",), ("name",)])
            return {_text(r, "caption", place): _text(r, "name", place) for place, r in rows}
    return {}


def _joined(parts: Sequence[Questions]) -> Questions:
    """Several subsets as one."""
    if len(parts) == 1:
        return parts[0]
    items: list[Question] = []
    pictures = Pictures()
    for part in parts:
        before = len(pictures)
        pictures.contents += part.images.contents
        pictures.places += part.images.places
        for q in part:
            image = None if q.image is None else q.image + before
            items.append(Question(q.text, q.answer, q.kind, q.about, image, q.choices))
    return Questions(tuple(items), pictures)


def _rows(
    folder: Path, name: str, subset: str, columns: Sequence[tuple[str, ...]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row of a subset with its place in words: the file, and the row counted from 0.

    `columns` are names with their substitutes, the first of which that a file has is read.
    """
    if subset not in (known := MLLMU_SUBSETS if name == "mllmu" else CLEAR_SUBSETS):
        raise unknown(f"subset of {REPOSITORIES[name]}", subset, known)
    pyarrow, parquet = _pyarrow()
    if not Path(folder).is_dir():
        raise UsageError(f"{folder} is not a folder: give the one that {REPOSITORIES[name]} is in")
    if not (Path(folder) / subset).is_dir():
        there = [each.name for each in sorted(Path(folder).iterdir()) if each.name in known]
        hint = f"Get it from the data set {REPOSITORIES[name]}"
        raise unknown(f"subset in {folder}", subset, there or ["none"], hint)
    files = sorted((Path(folder) / subset).glob("*.parquet"))
    if not files:
        raise UsageError(f"{Path(folder) / subset} has no parquet file")
    for file in files:
        row = 0
        try:
            with file.open("rb") as opened, parquet.ParquetFile(opened) as table:
                chosen = _chosen(file, table.schema_arrow.names, columns)
                for batch in table.iter_batches(_ROWS_AT_ONCE, columns=chosen):
                    for line in batch.to_pylist():
                        yield f"{file}, row {row}", line
                        row += 1
        # A text that is no UTF-8 is found when it is made a str.
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise RunError(f"{file} is damaged: {_said(file, error)}") from error


def _chosen(file: Path, there: Sequence[str], columns: Sequence[tuple[str, ...]]) -> list[str]:
    chosen = []
    for names in columns:
        found = [name for name in names if name in there]
        if not found:
            raise RunError(f"{file} has no column '{names[0]}'; it has {', '.join(there)}")
        chosen.append(found[0])
    return chosen


def _said(file: Path, error: Exception) -> str:
    """What is wrong with a file, in one line."""
    try:
        with file.open("rb") as opened:
            if opened.read(40).startswith(b"version https://git-lfs"):
                return "it stands for a file that Git LFS has not fetched; run `git lfs pull`"
    except OSError:
        pass
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _field(entry: Any, key: str, place: str) -> Any:
    if not isinstance(entry, dict) or key not in entry:
        raise RunError(f"{place}: there is no field '{key}'")
    return entry[key]


def _text(entry: Any, key: str, place: str) -> str:
    """A field's text as published, which must say something."""
    told = _field(entry, key, place)
    if not isinstance(told, str) or not told.strip():
        raise RunError(f"{place}: '{key}' is empty")
    return told


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(
            "parquet files take the package pyarrow: pip install 'erasekit[mllm]'"
        ) from error
    return pyarrow, parquet
