"""A user's own folder: every mistake in it, the report, and the cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support_folder import (
    counted,
    only_problem,
    put,
    simple,
    told,
)

from erasekit.data.folder.check import check_folder, read_folder
from erasekit.errors import RunError, UsageError

pytestmark = pytest.mark.usefixtures("own_cache")


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"package pyarrow: pip install 'erasekit\[data\]'"):
        read_folder(tmp_path)


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    imports = "import sys, erasekit.data.folder.check, erasekit.data.folder.selection"
    code = f"{imports}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "pyarrow", "PIL", "pandas"}.isdisjoint(done.stdout.split())


# The report


def test_the_report_counts_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    simple(tmp_path, "c.png,a", "a.png,", "d.png,a", "a.png,fine")
    report = check_folder(tmp_path)
    assert report.counts == {"missing file": 2, "empty caption": 1}
    assert (report.rows, report.pictures, report.kept) == (4, 3, 1)
    assert report.first == ("pairs.csv, line 3", "empty caption", "there is no caption")
    with pytest.raises(UsageError) as caught:
        read_folder(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} has problems: 1 × empty caption, 2 × missing file. The first: pairs.csv, "
        f"line 3: there is no caption. All are in {report.path}; skip_bad leaves them out"
    )
    said = str(report)
    assert "4 rows, 1 of them good" in said and "        2  missing file" in said
    assert str(report.path) in said
    copy = report.write(tmp_path / "new" / "problems.csv")
    lines = copy.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "place,kind,said,mend" and len(lines) == 4
    mend = '"put the file where the row says, or correct the row"'
    assert lines[2] == f'"pairs.csv, line 2",missing file,c.png is not there,{mend}'
    assert len(read_folder(tmp_path, skip_bad=True)) == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        report.write(tmp_path / "file" / "problems.csv")


def test_a_folder_without_a_good_row_is_an_error_all_the_same(tmp_path: Path) -> None:
    simple(tmp_path, "c.png,a")
    with pytest.raises(UsageError, match=r"no row is good$"):
        read_folder(tmp_path, skip_bad=True)
    simple(tmp_path, "a.png,")
    with pytest.raises(UsageError, match=r"line 2: there is no caption.*no row is good$"):
        read_folder(tmp_path, skip_bad=True)


def test_a_good_folder_says_so(tmp_path: Path) -> None:
    report = check_folder(simple(tmp_path, "a.png,a"))
    assert str(report).splitlines()[-1] == "no problems" and not list(report.problems())


# The cache


def test_a_second_run_decodes_nothing_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counted(monkeypatch)
    simple(tmp_path, "a.png,a", "b.png,b")
    first = told(read_folder(tmp_path))
    assert len(seen) == 2
    assert told(read_folder(tmp_path)) == first and len(seen) == 2
    put(tmp_path / "b.png", b"?")
    assert only_problem(tmp_path)[2].startswith("b.png: ") and len(seen) == 4
    (tmp_path / "b.png").unlink()
    assert only_problem(tmp_path)[2] == "b.png is not there"
    simple(tmp_path, "a.png,anew", "b.png,b")
    assert read_folder(tmp_path).caption(0) == "anew"


def test_only_the_texts_are_read_when_pictures_are_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counted(monkeypatch)
    simple(tmp_path, "a.png,a")
    assert len(read_folder(tmp_path, checks="table")) == 1 and not seen
