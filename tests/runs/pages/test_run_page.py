"""`report.html`: made from files, true to the numbers, safe, and without a network."""

from __future__ import annotations

import base64
import re

import pytest
from support_pages import BAD, LOADS, PIXEL, is_harmless, make_card, make_run, text_of

from erasekit.audit.audit_result import Audit, AuditRow, TestReport
from erasekit.errors import RunError
from erasekit.runs.pages.run_page import write_report


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
    row = AuditRow("probes", BAD, BAD, BAD, 0.5, 0.4, 0.6, 9, 0.1, 0.0, 0.2, 0.1, 0.1, BAD, BAD)
    test = TestReport("probes", BAD, BAD, BAD, BAD, BAD, BAD, [BAD], 1.0)
    Audit({}, {}, [], {}, [test], [row]).save(run / "audit.json")
    page = write_report(run).read_text()
    assert is_harmless(page)
    assert page.count("&lt;script&gt;alert(1)") >= 16


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
