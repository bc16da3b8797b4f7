"""The page that shows the whole tutorial."""

from __future__ import annotations

import re

from support_pages import BAD, LOADS, PIXEL, is_harmless, make_card, text_of

from erasekit.tutorial.tutorial_page import write_index


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


def test_index_without_results(tmp_path):
    text = text_of(write_index(tmp_path, [], None, []))
    assert "The scorecard" not in text and "The notebooks" in text
