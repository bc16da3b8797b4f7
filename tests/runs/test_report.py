"""Reports and pages: made from files, true to the numbers, safe, and without a network."""

from __future__ import annotations

import base64
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from erasekit.audit.audit_result import Audit, AuditRow, TestReport
from erasekit.errors import RunError
from erasekit.evaluate.scorecard import MODELS, Row, Scorecard
from erasekit.runs.report import (
    headline,
    render_notebook,
    score_table,
    write_comparison_page,
    write_index,
    write_report,
)

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
#: What fetches: addresses in src, href of a stylesheet, url(), @import, srcset.
LOADS = re.compile(
    r"""<(?:script|iframe|object|embed)\b|<link\b|@import|url\(|srcset=|src=["'](?:https?:)?//""",
    re.I,
)


#: What a name or a caption from the data may be.
BAD = """<script>alert(1)</script>"'>\n<img src=x onerror=alert(2)>$(touch owned)"""


class _Tags(HTMLParser):
    """The tags of a page as a browser sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def is_harmless(page: str) -> bool:
    """Whether nothing of `BAD` became a tag or an attribute."""
    tags = _Tags(page).found
    return len(tags) > 5 and not any(
        tag == "script"
        or attributes.get("src") == "x"
        or any(a.startswith("on") for a in attributes)
        for tag, attributes in tags
    )


def make_card(erased=0.0, retain=0.9, near=0.9, similarity=-0.5, models=MODELS) -> Scorecard:
    """A scorecard with the erased model as given beside plausible others."""
    top1 = {
        "original": (0.95, 0.93, 0.95),
        "erased": (erased, retain, near),
        "control": (0.9, 0.94, 0.94),
        "oracle": (0.0, 0.93, 0.95),
    }
    pair = {"original": 0.9, "erased": similarity, "control": 0.88, "oracle": -0.1}
    rows = []
    for model in models:
        for subset, value in zip(("forget", "retain", "neighbours"), top1[model], strict=True):
            rows.append(Row(model, "top1", subset, "image_to_text", value, value, value, 60))
        for value, way in ((0.6, "image_to_text"), (0.7, "text_to_image")):
            rows.append(Row(model, "recall@1", "retain", way, value, value - 0.1, value + 0.1, 200))
        rows.append(Row(model, "membership_auc", "forget", "pair", 0.5, 0.4, 0.6, 100))
        value = pair[model]
        rows.append(
            Row(model, "similarity", "forget", "pair", value, value - 0.05, value + 0.05, 60)
        )
    task = {
        "forget": ["red apple", "banana"],
        "forget_languages": ["en", "ja"],
        "forget_pairs": 40,
        "retain_pairs": 400,
        "split": "test",
        "neighbours": ["cookie"],
    }
    cost = {
        "original": {"seconds": 100.0, "steps": 700},
        "erased": {"seconds": 5.0, "steps": 100},
        "oracle": {"seconds": 90.0, "steps": 700},
    }
    return Scorecard(task, {m: c for m, c in cost.items() if m in models}, rows)


def make_run(folder: Path, card: Scorecard, params: dict | None = None) -> Path:
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "forget_retain.png").write_bytes(PIXEL)
    card.save(folder / "scorecard.json")
    params = params or {"profile": "smoke", "method": "cliperase", "options": {"forgetting": 3.0}}
    (folder / "params.json").write_text(json.dumps(params))
    (folder / "provenance.json").write_text(json.dumps({"versions": {"torch": "2.x"}, "seed": 0}))
    return folder


def text_of(page: Path) -> str:
    body = re.sub(r"<style>.*?</style>", "", page.read_text(encoding="utf-8"), flags=re.S)
    body = html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("\N{NO-BREAK SPACE}", " ")
    return re.sub(r"\s+", " ", body)


def leads(card: Scorecard) -> list[str]:
    return [sentence.lead for sentence in headline(card)]


# --- the headline ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("erased", "lead"),
    [
        (0.0, "Forgotten."),
        (0.05, "Forgotten."),
        (0.3, "Forgotten in part."),
        (0.8, "Not forgotten."),
    ],
)
def test_headline_says_whether_it_is_forgotten(erased, lead):
    first = headline(make_card(erased=erased))[0]
    assert first.lead == lead
    assert (first.mood == "good") == (lead == "Forgotten.")
    assert f"to {100 * erased:.1f}" in first.text and "95.0" in first.text


@pytest.mark.parametrize(
    ("retain", "near", "lead"),
    [
        (0.9, 0.9, "Kept."),
        (0.9, 0.5, "Kept, but the neighbours are damaged."),
        (0.5, 0.9, "Damaged."),
    ],
)
def test_headline_says_whether_the_rest_was_kept(retain, near, lead):
    assert leads(make_card(retain=retain, near=near))[1] == lead


@pytest.mark.parametrize(
    ("similarity", "lead"),
    [
        (-0.5, "Forgot more than the oracle."),
        (-0.15, "About as the oracle."),
        (0.4, "Forgot less than the oracle."),
    ],
)
def test_headline_compares_with_the_oracle_by_sign(similarity, lead):
    third = headline(make_card(similarity=similarity))[2]
    assert third.lead == lead
    gap = f"{100 * (similarity + 0.1):+.1f}".replace("-", "−")
    assert f"gap {gap} points" in third.text


def test_headline_without_an_oracle_says_so():
    card = make_card(models=("original", "erased"))
    assert leads(card) == ["Forgotten.", "Kept.", "No oracle."]


def test_headline_needs_an_erased_model():
    with pytest.raises(RunError, match="no erased model"):
        headline(make_card(models=("original", "oracle")))


# --- the table ------------------------------------------------------------------------


def test_table_averages_directions_and_signs_the_gap():
    table = score_table(make_card(erased=0.2))
    lines = {line["label"]: line for line in table["lines"]}
    assert table["models"] == list(MODELS)
    assert lines["top-1, forget"]["gap"] == "+20.0"
    assert lines["top-1, retain"]["gap"] == "−3.0"
    recall = lines["R@1, retain"]["cells"][0]
    assert recall["value"].startswith("65.0") and recall["interval"] == "55.0 to 75.0"
    assert lines["similarity, forget"]["cells"][1]["value"] == "−0.50"


# --- report.html ----------------------------------------------------------------------


def test_report_tells_the_run(tmp_path):
    page = write_report(make_run(tmp_path / "apples", make_card()))
    text = text_of(page)
    assert page == tmp_path / "apples" / "report.html"
    for part in (
        "apples",
        "red apple and banana",
        "Forgotten.",
        "Forgot more than the oracle.",
        "40 to forget, 400 to retain",
        "forgetting = 3.0",
        "Retraining took 18.0 times as long as erasing.",
        "versions.torch",
        "OpenMoji",
        "CC BY-SA 4.0",
    ):
        assert part in text
    assert base64.b64encode(PIXEL).decode() in page.read_text()


def test_report_works_without_oracle_and_figures(tmp_path):
    run = make_run(tmp_path / "run", make_card(models=("original", "erased")))
    (run / "figures" / "forget_retain.png").unlink()
    text = text_of(write_report(run))
    assert "No oracle." in text and "gap, points" not in text and "Pictures" not in text


def test_report_loads_nothing(tmp_path):
    page = write_report(make_run(tmp_path / "run", make_card())).read_text()
    assert not LOADS.search(page)
    assert all(uri.startswith("data:image/png") for uri in re.findall(r'src="([^"]*)"', page))


def test_report_escapes_what_it_is_given(tmp_path):
    card = make_card()
    card.task["forget"] = ["<script>alert(1)</script>"]
    params = {"method": '"><img src=x onerror=alert(2)>', "profile": "a & b", "options": {}}
    page = write_report(make_run(tmp_path / "a<b>", card, params)).read_text()
    assert "<script" not in page and "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page and "a &amp; b" in page and "a&lt;b&gt;" in page


def test_report_escapes_what_comes_from_the_data(tmp_path):
    card = make_card()
    card.task.update(forget=[BAD], neighbours=[BAD], forget_languages=[BAD])
    params = {"method": "cliperase", "forget": BAD, "data": f"folder:/{BAD}", "options": {BAD: BAD}}
    run = make_run(tmp_path / "run", card, params)
    (run / "figures" / "a\"'><img src=x onerror=alert(2)>.png").write_bytes(PIXEL)
    row = AuditRow("probes", BAD, BAD, BAD, 0.5, 0.4, 0.6, 9, 0.1, 0.0, 0.2, 0.1, BAD, BAD)
    test = TestReport("probes", BAD, BAD, BAD, BAD, BAD, [BAD], 1.0)
    Audit({}, {}, [], {}, [test], [row]).save(run / "audit.json")
    page = write_report(run).read_text()
    assert is_harmless(page)
    assert page.count("&lt;script&gt;alert(1)") >= 16


def test_comparison_escapes_what_comes_from_the_data(tmp_path):
    figure = tmp_path / "a\"'><img src=x onerror=alert(2)>.png"
    figure.write_bytes(PIXEL)
    table = pd.DataFrame({BAD: [BAD]}, index=[BAD])
    page = write_comparison_page(table, figure, tmp_path / "compare.html").read_text()
    assert is_harmless(page)
    assert page.count("&lt;script&gt;alert(1)") == 3


@pytest.mark.parametrize("name", ["params.json", "provenance.json", "scorecard.json"])
def test_report_refuses_a_folder_that_lacks_a_file(tmp_path, name):
    run = make_run(tmp_path / "run", make_card())
    (run / name).unlink()
    with pytest.raises(RunError, match=name) as caught:
        write_report(run)
    assert "\n" not in str(caught.value)
    assert not (run / "report.html").exists()


def test_report_of_a_real_run(tmp_path, tiny_scorecard):
    run = make_run(tmp_path / "run", tiny_scorecard)
    text = text_of(write_report(run))
    assert f"{tiny_scorecard.average_gap():.1f} points away from the oracle" in text


# --- index.html and notebooks ---------------------------------------------------------


def make_notebook(path: Path) -> Path:
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# Is <it> gone?\n\nOn to [next](01_data.ipynb)."),
            nbformat.v4.new_code_cell(
                "1 + 1",
                outputs=[
                    nbformat.v4.new_output(
                        "execute_result", {"text/plain": "2", "text/html": "<b>two</b>"}
                    ),
                    nbformat.v4.new_output(
                        "display_data", {"image/png": base64.b64encode(PIXEL).decode()}
                    ),
                    nbformat.v4.new_output(
                        "display_data",
                        {"text/html": "<script src='https://example.org/a.js'></script>kept"},
                    ),
                ],
            ),
        ]
    )
    nbformat.write(notebook, path)
    return path


def test_notebook_page_stands_alone(tmp_path):
    page = render_notebook(make_notebook(tmp_path / "00_x.ipynb"), tmp_path / "00_x.html")
    source = page.read_text()
    assert not LOADS.search(source)
    assert base64.b64encode(PIXEL).decode() in source
    assert 'href="index.html"' in source and 'href="01_data.html"' in source
    assert "<title>Is &lt;it&gt; gone?</title>" in source
    assert "two" in source and "kept" in source


@pytest.mark.parametrize("content", [None, "{", '{"a": 1}'])
def test_notebook_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "x.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RunError, match=r"x\.ipynb"):
        render_notebook(path, tmp_path / "x.html")


def test_index_links_notebooks_and_shows_the_verdict(tmp_path):
    (tmp_path / "figures").mkdir()
    figures = []
    for name in ("03_forget_retain", "06_forget_retain", "01_concepts"):
        figures.append(tmp_path / "figures" / f"{name}.png")
        figures[-1].write_bytes(PIXEL)
    notebooks = [
        {
            "name": "00_x",
            "title": "Is it <gone>?",
            "html": tmp_path / "00_x.html",
            "ipynb": "00_x.ipynb",
            "seconds": 125.0,
            "status": "completed",
        },
        {"name": "01_y", "title": "", "html": "", "ipynb": "", "seconds": 3, "status": "failed"},
    ]
    page = write_index(tmp_path, notebooks, make_card(), figures, "all rows <within> tolerance")
    source, text = page.read_text(), text_of(page)
    assert page == tmp_path / "index.html"
    assert 'href="00_x.html"' in source and 'href="00_x.ipynb"' in source
    assert 'href=""' not in source and not LOADS.search(source)
    assert "Is it <gone>?" in text and "2 min 5 s" in text and "01_y" in text and "failed" in text
    assert "all rows <within> tolerance" in text and "<within>" not in source
    # the last of a kind is a main picture; the others are folded away
    main, _, folded = source.partition("All other pictures")
    assert "figures/06_forget_retain.png" in main
    assert "figures/03_forget_retain.png" in folded and "figures/01_concepts.png" in folded


def test_index_escapes_titles_and_file_names(tmp_path):
    figure = tmp_path / "figures" / "a\"'><img src=x onerror=alert(2)>\n$(touch owned).png"
    figure.parent.mkdir()
    figure.write_bytes(PIXEL)
    files = {"html": f"{BAD}.html", "ipynb": tmp_path / f"{BAD[-20:]}.ipynb"}
    line = {"name": BAD, "title": BAD, "seconds": 1.0, "status": BAD, **files}
    page = write_index(tmp_path, [line], None, [figure], BAD).read_text()
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert len(links) == 3 and not any(re.search(r"""[\s"'<>$]""", link) for link in links)
    assert is_harmless(page)


def test_notebook_page_lets_no_script_run(tmp_path):
    """Markdown may hold HTML, so that what a browser does with it is for the page to forbid."""
    shown = [{"text/markdown": BAD}, {"text/html": BAD}, {"text/plain": BAD}]
    outputs = [nbformat.v4.new_output("display_data", each) for each in shown]
    cells = [
        nbformat.v4.new_markdown_cell(f"# {BAD}\n\n{BAD} [x](javascript:alert(3))"),
        nbformat.v4.new_code_cell("1", outputs=outputs),
    ]
    path = tmp_path / "00_x.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    page = render_notebook(path, tmp_path / "00_x.html").read_text()
    assert "<script" not in page
    head, _, body = page.partition("<body>")
    rule = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', head)
    assert rule is not None and "onerror" in body, "there is something to forbid"
    allowed = dict(part.split(maxsplit=1) for part in rule[1].split(";"))
    # Neither script nor network: what is not named falls under the default.
    assert allowed.pop("default-src") == "'none'"
    assert allowed == {"img-src": "data:", "style-src": "'unsafe-inline'"}


def test_index_without_results(tmp_path):
    text = text_of(write_index(tmp_path, [], None, []))
    assert "The scorecard" not in text and "The notebooks" in text
