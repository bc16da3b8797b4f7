"""`erasekit preview`: a folder is checked and shown before anything runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from erasekit.cli.app import app, main
from erasekit.runs.preview import COUNTS, PROBLEMS, SHEET

TABLE = "image,caption,concept,group\n"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    lines = []
    for number in range(12):
        concept, group = (("red apple", "fruit"), ("cat", "animal"))[number % 2]
        Image.new("RGB", (24, 20), (20 * number, 40, 90)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,a picture of a {concept},{concept},{group}\n")
    (folder / "pairs.csv").write_text(TABLE + "".join(lines), encoding="utf-8")
    return folder


def call(*arguments: str):
    return CliRunner().invoke(app, ["preview", *arguments])


def test_counts_and_sheet(photos, tmp_path):
    out = tmp_path / "out"
    found = call(f"folder:{photos}", "--forget", "word=apple", "--out", str(out))
    assert found.exit_code == 0, found.output
    assert "12 rows, 12 of them good" in found.output and "no problems" in found.output
    counts = pd.read_csv(out / COUNTS).set_index("name")
    assert counts.loc["all", "forget_pairs"] == counts.loc["red apple", "forget_pairs"] == 6
    with Image.open(out / SHEET) as sheet:
        assert min(sheet.size) > 200


def test_problems_are_told_with_their_rows_and_skipped_only_if_told(photos, tmp_path, capsys):
    with (photos / "pairs.csv").open("a", encoding="utf-8") as table:
        table.write("gone.png,an apple,red apple,fruit\n")
    out = tmp_path / "out"
    asked = ["preview", f"folder:{photos}", "--forget", "fruit", "--out", str(out)]
    with pytest.raises(SystemExit) as left:
        main(asked)
    said = capsys.readouterr().err
    assert left.value.code == 2 and len(said.splitlines()) == 1
    assert "pairs.csv, line 14" in said and "missing file" in said
    assert "line 14" in (out / PROBLEMS).read_text()
    found = call(*asked[1:], "--skip-bad")
    assert found.exit_code == 0 and "12 of them good" in found.output


def test_json_says_all_of_it(photos, tmp_path):
    (photos / "copy.png").write_bytes((photos / "0.png").read_bytes())
    with (photos / "pairs.csv").open("a", encoding="utf-8") as table:
        table.write("copy.png,lunch,,\n")
    (tmp_path / "list.txt").write_text("0.png\n2.png\n4.png\nnone.png\n")
    rule = f"files={tmp_path / 'list.txt'}"
    asked = [f"folder:{photos}", "--forget", rule, "--out", str(tmp_path / "out"), "--json"]
    found = call(*asked)
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["form"], told["pictures"], told["captions"]) == ("table", 13, 13)
    assert sum(told["splits"].values()) == 13
    assert (told["selected"]["pictures"], told["selected"]["captions"]) == (4, 4)
    assert sum(told["selected"]["by_split"].values()) == 4
    assert told["near"]["byte_copies"]["examples"][0]["like"] == "0.png"
    assert told["not_found"] == ["none.png"]
    (problem,) = told["problems"]
    assert problem["file"] == "none.png" and set(problem) == {"file", "what", "mend"}
    text = call(*asked[:-1]).output
    assert "selected: 4 pictures with 4 captions" in text and "not found: 1 of 4: none.png" in text
    assert "copies of the same bytes: selected too: copy.png, like 0.png" in text


@pytest.mark.parametrize("rule", ["word=zebra", "red apple,cat", "word=apple"])
def test_json_says_what_erase_would_refuse(photos, tmp_path, rule):
    if rule == "word=apple":
        with (photos / "pairs.csv").open("a", encoding="utf-8") as table:
            table.write("gone.png,an apple,red apple,fruit\n")
    found = call(f"folder:{photos}", "--forget", rule, "--out", str(tmp_path / "out"), "--json")
    assert found.exit_code == 2
    told = json.loads(found.stdout)
    assert (told["pictures"], len(told["problems"])) == (12, 1)
    assert told["selected"]["pictures"] == (6 if rule == "word=apple" else 0)
    assert ("row" in told["problems"][0]) == (rule == "word=apple")
    mend = {"word=zebra": "regex=zebra finds it", "red apple,cat": "something must be kept"}
    assert mend.get(rule, "put the file where") in told["problems"][0]["mend"]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("aple", "did you mean"),
        ("wrd=apple", "did you mean 'word='"),
        ("word=zebra", "selects nothing"),
        ("red apple,cat", "something must be kept"),
        ("regex=(", "not understood"),
    ],
)
def test_a_rule_that_does_not_fit_is_one_line(photos, tmp_path, capsys, rule, words):
    with pytest.raises(SystemExit) as left:
        main(["preview", f"folder:{photos}", "--forget", rule, "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert left.value.code == 2 and len(said.splitlines()) == 1 and words in said


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_names_and_captions_reach_no_shell_and_no_terminal(tmp_path):
    bad = "a\"'`touch owned`\n$(touch owned);\x1b]0;owned\x07"
    folder = tmp_path / "data"
    for colour, name in enumerate((bad, "<script>alert(1)</script>".replace("/", "\\"))):
        (folder / name).mkdir(parents=True)
        for shade in range(20):  # enough for every split
            picture = Image.new("RGB", (9, 9), (colour, shade, 0))
            picture.save(folder / name / f"{name}{shade}.png")
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "erasekit.cli.app", "preview", f"folder:{folder}"]
    done = subprocess.run(
        [*command, "--forget", "word=script", "--out", str(out)],
        capture_output=True,
        cwd=tmp_path,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout and "\x07" not in done.stdout
    lines = [line for line in done.stdout.splitlines() if "touch owned" in line]
    assert lines and all(r"\n$(touch owned)" in line for line in lines)
    made = {path for path in tmp_path.rglob("*") if out not in (path, path.parent)}
    assert made == set(before)
    # The table has the name as it is.
    assert " ".join(bad.split()) in {
        " ".join(str(n).split()) for n in pd.read_csv(out / COUNTS)["name"]
    }


def test_a_caption_that_begins_as_a_formula_stays_a_text(photos, tmp_path):
    table = photos / "pairs.csv"
    table.write_text(table.read_text().replace("a picture of a red", "=1+1 red"))
    out = tmp_path / "out"
    found = call(f"folder:{photos}", "--forget", "word=apple", "--out", str(out))
    assert found.exit_code == 0, found.output
    cells = pd.read_csv(out / COUNTS).astype(str).to_numpy().ravel()
    assert any("'=1+1" in cell for cell in cells) and not any(c.startswith("=") for c in cells)


def test_columns_of_any_name_are_named_by_option(photos, tmp_path):
    table = photos / "pairs.csv"
    table.write_text(table.read_text().replace("image,caption,", "datei,worte,"))
    asked = [f"folder:{photos}", "--forget", "word=apple", "--out", str(tmp_path / "out")]
    assert "--image-column" in str(call(*asked).exception)
    found = call(*asked, "--image-column", "datei", "--caption-column", "worte")
    assert found.exit_code == 0 and "image is datei, caption is worte" in found.output
