"""The whole tutorial: what it prints, makes, keeps and takes away, one by one and side by side."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell
from support_notebooks import read, write_notebook

from erasekit.errors import UsageError
from erasekit.tutorial import runner, sequence


@pytest.fixture
def two_notebooks(tmp_path, monkeypatch):
    """A tutorial of two small notebooks, of which the second can be made to fail."""
    folder = tmp_path / "books"
    folder.mkdir()
    text = "profile: str = 'default'  # set\nfail: bool = False  # stumble\nout: str = ''  # folder"
    for name in ("00_one", "01_two"):
        write_notebook(folder / f"{name}.ipynb", text, f"assert not (fail and {name[1]})", "7")
        book = read(folder / f"{name}.ipynb")
        book.cells.insert(0, new_markdown_cell(f"# Is this {name}?"))
        nbformat.write(book, folder / f"{name}.ipynb")
    monkeypatch.setattr(runner, "notebooks_folder", lambda: folder)
    return tmp_path / "tutorial"


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "right"), [(1, True), (2, False)])
def test_the_tutorial_runs_all_prints_the_index_last_and_fails_if_it_is_worse(
    two_notebooks, capsys, monkeypatch, jobs, right
):
    monkeypatch.setattr(
        sequence, "compare_with_reference", lambda profile, folder: (right, [f"{profile}: {right}"])
    )
    monkeypatch.delenv("ERASEKIT_PROGRESS")
    assert sequence.run_tutorial("smoke", two_notebooks, jobs=jobs) == (0 if right else 1)
    captured = capsys.readouterr()
    for told in ("[1/2] 00_one: started", "[1/2] 00_one: done", "[2/2] 01_two: done"):
        assert told in captured.err
    printed = captured.out.strip().splitlines()
    assert printed == [f"smoke: {right}", str(two_notebooks / "index.html")]
    page = (two_notebooks / "index.html").read_text(encoding="utf-8")
    for name in ("00_one", "01_two"):
        assert f"{name}.html" in page
        assert f"Is this {name}?" in page
        assert (two_notebooks / f"{name}.html").is_file()
    assert read(two_notebooks / "01_two.ipynb").metadata.papermill.parameters.profile == "smoke"


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_notebook_stops_the_tutorial_and_keeps_what_was_made(two_notebooks, capsys, jobs):
    given = {"parameters": {"fail": True}, "jobs": jobs}
    assert sequence.run_tutorial("smoke", two_notebooks, **given) == 1
    captured = capsys.readouterr()
    assert "error: 01_two stopped in cell" in captured.err
    assert "AssertionError" in captured.err
    assert (two_notebooks / "00_one.html").is_file()
    assert captured.out.strip().endswith("index.html")


def test_the_tutorial_refuses_before_it_runs(two_notebooks, tmp_path):
    with pytest.raises(UsageError, match="did you mean 'fail'"):
        sequence.run_tutorial("smoke", two_notebooks, parameters={"fial": True})
    with pytest.raises(UsageError, match="unknown profile"):
        sequence.run_tutorial("smoky", two_notebooks)
    two_notebooks.write_text("")
    with pytest.raises(UsageError, match="is a file"):
        sequence.run_tutorial("smoke", two_notebooks)


def test_what_an_earlier_tutorial_made_is_taken_away_and_nothing_else(tmp_path):
    for name in ("03_old.html", "scorecard.json", "figures/03_old-x.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    sequence._clear(tmp_path, whole=True)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["notes.txt"]


@pytest.mark.slow
def test_a_process_that_dies_is_told_and_not_waited_for(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("ERASEKIT_PROGRESS")
    path = write_notebook(
        tmp_path / "book.ipynb",
        "steps: int = 3  # how many",
        # whoever runs this kernel
        "import multiprocessing, os, signal\n"
        "runner = multiprocessing.parent_process()\n"
        "os.kill(runner.pid if runner else os.getppid(), signal.SIGKILL)",
    )
    (row,) = sequence._run_all({path: {}}, tmp_path / "out", jobs=2)
    assert row["status"] == "failed"
    assert row["failure"] == "book stopped: its process died"
    told = capsys.readouterr().err
    assert "error: book stopped" in told
    assert "[1/1] book: stopped in cell" in told


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
def test_ctrl_c_ends_every_notebook_that_runs(tmp_path):
    folder = tmp_path / "books"
    folder.mkdir()
    sleep = f"import time; open(r'{tmp_path}/' + name, 'w'); time.sleep(60)"
    for name in ("00_one", "01_two"):
        text = f"name: str = '{name}'  # file that tells that it began\nout: str = ''  # folder"
        write_notebook(folder / f"{name}.ipynb", text, sleep)
    code = (
        "import multiprocessing, pathlib, signal, sys\n"
        "from erasekit.tutorial import kernels, runner, sequence\n"
        # These notebooks need nothing of what is imported once for all of them.
        "kernels.forking = lambda: multiprocessing.get_context('forkserver')\n"
        # A job in a shell's background is started with Ctrl-C ignored, and hands that on.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"runner.notebooks_folder = lambda: pathlib.Path(r'{folder}')\n"
        "if __name__ == '__main__':\n"
        "    try: sequence.run_tutorial('smoke', sys.argv[1], jobs=2)\n"
        "    except KeyboardInterrupt: sys.exit(130)\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path / "out")])
    deadline = time.monotonic() + 120
    while not all((tmp_path / name).exists() for name in ("00_one", "01_two")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=50) == 130  # before the notebooks' own minute is over
