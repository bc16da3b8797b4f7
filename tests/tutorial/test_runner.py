"""Running notebooks: what is refused, what is told, and what is kept when one fails."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading

import pytest
from support_notebooks import read, write_notebook

from erasekit.errors import RunError, UsageError
from erasekit.tutorial import runner
from erasekit.tutorial.runner import run_notebook

PARAMETERS = "steps: int = 3  # how many\nout: str = ''  # folder"


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
def test_runs_with_parameters_in_a_folder_with_braces(tmp_path, capsys, shown):
    folder = tmp_path / "a {b} c"
    folder.mkdir()
    path = write_notebook(folder / "book.ipynb", PARAMETERS, "print(steps * 2)", "out")
    executed = run_notebook(path, folder / "out", {"steps": 21})
    cells = read(executed).cells
    assert cells[2].outputs[0].text == "42\n"
    assert str(folder / "out") in cells[3].outputs[0].data["text/plain"]
    told = capsys.readouterr().err
    assert "book: started" in told
    assert re.search(r"book: done, \d:\d\d\n", told)


@pytest.mark.slow
def test_a_failing_cell_is_named_and_what_ran_is_kept(tmp_path):
    path = write_notebook(tmp_path / "book.ipynb", PARAMETERS, "print('kept')", "1 / 0", "2")
    with pytest.raises(RunError, match=r"cell \d+: ZeroDivisionError: division by zero") as caught:
        run_notebook(path, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert "kept" in (tmp_path / "out" / "book.ipynb").read_text()


@pytest.mark.slow
def test_a_notebook_that_was_stopped_says_so(tmp_path):
    """Ctrl-C in a cell: no later cell is said to be completed."""
    path = write_notebook(
        tmp_path / "book.ipynb", PARAMETERS, "1", "import time; time.sleep(60)", "2", "3"
    )

    def tell(cell: str) -> None:
        if cell == "cell 4 of 6":
            threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        run_notebook(path, tmp_path / "out", tell=tell)
    cells = read(tmp_path / "out" / "book.ipynb").cells
    states = [cell.metadata.papermill.status for cell in cells]
    assert states == ["completed"] * 3 + ["failed"] + ["pending"] * 2
    assert cells[3].outputs[-1].evalue == (
        "the notebook was stopped in this cell; no cell after it has run"
    )
    assert runner.cells_not_run(read(tmp_path / "out" / "book.ipynb"))[0] == 3


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
        "from erasekit.tutorial import notebook\nnb = notebook.begin('book', globals())",
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


@pytest.fixture
def shown(monkeypatch):
    """Progress is shown, as for users, and not silenced as in most tests."""
    monkeypatch.delenv("ERASEKIT_PROGRESS")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_notebook_cell_and_time_on_one_line(monkeypatch, shown):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with runner.Progress("[2/8] book") as progress:
        progress.tell("cell 3 of 9")
        progress._done.wait(1.2)
    told = terminal.getvalue()
    assert "[2/8] book: cell 3 of 9, 0:0" in told
    assert told.count("\n") == 1
    assert told.endswith("[2/8] book: done, 0:01\n")


def test_a_terminal_shows_a_line_for_each_of_several(monkeypatch, shown):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with runner.Progress("one") as one, runner.Progress("two") as two:
        one.tell("cell 1 of 2")
        two.tell("cell 2 of 3")
        one._done.wait(1.2)
        two.failed = True
    told = terminal.getvalue()
    assert "one: cell 1 of 2, 0:0" in told
    assert "two: cell 2 of 3, 0:0" in told
    last = [line.rsplit("\r", 1)[-1] for line in told.strip("\r").split("\n")]
    assert any(line.endswith("two: stopped in cell 2 of 3, 0:01") for line in last)
    assert any(line.endswith("one: done, 0:01") for line in last)


def test_a_log_has_a_line_a_minute_of_a_notebook_at_most(monkeypatch, capsys, shown):
    monkeypatch.setattr(runner, "LOG_EVERY", 0.2)  # a minute
    with runner.Progress("book") as progress:
        for cell in range(50):
            progress.tell(f"cell {cell} of 50")
        progress._done.wait(0.5)
    told = capsys.readouterr().err
    assert told.splitlines() == [
        "book: started",
        *["book: cell 49 of 50, 0:00"] * (told.count("\n") - 2),
        "book: done, 0:00",
    ]
    assert 3 <= told.count("\n") <= 5


def test_nothing_is_told_of_a_notebook_where_progress_is_silenced(monkeypatch):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("ERASEKIT_PROGRESS", "0")
    with runner.Progress("book") as progress:
        progress._done.wait(0.6)  # longer than a moving line waits
    assert terminal.getvalue() == ""


def test_only_names_notebooks_by_number_or_name():
    assert [p.stem for p in runner.notebook_paths(["03", "00_quickstart"])] == [
        "00_quickstart",
        "03_forgetting",
    ]
    with pytest.raises(UsageError, match="did you mean '03_forgetting'"):
        runner.notebook_paths(["03_forgeting"])


def test_without_its_checkout_the_notebooks_are_not_found(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "__file__", str(tmp_path / "a" / "b" / "notebooks.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="run this from a checkout"):
        runner.notebooks_folder()
