"""Notebooks in JupyterLab, in a real browser: run by hand, with a misspelt parameter, answered.

The quickstart is part of every test run. 01 to 05, and exercises answered wrong and right, take
ten minutes: ERASEKIT_TEST_DEFAULT=1 runs them.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support_notebooks import NOTEBOOKS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("no chromium on the path (Debian: apt install chromium)", allow_module_level=True)
playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install '.[browser]'"
)

QUICKSTART = "00_quickstart"
LEARNERS = (
    QUICKSTART,
    *("01_data", "02_base_model", "03_forgetting"),
    "04_retention",
    "05_consistency",
)
# JupyterLab's own model of the notebook: cells far down the page have no element yet.
CELLS = """() => {
  const book = window.jupyterapp?.shell.currentWidget;
  if (!book || !book.content || !book.content.model || !book.sessionContext.session) return null;
  return book.content.widgets.map(cell => {
    const model = cell.model.toJSON();
    return {source: [].concat(model.source).join(""), kind: model.cell_type,
            count: model.execution_count, outputs: model.outputs || []};
  });
}"""
IDLE = """() => {
  const session = window.jupyterapp?.shell.currentWidget?.sessionContext?.session;
  return session && session.kernel && session.kernel.status === "idle";
}"""
# The answers to what was sent may come after the command's own end.
DONE = """() => {
  const book = window.jupyterapp.shell.currentWidget;
  const cells = book.content.widgets.map(cell => cell.model.toJSON());
  const code = cells.filter(cell => cell.cell_type === "code");
  const failed = code.some(cell => cell.outputs.some(o => o.output_type === "error"));
  const idle = book.sessionContext.session.kernel.status === "idle";
  return idle && (failed || code.every(cell => cell.execution_count));
}"""
RUN = "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"
RENAME = """([from, to]) => {
  const cells = window.jupyterapp.shell.currentWidget.content.widgets;
  const model = cells.map(cell => cell.model.sharedModel).find(m => m.getSource().includes(from));
  if (model) model.setSource(model.getSource().replace(from, to));
}"""
# What a reader types who has not understood.
WRONG = """() => {
  for (const cell of window.jupyterapp.shell.currentWidget.content.widgets) {
    const model = cell.model.sharedModel, source = model.getSource();
    if (source.startsWith("answer = None")) model.setSource("answer = 'nonsense'");
    if (source.startsWith("def answer("))
      model.setSource(source.replace("...", "return 'nonsense'"));
  }
}"""
# A cell that is not on the screen has no drawn text: it is brought there first.
SHOW = """part => {
  const book = window.jupyterapp.shell.currentWidget.content;
  const found = book.widgets.findIndex(c => c.model.sharedModel.getSource().includes(part));
  return book.scrollToItem(found, "smart");
}"""
LAST_LINE = """part => [...document.querySelectorAll(".jp-RenderedText")]
  .map(output => output.innerText.trim()).filter(text => text.includes(part))
  .map(text => text.split("\\n").pop())[0]"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A JupyterLab that serves copies of the notebooks; the address, with a place for the name."""
    folder = tmp_path_factory.mktemp("lab")
    for name in LEARNERS:
        shutil.copy(NOTEBOOKS / f"{name}.ipynb", folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--port={port}", f"--IdentityProvider.token={token}"]
    command += [f"--ServerApp.root_dir={folder}", "--expose-app-in-browser"]
    cache = os.environ.get("ERASEKIT_TEST_CACHE") or str(folder / "cache")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, env={**os.environ, "ERASEKIT_CACHE": cache}, stdout=log, stderr=log
        )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/lab/tree/{{}}.ipynb?token={token}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Any, server: str, name: str) -> Any:
    """The page with this notebook, once it is drawn."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(server.format(name), timeout=120_000)
    page.wait_for_function(CELLS, timeout=120_000)
    return page


@pytest.fixture(scope="module")
def page(browser: Any, server: str) -> Any:
    return opened(browser, server, QUICKSTART)


def run_all(page: Any) -> list[dict[str, Any]]:
    """Run every cell, as the menu does; the code cells afterwards."""
    page.wait_for_function(IDLE, timeout=120_000)
    page.evaluate(RUN)  # returns when the last cell has run, or one has stopped
    page.wait_for_function(DONE, timeout=600_000)
    return [cell for cell in page.evaluate(CELLS) if cell["kind"] == "code"]


def errors(cells: list[dict[str, Any]]) -> list[str]:
    return [
        json.dumps(output)
        for cell in cells
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]


@pytest.mark.slow
def test_run_all_runs_every_cell_and_leaves_the_exercises_to_the_reader(page) -> None:
    cells = run_all(page)
    assert errors(cells) == []
    assert all(cell["count"] for cell in cells)
    said = json.dumps([cell["outputs"] for cell in cells])
    assert "Your turn." in said
    assert "<figcaption>" in said
    assert page.locator("figure img[alt]").count() > 0


@pytest.mark.slow
def test_a_misspelt_parameter_is_refused_in_the_next_cell_by_its_last_line(page) -> None:
    page.evaluate(RENAME, ["forget: str", "forgett: str"])
    cells = run_all(page)
    failed = [cell for cell in cells if errors([cell])]
    stopped = failed[0]
    assert "notebook.begin(" in stopped["source"]
    # Cells that were sent before the refusal was known may still run; they find no old value.
    assert all("NameError" in errors([cell])[0] for cell in failed[1:])
    page.evaluate(SHOW, "notebook.begin(")
    page.wait_for_function(LAST_LINE, arg="unknown parameter", timeout=120_000)
    last = page.evaluate(LAST_LINE, "unknown parameter")
    assert "unknown parameter of 00_quickstart 'forgett': did you mean 'forget'?" in last


@pytest.mark.default
@pytest.mark.parametrize("name", LEARNERS)
def test_exercises_answered_wrong_get_a_hint_and_right_ones_are_right(
    browser, server, name
) -> None:
    page = opened(browser, server, name)
    page.evaluate(RENAME, ['profile: str = "default"', 'profile: str = "smoke"'])
    page.evaluate(WRONG)
    for judged in ("Not yet.", "Right."):
        cells = run_all(page)
        assert errors(cells) == []
        assert [c["source"] for c in cells if not c["count"]] == []
        exercises = [c["outputs"] for c in cells if c["source"].startswith("nb.exercise(")]
        assert len(exercises) == 2
        assert all(judged in json.dumps(outputs) for outputs in exercises)
        page.evaluate(RENAME, ["solve: bool = False", "solve: bool = True"])
    page.close()
