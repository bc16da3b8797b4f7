"""The card of a model: true to the files, and nothing in it is trusted."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import mistune
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support_certificate import FORGOTTEN, NO_LEAK, audit_of, certificate_of, policy_of

from erasekit.certificate.certificate import certify
from erasekit.evaluate.scorecard import Scorecard
from erasekit.files import read_json, write_json
from erasekit.runs.run_folder import AUDIT, PARAMS, PROVENANCE, SCORECARD, RunFolder
from erasekit.sharing.model_card import model_card, plain

HOSTILE = (
    "<script>alert(1)</script> | *a* [b](javascript:c) ![d](//e) `f` https://g.example "
    "www.h.example # i\n# j &lt; $k$ m@n.example ~~o~~"
)


class Page(HTMLParser):
    """Tags, tables and text of a rendered card."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._inside:
            self.tables[-1][-1][-1] += data


def rendered(markdown: str) -> Page:
    """A card as a reader of Markdown shows it: with tables, bare links and struck text."""
    read = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough", "math"])
    page = Page()
    html = read(markdown)
    assert isinstance(html, str)
    page.feed(html)
    return page


def card_of(run: Path) -> tuple[str, Page]:
    text = model_card(RunFolder(run), "fruitless")
    return text, rendered(text.split("---\n", 2)[2])


def squeezed(text: str) -> str:
    return " ".join(text.split())


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
@example(HOSTILE)
@example("1. a")
@example("- a")
@example("\\")
@example("&amp; &#33;")
def test_any_text_is_shown_letter_by_letter(text: str) -> None:
    shown = plain(text)
    page = rendered(f"- **a** {shown}\n\n| b | c |\n| --- | --- |\n| {shown} | d |\n")
    assert set(page.tags) <= {"ul", "li", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert [len(line) for line in page.tables[0]] == [2, 2]
    assert squeezed(page.tables[0][1][0]) == squeezed(text)
    assert squeezed(page.text).startswith(squeezed(f"a {text}"))


def test_text_from_data_neither_breaks_the_card_nor_runs(run: Path) -> None:
    _, before = card_of(run)
    card = read_json(run / SCORECARD)
    card["task"] |= {"forget": [HOSTILE], "data": HOSTILE, "forget_languages": [HOSTILE]}
    write_json(run / SCORECARD, card)
    params = read_json(run / PARAMS)
    write_json(run / PARAMS, {**params, "options": {HOSTILE: HOSTILE}})
    audit = read_json(run / AUDIT)
    audit["tests"][0] |= {"title": HOSTILE, "reason": HOSTILE}
    write_json(run / AUDIT, audit)
    text, page = card_of(run)
    assert sorted(set(page.tags)) == sorted(set(before.tags))
    assert page.tags.count("h1") == 1
    assert not {"script", "a", "img"} & set(page.tags)
    assert "<script" not in text
    assert "<script>alert(1)</script>" in page.text


def test_no_folder_of_the_machine_is_told(run: Path) -> None:
    params = read_json(run / PARAMS)
    more = {"data": "folder:/home/me/photos", "model": "ViT-B-32:/srv/private/w.pt"}
    write_json(run / PARAMS, {**params, **more, "options": {"a": r"C:\Users\me\b"}})
    text, page = card_of(run)
    for told in ("folder:photos", "ViT-B-32:w.pt", "a = b"):
        assert told in page.text
    for hidden in ("home", "srv", "private", "Users"):
        assert hidden not in text
    write_json(run / PARAMS, {**params, "model": "hf-hub:org/name"})
    text, page = card_of(run)
    assert "hf-hub:org/name" in page.text
    assert "base_model: org/name" in text.split("---")[1]


def test_the_table_holds_every_value_with_its_interval(run: Path) -> None:
    card = Scorecard.load(run / SCORECARD)
    _, page = card_of(run)
    table = next(t for t in page.tables if t[0][0].startswith("measure"))
    assert table[0][1:] == [*card.models, "gap (points)"]
    assert {"original", "erased", "control", "oracle"} == set(card.models)
    lines = {line[0]: line[1:] for line in table[1:]}
    assert len(lines) == len({(row.metric, row.subset) for row in card.rows})

    def share(cell: str) -> list[float]:
        value, ends = cell.replace(" %", "").split(" (")
        return [float(value), *map(float, ends.strip(")").split(" to "))]

    for row in card.rows:
        if (row.metric, row.subset) == ("top1", "forget"):
            cell = lines["top-1, forget"][card.models.index(row.model)]
            expected = [100 * v for v in (row.value, row.low, row.high)]
            assert share(cell) == pytest.approx(expected, abs=0.051)
    by_model = {r.model: r for r in card.rows if (r.metric, r.subset) == ("top1", "retain")}
    gap = 100 * (by_model["erased"].value - by_model["oracle"].value)
    assert float(lines["top-1, retain"][-1].replace("−", "-")) == pytest.approx(gap, abs=0.051)


def test_costs_method_and_audit_are_those_of_the_files(run: Path) -> None:
    params, card = read_json(run / PARAMS), Scorecard.load(run / SCORECARD)
    _, page = card_of(run)
    rows = {line[0]: line[1:] for table in page.tables for line in table if len(line) > 1}
    assert rows["method"] == [params["method"]]
    assert rows["steps"] == [str(params["steps"])]
    assert rows["forgotten"] == [", ".join(card.task["forget"])]
    cost = card.cost["erased"]
    assert rows["erasing"] == [str(cost["steps"]), f"{cost['seconds']:.1f}"]
    assert rows["Other wordings"] == ["as the oracle", "3 of 4"]
    assert rows["weights, sha256"] == [read_json(run / PROVENANCE)["models"]["erased"]]


def test_the_certificates_outcome_stands_in_it(certified: Path) -> None:
    certificate = certificate_of(certified)
    _, page = card_of(certified)
    assert "The policy “trial” is not met: of 2 criteria, 1 not met." in page.text
    assert certificate["sha256"] in page.text
    assert "and has a signature" in page.text
    rows = {line[0]: line[1] for table in page.tables for line in table if len(line) == 2}
    assert (rows["forgotten"], rows["no-leak"]) != ("met", "met")
    assert rows["no-leak"] == "met"
    assert "not checked against a policy" not in page.text


def test_what_was_not_measured_is_said(run: Path) -> None:
    said = {
        "no audit": "no attack was tried",
        "no oracle": "No model was retrained",
        "no control": "No control was fine-tuned",
        "no certificate": "not checked against a policy",
        "always": "Erasing does not prove deletion",
        "left out": "Not tried on it: ",
        "few oracles": "had 0 retrained models",
    }

    def found() -> set[str]:
        _, page = card_of(run)
        return {name for name, words in said.items() if words in squeezed(page.text)}

    assert found() == {"no certificate", "always", "left out"}
    models = read_json(run / PROVENANCE)["models"]
    audit_of(oracles=0, erased=models["erased"]).save(run / AUDIT)
    assert found() == {"no certificate", "always", "left out", "few oracles"}
    (run / AUDIT).unlink()
    card = read_json(run / SCORECARD)
    card["rows"] = [r for r in card["rows"] if r["model"] in ("original", "erased")]
    write_json(run / SCORECARD, card)
    assert found() == {"no audit", "no oracle", "no control", "no certificate", "always"}
    text, page = card_of(run)
    assert "gap (points)" not in page.text
    assert "None" not in text.replace("\nNone.\n", "")  # the certificate's place


def test_a_certified_run_without_a_signature_says_so(run: Path) -> None:
    certify(run, policy_of(FORGOTTEN, NO_LEAK))
    _, page = card_of(run)
    assert "and is not signed" in page.text
