"""Sweeps: what runs, what is kept, and what the page shows."""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support_cluster import stop
from support_notebooks import write_notebook

from erasekit import cluster
from erasekit.cli import app as cli
from erasekit.cluster import Workers
from erasekit.errors import RunError, UsageError
from erasekit.files import sha256_folder
from erasekit.runs.run_folder import RunFolder
from erasekit.tutorial import sweep as module
from erasekit.tutorial.notebook_unit import Made, NotebookUnit, pack
from erasekit.tutorial.sweep import plan_sweep, run_sweep, unpack_run

ALONE = Workers(1)
FAILS = """
if seed == 2:
    raise ValueError('not two')
if seed == 3:
    import pathlib, time
    pathlib.Path('begun').touch()
    time.sleep(300)
"""
RECORDS = (
    "import json, pathlib\n"
    "values = {'square': seed * seed, 'third': seed / 3}\n"
    "pathlib.Path(out, 'book.json').write_text(json.dumps({'values': values}))"
)


@pytest.fixture
def book(tmp_path) -> Path:
    parameters = "seed: int = 0\nforget: str = 'fruit'\nout: str = ''"
    return write_notebook(tmp_path / "book.ipynb", parameters, FAILS, RECORDS)


@pytest.fixture
def stand_in(monkeypatch, tmp_path) -> list[int]:
    """In place of a worker: no kernel, but the same folder; the seeds that were run."""
    ran: list[int] = []

    def run(unit: NotebookUnit) -> Made:
        seed = unit.parameters["seed"]
        ran.append(seed)
        if seed == 3:
            raise OSError("no room on the worker")
        folder = tmp_path / "worker" / f"{len(ran)}"
        folder.mkdir(parents=True)
        (folder / "log.txt").write_text("cell 1")
        (folder / "book.ipynb").write_text(unit.text)
        (folder / "book.html").write_text("a page")
        recorded = {"values": {"square": seed * seed, "broken": float("nan")}}
        (folder / "book.json").write_text(json.dumps(recorded))
        failure = "not two" if seed == 2 else ""
        record = {"notebook": "book", "parameters": unit.parameters, "key": unit.key}
        record |= {"failure": failure, "seconds": 40.0, "files": sha256_folder(folder)}
        (folder / "unit.json").write_text(json.dumps(record))
        return pack(folder, failure)

    monkeypatch.setattr(module, "run_notebook_unit", run)
    return ran


def test_failures_stop_nothing_are_on_the_page_and_run_again(book, stand_in, tmp_path, capsys):
    out, grid = tmp_path / "out", {"seed": ["0..3"]}
    with pytest.raises(RunError, match="2 of 4 runs failed, the first is seed-2-"):
        run_sweep(plan_sweep(str(book), grid, out), ALONE)
    told = capsys.readouterr().err
    assert "not two (log: " in told
    assert "OSError: no room on the worker (log: " in told
    page = (out / "index.html").read_text()
    assert page.count("<tr>") == 1 + 4
    assert "nan" not in page.lower().replace("isnan", "")
    assert "not two" in page and "no room on the worker" in page
    for folder in out.glob("seed-*"):
        assert f'href="{folder.name}/log.txt"' in page
        assert (f'href="{folder.name}/book.html"' in page) == ("seed-3" not in folder.name)
    assert "run_notebook_unit" not in page
    assert 'data-sort="1">1<' in page
    stand_in.clear()
    with pytest.raises(RunError):
        run_sweep(plan_sweep(str(book), {"seed": ["0..4"]}, out), ALONE)
    assert stand_in == [2, 3, 4], "what is there is not run again"
    assert sorted(p.name for p in out.iterdir() if p.name.startswith(".")) == [".lock"]


def test_a_dry_run_says_what_is_there_and_how_long_the_rest_takes(book, stand_in, tmp_path):
    out = tmp_path / "out"
    new = plan_sweep(str(book), {"seed": ["0..1"]}, out)
    assert "no past run to estimate the duration" in new.outlook(ALONE)
    run_sweep(new, ALONE)
    said = plan_sweep(str(book), {"seed": ["0..9"]}, out).outlook(Workers(3))
    assert "10 runs: 2 are there" in said
    assert said.count("  to run  seed-") == 8
    assert "about 5 min of work, by 2 past runs; 2 min on 3 workers" in said
    assert "nothing is left to run" in plan_sweep(str(book), {"seed": ["1"]}, out).outlook(ALONE)
    assert stand_in == [0, 1]


def test_where_takes_some_runs_to_run_and_to_show(book, stand_in, tmp_path):
    out, grid = tmp_path / "out", {"seed": ["0..1"], "forget": ["fruit", "bird"]}
    run_sweep(plan_sweep(str(book), grid, out, where={"forget": ["bird"]}), ALONE)
    assert sorted(path.name[:18] for path in out.glob("seed*")) == [
        "seed-0_forget-bird",
        "seed-1_forget-bird",
    ]
    page = run_sweep(plan_sweep(str(book), grid, out, where={"seed": ["1"]}), ALONE).read_text()
    assert page.count("<tr>") == 1 + 2
    assert stand_in == [0, 1, 1]
    with pytest.raises(UsageError, match="no run of the grid"):
        plan_sweep(str(book), grid, out, where={"seed": ["7"]})


def test_another_notebook_is_another_run(book, stand_in, tmp_path):
    first = plan_sweep(str(book), {"seed": ["0"]}, tmp_path / "out")
    book.write_text(book.read_text().replace("not two", "not 2"))
    again = plan_sweep(str(book), {"seed": ["0"]}, tmp_path / "out")
    more = plan_sweep(str(book), {"seed": ["0"]}, tmp_path / "out", threads=2)
    keys = {unit.key for plan in (first, again, more) for unit in plan.units.values()}
    assert len(keys) == 3


@pytest.mark.parametrize("fault", ["bytes", "link", "key", "file"])
def test_a_damaged_or_untrusted_archive_leaves_nothing(tmp_path, fault):
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "a").write_text("a")
    record = {"key": "right", "files": sha256_folder(folder)}
    (folder / "unit.json").write_text(json.dumps(record))
    if fault == "link":
        (folder / "b").symlink_to("/etc/passwd")
    if fault == "file":
        (folder / "a").write_text("b")
    made = pack(folder, "")
    if fault == "bytes":
        made = replace(made, archive=made.archive.replace(b"right", b"wrong"))
    with pytest.raises(RunError, match=r"damaged on the way|is a link|another run"):
        unpack_run(tmp_path / "out" / "run", made, "other" if fault == "key" else "right")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_full_disk_at_the_writer_stops_and_leaves_nothing_half_written(book, stand_in, tmp_path):
    out = tmp_path / "out"
    sweep = plan_sweep(str(book), {"seed": ["0..1"]}, out)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, before[1]))
    try:
        with pytest.raises(RunError, match=r"cannot write \S+: File too large") as caught:
            run_sweep(sweep, ALONE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.exit_code == 1
    assert [path.name for path in out.iterdir()] == [".lock"]


def test_a_second_sweep_in_the_same_folder_is_refused(book, stand_in, tmp_path):
    sweep = plan_sweep(str(book), {"seed": ["0..1"]}, tmp_path / "out")
    with (
        RunFolder(sweep.out).locked(),
        pytest.raises(UsageError, match="another run is at work in"),
    ):
        run_sweep(sweep, ALONE)
    run_sweep(plan_sweep(str(book), {"seed": ["0"]}, sweep.out), ALONE)
    run_sweep(sweep, ALONE)
    assert stand_in == [0, 1], "what was made since the plan is not made again"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one group there")
def test_ctrl_c_on_two_workers_keeps_what_one_makes_and_the_rest_runs_later(
    book, tmp_path, monkeypatch, capsys
):
    """With kernels, by the command line; one run fails, and one is stopped."""
    pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    words = ["sweep", str(book), "forget=bird", "--out", "two", "--grid"]

    def ready() -> bool:
        kept = {path.parent.name[:6] for path in Path("two").glob("seed-*/unit.json")}
        return kept == {"seed-1", "seed-2"} and Path("begun").exists()

    def meanwhile() -> None:
        assert cli.run([*words, "seed=1..4", "--workers", "1"]) == 2
        assert "another run is at work in two" in capsys.readouterr().err

    code, told, seconds, left = stop([*words, "seed=1..3", "--workers", "2"], ready, meanwhile)
    assert code == 130
    assert seconds < 60
    assert left == []
    assert told.splitlines()[-1].startswith("interrupted: the same command")
    assert "Traceback" not in told
    assert "dashboard: http" in told
    assert "not two" in told
    assert cli.run([*words, "seed=1..3", "--dry-run"]) == 0
    assert "3 runs: 1 are there" in capsys.readouterr().out
    words[4] = "one"
    assert cli.run([*words, "seed=1", "--workers", "1"]) == 0
    (one,) = (tmp_path / "one").glob("seed-1_*")
    two = tmp_path / "two" / one.name
    for file in ("book.json", "log.txt"):
        assert (one / file).read_bytes() == (two / file).read_bytes()
    (failed,) = (tmp_path / "two").glob("seed-2_*")
    assert "cell 3 of 4" in (failed / "log.txt").read_text()
    assert "ValueError" in (failed / "book.ipynb").read_text()
    assert "../index.html" in (failed / "book.html").read_text()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["seed=0"], "give one notebook, not 0"),
        (["a.ipynb", "b.ipynb"], "give one notebook, not 2"),
        (["none.ipynb"], "no such file"),
        (["99"], "unknown notebook '99'"),
        (["06", "--grid", "sed=0"], "did you mean 'seed'"),
        (["06", "--scheduler", "tcp://a:1", "--workers", "2"], "--workers 2 is for a local"),
        (["06", "--scheduler", ""], "--scheduler is empty: give an address"),
        # Before the rest, which takes seconds to import.
        (["99", "--scheduler", "tcp://127.0.0.1:1"], "no Dask scheduler answers there"),
        (["99", "--scheduler", "tcp://127.0.0.1:1", "--dry-run"], "unknown notebook '99'"),
    ],
)
def test_misuse_is_told_in_a_line(given, words, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER", 0.3)
    assert cli.run(["sweep", *given]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
