"""Running notebooks: what is refused, what is told, and what is kept when one fails."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from support_notebooks import read, write_notebook

from erasekit.errors import RunError, UsageError
from erasekit.runs import notebooks as runner
from erasekit.runs.notebooks import run_notebook
from erasekit.runs.parameters import check_parameters

DECLARED = {"steps": "int", "rate": "float", "solve": "bool", "forget": "str"}
PARAMETERS = "steps: int = 3  # how many\nout: str = ''  # folder"


@pytest.mark.parametrize(
    "given",
    [
        {"steps": 5, "rate": 1e-4, "solve": True, "forget": "bird"},
        {"rate": 1},
        {},
    ],
)
def test_parameters_that_fit_pass(given):
    check_parameters(DECLARED, given, "book")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"stpes": 5}, "did you mean 'steps'?"),
        ({"steps": "5"}, "must be a whole number: write 5 without quotes"),
        ({"steps": 5.5}, "must be a whole number"),
        ({"steps": True}, "must be a whole number"),
        ({"solve": "false"}, "write False on the command line, false in YAML"),
        ({"solve": 1}, "must be true or false"),
        ({"rate": "1e-4"}, "write 1.0e-4 without quotes"),
        ({"rate": "1.5e-4"}, "write 1.5e-4 without quotes"),
        ({"rate": "much"}, "must be a number"),
        ({"forget": 3}, "must be text"),
        ({"forget": ["bird"]}, "must be text"),
    ],
)
def test_parameters_that_do_not_fit_are_named_with_the_mend(given, words):
    with pytest.raises(UsageError, match=r"book") as caught:
        check_parameters(DECLARED, given, "book")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_parameter_runs_nothing(tmp_path):
    path = write_notebook(tmp_path / "book.ipynb", PARAMETERS, "print(steps)")
    with pytest.raises(UsageError, match="unknown parameter of book 'stpes': did you mean 'steps'"):
        run_notebook(path, tmp_path / "out", {"stpes": 5})
    assert not (tmp_path / "out").exists()


def test_a_missing_notebook_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        run_notebook(tmp_path / "none.ipynb", tmp_path)


def test_a_file_in_the_way_is_a_run_error(tmp_path):
    path = write_notebook(tmp_path / "book.ipynb", PARAMETERS, "1")
    (tmp_path / "out").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        run_notebook(path, tmp_path / "out")


@pytest.mark.slow
def test_runs_with_parameters_in_a_folder_with_braces(tmp_path, capsys):
    folder = tmp_path / "a {b} c"
    folder.mkdir()
    path = write_notebook(folder / "book.ipynb", PARAMETERS, "print(steps * 2)", "out")
    executed = run_notebook(path, folder / "out", {"steps": 21}, place="[1/1]")
    cells = read(executed).cells
    assert cells[2].outputs[0].text == "42\n"
    assert str(folder / "out") in cells[3].outputs[0].data["text/plain"]
    told = capsys.readouterr().err
    assert "[1/1] book: started" in told
    assert "[1/1] book: done, 0:0" in told


@pytest.mark.slow
def test_a_failing_cell_is_named_and_what_ran_is_kept(tmp_path):
    path = write_notebook(tmp_path / "book.ipynb", PARAMETERS, "print('kept')", "1 / 0", "2")
    with pytest.raises(RunError, match=r"cell \d+: ZeroDivisionError: division by zero") as caught:
        run_notebook(path, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert "kept" in (tmp_path / "out" / "book.ipynb").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "words"),
    [("import sys; sys.exit(0)", "did not run"), ("import os; os._exit(1)", "stopped")],
    ids=["exit", "dead kernel"],
)
def test_a_notebook_that_ends_early_is_no_success(tmp_path, cell, words):
    path = write_notebook(tmp_path / "book.ipynb", PARAMETERS, cell, "print('after')")
    with pytest.raises(RunError, match=words):
        run_notebook(path, tmp_path / "out")


@pytest.mark.slow
def test_plain_papermill_is_refused_a_misspelt_parameter_too(tmp_path):
    """papermill itself only warns; the notebook's own second cell refuses."""
    path = write_notebook(
        tmp_path / "book.ipynb",
        PARAMETERS,
        "from erasekit import notebook\nnb = notebook.begin('book', globals())",
        "print('ran')",
    )
    command = [sys.executable, "-m", "papermill", str(path), str(tmp_path / "run.ipynb")]
    done = subprocess.run(
        [*command, "-p", "stpes", "5"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "error: unknown parameter of book 'stpes': did you mean 'steps'?" in done.stderr
    assert "check_parameters(" not in done.stderr, "one line, and no way through the package"
    assert "ran" not in [
        o.get("text", "")
        for c in read(tmp_path / "run.ipynb").cells[4:]
        for o in c.get("outputs", [])
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_notebook_cell_and_time_on_one_line(monkeypatch):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with runner._Progress("[2/8] book") as progress:
        progress.tell("cell 3 of 9")
        progress._done.wait(1.2)
    shown = terminal.getvalue()
    assert "[2/8] book: cell 3 of 9, 0:0" in shown
    assert shown.count("\n") == 1
    assert shown.endswith("[2/8] book: done, 0:01\n")


def test_only_names_notebooks_by_number_or_name():
    assert [p.stem for p in runner.notebook_paths(["03", "00_quickstart"])] == [
        "00_quickstart",
        "03_forgetting",
    ]
    with pytest.raises(UsageError, match="did you mean '03_forgetting'"):
        runner.notebook_paths(["03_forgeting"])


@pytest.fixture
def two_notebooks(tmp_path, monkeypatch):
    """A tutorial of two small notebooks, of which the second can be made to fail."""
    folder = tmp_path / "books"
    folder.mkdir()
    text = "profile: str = 'default'  # set\nfail: bool = False  # stumble\nout: str = ''  # folder"
    for name in ("00_one", "01_two"):
        write_notebook(folder / f"{name}.ipynb", text, f"assert not (fail and {name[1]})", "7")
        book = read(folder / f"{name}.ipynb")
        import nbformat
        from nbformat.v4 import new_markdown_cell

        book.cells.insert(0, new_markdown_cell(f"# Is this {name}?"))
        nbformat.write(book, folder / f"{name}.ipynb")
    monkeypatch.setattr(runner, "notebooks_folder", lambda: folder)
    return tmp_path / "tutorial"


@pytest.mark.slow
def test_the_tutorial_runs_all_and_prints_the_index_last(two_notebooks, capsys, monkeypatch):
    from erasekit.runs import reference

    monkeypatch.setattr(
        reference, "compare_with_reference", lambda profile, folder: (True, [f"{profile} is fine"])
    )
    assert runner.run_tutorial("smoke", two_notebooks) == 0
    printed = capsys.readouterr().out.strip().splitlines()
    assert printed == ["smoke is fine", str(two_notebooks / "index.html")]
    page = (two_notebooks / "index.html").read_text(encoding="utf-8")
    for name in ("00_one", "01_two"):
        assert f"{name}.html" in page
        assert f"Is this {name}?" in page
        assert (two_notebooks / f"{name}.html").is_file()
    assert read(two_notebooks / "01_two.ipynb").metadata.papermill.parameters.profile == "smoke"


@pytest.mark.slow
def test_a_tutorial_worse_than_its_reference_fails(two_notebooks, monkeypatch):
    from erasekit.runs import reference

    monkeypatch.setattr(
        reference, "compare_with_reference", lambda profile, folder: (False, ["worse"])
    )
    assert runner.run_tutorial("smoke", two_notebooks) == 1


@pytest.mark.slow
def test_a_failing_notebook_stops_the_tutorial_and_keeps_what_was_made(two_notebooks, capsys):
    assert runner.run_tutorial("smoke", two_notebooks, parameters={"fail": True}) == 1
    captured = capsys.readouterr()
    assert "error: 01_two stopped in cell" in captured.err
    assert "AssertionError" in captured.err
    assert (two_notebooks / "00_one.html").is_file()
    assert captured.out.strip().endswith("index.html")


def test_the_tutorial_refuses_before_it_runs(two_notebooks, tmp_path):
    with pytest.raises(UsageError, match="did you mean 'fail'"):
        runner.run_tutorial("smoke", two_notebooks, parameters={"fial": True})
    with pytest.raises(UsageError, match="unknown profile"):
        runner.run_tutorial("smoky", two_notebooks)
    two_notebooks.write_text("")
    with pytest.raises(UsageError, match="is a file"):
        runner.run_tutorial("smoke", two_notebooks)


def test_what_an_earlier_tutorial_made_is_taken_away_and_nothing_else(tmp_path):
    for name in ("03_old.html", "scorecard.json", "figures/03_old-x.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    runner._clear(tmp_path, whole=True)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["notes.txt"]


def test_without_its_checkout_the_notebooks_are_not_found(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "__file__", str(tmp_path / "a" / "b" / "notebooks.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="run this from a checkout"):
        runner.notebooks_folder()
