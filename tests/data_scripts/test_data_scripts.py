"""The drawings' checker, run as a process: what it counts, finds and writes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

from erasekit.data.drawn.concepts import curated

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "data_scripts" / "check_drawings.py"
CARD = ROOT / "erasekit" / "data" / "drawn" / "DATASET_CARD.md"


def run(*arguments: str, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False
    )


def test_the_drawings_are_those_that_were_recorded(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    done = run("--sheet", str(sheet))
    assert (done.returncode, done.stderr) == (0, "")
    assert "all drawings are there, as recorded, and render" in done.stdout
    with Image.open(sheet) as page:
        tiles = (page.width // 64) * (page.height // 64)
        assert tiles >= len(curated())
        first = page.crop((0, 0, 64, 64)).convert("RGB")
        red = sum(r > 180 and g < 110 and b < 110 for r, g, b in first.getdata())
        assert red > 400  # the red apple comes first
    # The dataset card gives the same counts.
    card = CARD.read_text(encoding="utf-8")
    for line in done.stdout.splitlines():
        if line.startswith(("trained", "holdout", "train:", "validation:", "test:", "named")):
            numbers = re.findall(r"\d+", line)
            assert all(f"{int(n):,}" in card for n in numbers), line


def test_a_changed_drawing_is_named(tmp_path: Path) -> None:
    script = tmp_path / SCRIPT.name
    shutil.copy(SCRIPT, script)
    recorded = json.loads((SCRIPT.parent / "checksums.json").read_text(encoding="utf-8"))
    recorded["drawings"]["🍌"] = "0" * 64
    (tmp_path / "checksums.json").write_text(json.dumps(recorded), encoding="utf-8")
    done = run("--concepts", "8", script=script)
    assert done.returncode == 1
    assert "error: banana: 1F34C.svg is not the drawing that was recorded" in done.stderr
    # Recorded again, as after a new version of the drawings, the check passes.
    assert run("--concepts", "8", "--write", script=script).returncode == 0
    assert json.loads((tmp_path / "checksums.json").read_text(encoding="utf-8")) == json.loads(
        (SCRIPT.parent / "checksums.json").read_text(encoding="utf-8")
    )


def test_what_cannot_be_is_refused_in_one_line() -> None:
    done = run("--concepts", "5")
    assert done.returncode == 2
    assert re.fullmatch(r"error: concepts = 5: .*\n", done.stderr)


def test_help_teaches() -> None:
    text = run("--help").stdout
    assert "Exit code 0" in text
    assert "--sheet" in text and "--write" in text
