"""The notebooks as they are committed: what can be said without running them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from support_notebooks import KERNEL, NOTEBOOKS, PATHS, read

from erasekit.tutorial.exercises.all_exercises import EXERCISES
from erasekit.tutorial.parameters import NOTEBOOK_PARAMETERS, check_parameters
from erasekit.tutorial.runner import declared_parameters

NAMES = [path.stem for path in PATHS]
LONGEST_CELL = 15
#: Notebooks in which the reader writes the mathematics: formula, torch, comparison with the kit.
MATHEMATICS = (
    "02_base_model",
    "03_forgetting",
    "04_retention",
    "05_consistency",
    "06_evaluation",
    "07_embedding_shift",
    "08_is_it_gone",
    "09_methods",
    "10_our_method",
    "11_multimodal_llm",
)
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
def test_cells_are_short(path):
    for cell in code_cells(path):
        assert 1 <= len(cell.source.splitlines()) <= LONGEST_CELL, cell.id
        for node in ast.walk(ast.parse(plain(cell.source))):
            assert not isinstance(node, ast.Try | ast.ClassDef), (
                f"{cell.id}: belongs in the package"
            )


@each_notebook
def test_set_up_is_folded(path):
    cells = code_cells(path)
    for cell in (cells[0], cells[2]):
        assert cell.metadata.get("jupyter", {}).get("source_hidden"), cell.id
        assert "hide-input" in cell.metadata.tags, cell.id


@each_notebook
def test_cells_that_only_show_are_folded(path):
    for cell in code_cells(path):
        shown = re.findall(r"^nb\.(\w+)\(", cell.source, re.MULTILINE)
        statements = ast.parse(plain(cell.source)).body
        if len(shown) == len(statements) and {"say", "answer", "picture"} & set(shown):
            assert cell.metadata.get("jupyter", {}).get("source_hidden"), cell.id


@each_notebook
def test_every_picture_says_what_to_see(path):
    for call in calls(path, "picture"):
        assert "caption" in {keyword.arg for keyword in call.keywords}, ast.unparse(call)


@pytest.mark.parametrize("name", MATHEMATICS)
def test_a_loss_is_a_formula_then_torch_then_compared_with_the_kit(name):
    path = NOTEBOOKS / f"{name}.ipynb"
    sources = "\n".join(plain(cell.source) for cell in code_cells(path))
    assert "$$" in prose(path)
    assert "import torch" in sources
    assert "allclose(" in sources


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
def test_a_prediction_is_answered_by_the_run(path):
    sources = [cell.source for cell in code_cells(path)]
    assert any(source.startswith("prediction = None  # ") for source in sources)
    assert len(calls(path, "answer")) == 1


@each_notebook
def test_exercises_are_of_two_levels_with_a_folded_solution_that_ci_runs(path):
    cells = read(path).cells
    asked = {}
    for i, cell in enumerate(cells):
        if not cell.source.startswith("nb.exercise("):
            continue
        name = ast.literal_eval(ast.parse(cell.source).body[0].value.args[0])
        question, answer, solution = (cells[i - n] for n in (3, 2, 1))
        asked[name] = question.source.split("### ")[1].split(":")[0].lower()
        assert question.cell_type == "markdown"
        assert re.match(r"answer = None|def answer\(", answer.source), name
        assert solution.source.startswith("# Solution"), name
        assert "if solve:" in solution.source
        assert solution.metadata.get("jupyter", {}).get("source_hidden"), name
        assert "hide-input" in solution.metadata.tags
    known = EXERCISES[path.stem]
    assert asked == {name: exercise.level for name, exercise in known.items()}
    assert {"modify", "build"} <= set(asked.values())


def calls(path: Path, method: str) -> list[ast.Call]:
    """The calls of one method of `nb` in a notebook."""
    return [
        node
        for cell in code_cells(path)
        for node in ast.walk(ast.parse(plain(cell.source)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
        and ast.unparse(node.func.value) == "nb"
    ]


@each_notebook
def test_the_package_knows_its_parameters(path):
    assert NOTEBOOK_PARAMETERS[path.stem] == tuple(declared_parameters(path))


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
