"""The notebooks as they are committed: what can be said without running them."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from support_notebooks import KERNEL, NOTEBOOKS, PATHS, read

from erasekit.tutorial.exercises import EXERCISES
from erasekit.tutorial.parameters import check_parameters
from erasekit.tutorial.runner import declared_parameters

NAMES = [path.stem for path in PATHS]
LONGEST_CELL = 10
each_notebook = pytest.mark.parametrize("path", PATHS, ids=NAMES)


def code_cells(path: Path) -> list:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def plain(source: str) -> str:
    """A cell as Python, where it has IPython's magics."""
    return TransformerManager().transform_cell(source)


def prose(path: Path) -> str:
    return "\n\n".join(c.source for c in read(path).cells if c.cell_type == "markdown")


def test_the_numbers_run_on_without_a_hole():
    assert [name[:2] for name in NAMES] == [f"{i:02d}" for i in range(len(NAMES))]


@each_notebook
def test_no_outputs_and_no_traces_of_a_run(path):
    for cell in code_cells(path):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert "papermill" not in cell.metadata
    assert "papermill" not in read(path).metadata


@each_notebook
def test_the_kernel_is_the_one_that_every_jupyter_has(path):
    assert dict(read(path).metadata.kernelspec) == KERNEL


@each_notebook
def test_cell_ids_are_words_and_differ(path):
    ids = [cell.id for cell in read(path).cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"(text|code)-[a-z0-9-]+", each) for each in ids)


@each_notebook
def test_one_question_in_the_title_and_what_it_needs_below(path):
    title, _, rest = read(path).cells[0].source.partition("\n")
    assert title.startswith("# ")
    assert title.endswith("?")
    for word in ("You need", "cores", "memory", "minute", "OpenMoji", "CC BY-SA 4.0"):
        assert word in rest


@each_notebook
def test_asks_for_a_prediction_before_the_run(path):
    cells = read(path).cells
    asked = [i for i, c in enumerate(cells) if "**Predict" in c.source]
    assert asked
    assert any(c.cell_type == "code" for c in cells[asked[0] + 1 :])


@each_notebook
def test_the_code_cell_after_the_one_for_colab_holds_plain_parameters(path):
    cell = code_cells(path)[1]
    assert cell.metadata.tags == ["parameters"]
    for line in cell.source.splitlines():
        # What papermill can read: one parameter a line, with a simple type and a help text.
        assert re.fullmatch(r"\w+: (int|float|bool|str) = [^=#]+  # .+", line), line
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.AnnAssign)
        ast.literal_eval(statement.value)


@each_notebook
def test_papermill_reads_every_parameter(path):
    names = [s.target.id for s in ast.parse(code_cells(path)[1].source).body]
    declared = declared_parameters(path)
    assert list(declared) == names
    assert set(declared.values()) <= {"int", "float", "bool", "str"}
    assert {"forget", "seed", "threads", "device", "solve", "out"} <= set(declared)


@each_notebook
def test_the_next_code_cell_refuses_what_is_misspelt(path):
    assert f'nb = notebook.begin("{path.stem}", globals())' in code_cells(path)[2].source


@each_notebook
def test_cells_are_short_and_hold_no_logic(path):
    for cell in code_cells(path):
        lines = cell.source.splitlines()
        assert 1 <= len(lines) <= LONGEST_CELL, cell.id
        for node in ast.walk(ast.parse(plain(cell.source))):
            assert not isinstance(node, ast.For | ast.While | ast.Try | ast.ClassDef) or (
                isinstance(node, ast.For) and "print(" in ast.unparse(node)
            ), f"{cell.id}: logic belongs into the package"


@each_notebook
def test_every_picture_and_table_is_followed_by_words(path):
    cells = read(path).cells
    for cell, after in itertools.pairwise(cells):
        if "nb.picture(" in cell.source:
            assert after.cell_type == "markdown" or "nb." in after.source, cell.id


@each_notebook
def test_numbers_in_prose_come_from_the_run(path):
    # A measured share, as "83 %" or "0.83", would be of another machine and another day.
    # What stays is by definition: 95 % intervals, an AUC or a coin of one half, log 2.
    found = re.findall(r"\d+ ?%|\b0\.\d+", prose(path))
    assert set(found) <= {"95 %", "0.5", "0.693"}


@each_notebook
def test_links_lead_somewhere(path):
    targets = re.findall(r"\]\(([^)]+)\)", prose(path))
    for target in targets:
        if not target.startswith("https://"):
            assert (NOTEBOOKS / target).exists(), target
    number = NAMES.index(path.stem)
    if number + 1 < len(NAMES):
        assert f"{NAMES[number + 1]}.ipynb" in targets, "the next notebook"


@each_notebook
def test_ends_with_an_exercise(path):
    assert path.stem in EXERCISES
    sources = [cell.source for cell in code_cells(path)]
    assert sources[-2].startswith("answer = None")
    assert sources[-1].startswith("nb.check(answer")


FILES = sorted((NOTEBOOKS / "parameters").glob("*.yaml"))


def test_there_are_parameter_files():
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=[f.stem for f in FILES])
def test_parameter_files_fit_their_notebook(file):
    given = yaml.safe_load(file.read_text(encoding="utf-8"))
    fitting = [p for p in PATHS if p.stem[:2] == file.stem[:2]] or PATHS[1:]
    for path in fitting:
        check_parameters(declared_parameters(path), given, path.stem)
    assert file.read_text(encoding="utf-8").startswith("# ")
