"""The page: what it says in words, that it is safe, and that it needs nothing else."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from support_certificate import FORGOTTEN, NO_LEAK, audit_of, audit_row, card_of, policy_of, row

from erasekit.audit.verdict import AS_THE_ORACLE, LESS
from erasekit.certificate.certificate import certify
from erasekit.certificate.certificate_page import line_of_text, render, verdict
from erasekit.certificate.judgement import judge, overall
from erasekit.runs.run_folder import CERTIFICATE_PAGE

RECALL = {**FORGOTTEN, "id": "recall", "metric": "recall@5"}
LOADS = re.compile(r"<(?:script|link|iframe|object|img)\b|@import|url\(|src=", re.I)


def made(*entries: dict[str, Any], unit: str = "share", **more: Any) -> dict[str, Any]:
    """A certificate on a small scorecard and audit."""
    card = card_of(
        row("original", 0.95),
        row("erased", 0.032),
        row("oracle", 0.06),
        row("erased", 0.1, metric="recall@1"),
    )
    audit = audit_of(audit_row("ja", 0.02, AS_THE_ORACLE), audit_row("upper case", 0.3, LESS))
    policy = policy_of(*entries)
    judged = [judge(c, card, audit) for c in policy.criteria]
    criteria = [
        {**c.as_dict(), "unit": unit, "doubtful": False, **found.as_dict()}
        for c, found in zip(policy.criteria, judged, strict=True)
    ]
    return {
        "erasekit": "0.1.0",
        "made": "2026-02-03T04:05:06+00:00",
        "run": "fruit",
        "policy": policy.as_dict(),
        "policy_sha256": "p" * 64,
        "task": {"forget": ["banana"], "split": "test", "data": "openmoji"},
        "parameters": {"method": "cliperase", "options": {"forgetting": 3.0}},
        "provenance": {"commit": "abc", "dirty": True, "data": {"spec": "d" * 64}},
        "audit": [{"title": "Other wordings", "question": "So?", "verdict": LESS}],
        "result": overall(judged),
        "criteria": criteria,
        "not_tested": [{"title": "Shadow models", "question": "Which were learnt?"}],
        "limits": ["It proves nothing."],
        "signer": None,
        "files": {"params.json": "f" * 64},
        **more,
    }


def text_of(page: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    body = html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("\N{NO-BREAK SPACE}", " ")
    return re.sub(r"\s+", " ", body)


def test_it_tells_what_was_asked_measured_and_not_tested() -> None:
    text = text_of(render(made(FORGOTTEN, {**NO_LEAK, "metric": "top1"}, RECALL), "c" * 64))
    for part in (
        "made on 2026-02-03 at 04:05 UTC",
        "The policy “trial” is not met: of 3 criteria, 1 not met and 1 not tested.",
        "To try it.",
        "No longer named. scorecard · top1 · forget 3.2 % interval 1.2 % to 5.2 % "
        "at most 5.0 % ✓ met",
        "as the oracle (1 of 2); less forgotten than the oracle (1 of 2) not met: upper case",
        "✕ not met",
        "the scorecard has no recall@5 on forget for erased",
        "– not tested",
        "It proves nothing.",
        "Shadow models : Which were learnt?",
        "Other wordings So? less forgotten than the oracle",
        "cliperase: forgetting = 3.0",
        "abc with changes",
        "c" * 64,
        "p" * 64,
        "params.json " + "f" * 64,
        "not signed",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("entries", "sentence", "mood"),
    [
        ([FORGOTTEN], "The policy “trial” is met: 1 of 1 criteria.", "good"),
        (
            [RECALL],
            "The policy “trial” is not shown to be met: of 1 criteria, 1 not tested.",
            "open",
        ),
        (
            [{**FORGOTTEN, "at_most": 0}, {**FORGOTTEN, "id": "b", "at_most": 0}, NO_LEAK],
            "The policy “trial” is not met: of 3 criteria, 2 not met.",
            "bad",
        ),
    ],
)
def test_the_outcome_is_said_in_words(entries: list, sentence: str, mood: str) -> None:
    certificate = made(*entries)
    assert verdict(certificate) == sentence
    assert f'class="outcome {mood}"' in render(certificate, "")
    assert sentence in text_of(render(certificate, ""))


KNOWN = {**FORGOTTEN, "id": "known", "at_most": 0.96}


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        (
            [FORGOTTEN, KNOWN],
            "The policy “trial” is met: of 2 criteria, 1 met and 1 already met by the original, "
            "which does not count as forgetting.",
        ),
        (
            [KNOWN],
            "The policy “trial” is not shown to be met: of 1 criteria, 1 already met by the "
            "original, which does not count as forgetting.",
        ),
    ],
)
def test_what_the_original_met_too_does_not_count(entries: list, sentence: str) -> None:
    certificate = made(*entries)
    assert verdict(certificate) == sentence
    assert "○ already met the original met it too" in text_of(render(certificate, ""))


def test_a_request_is_counted_and_listed() -> None:
    request = {
        "asked": {"kind": "list", "text": "files=l.txt", "entries": ["a.png", "b.png", "no.png"]},
        "found": ["a.png", "b.png"],
        "completed": {"b.png": "in/b.png"},
        "not_found": ["no.png"],
        "also_removed": [{"image": "c.png", "copy_of": "a.png", "kind": "pixel"}],
        "erased": ["a.png", "b.png", "c.png"],
        "by_split": {"train": 2, "validation": 0, "test": 1},
    }
    text = text_of(render(made(FORGOTTEN, request=request), ""))
    for part in (
        "asked 3 a.png b.png no.png",
        "found 2 a.png b.png, completed to in/b.png",
        "not found 1 no.png",
        "also removed: copies 1 c.png, a pixel copy of a.png",
        "erased: pictures 3 a.png b.png c.png",
        "train 2, validation 0, test 1",
    ):
        assert part in text
    assert "also removed" not in text_of(render(made(FORGOTTEN), ""))


GAP = {**FORGOTTEN, "compare": "gap"}
DROP = {**FORGOTTEN, "compare": "drop_from_original", "at_most": 0.1}
ROWS = {k: v for k, v in NO_LEAK.items() if k != "verdict_in"} | {"metric": "top1"}


@pytest.mark.parametrize(
    ("entry", "unit", "line"),
    [
        (FORGOTTEN, "share", "met: forgotten: 3.2 %, asked: at most 5.0 %"),
        ({**FORGOTTEN, "use": "high"}, "share", "not met: forgotten: 5.2 %, asked: at most 5.0 %"),
        (GAP, "share", "met: forgotten: −2.8 points, asked: at most +5.0 points"),
        (DROP, "share", "not met: forgotten: 91.8 points, asked: at most 10.0 points"),
        (FORGOTTEN, "cosine", "met: forgotten: +0.03, asked: at most +0.05"),
        (FORGOTTEN, "auc", "met: forgotten: 0.03, asked: at most 0.05"),
        (RECALL, "share", "not tested: recall: the scorecard has no recall@5 on forget for erased"),
        (NO_LEAK, "", "met: no-leak: as the oracle, asked: as the oracle; or cannot tell"),
        # of several values the one furthest towards its bound
        ({**ROWS, "at_most": 0.1}, "share", "not met: no-leak: 30.0 %, asked: at most 10.0 %"),
        ({**ROWS, "at_least": 0.1}, "share", "not met: no-leak: 2.0 %, asked: at least 10.0 %"),
    ],
)
def test_numbers_are_in_the_units_that_people_use(entry: dict, unit: str, line: str) -> None:
    (criterion,) = made(entry, unit=unit)["criteria"]
    assert line_of_text(criterion).replace("\N{NO-BREAK SPACE}", " ") == line


def test_the_result_is_never_colour_alone() -> None:
    page = render(made(FORGOTTEN, {**FORGOTTEN, "id": "b", "at_most": 0}, RECALL), "")
    cells = re.findall(r'class="result \w+"><span class="sign">(.)</span> ([a-z ]+)</td>', page)
    assert [word for _, word in cells] == ["met", "not met", "not tested"]
    assert len({sign for sign, _ in cells}) == 3


def test_a_criterion_met_in_doubt_is_marked() -> None:
    certificate = made(FORGOTTEN)
    assert "cannot tell" not in text_of(render(certificate, "")).split("The words used here")[0]
    certificate["criteria"][0]["doubtful"] = True
    assert "✓ met though the audit cannot tell" in text_of(render(certificate, ""))


def test_it_escapes_what_it_is_given() -> None:
    bad = "<script>alert(1)</script>"
    certificate = made(
        {**FORGOTTEN, "about": bad, "id": bad}, run=bad, limits=[bad], files={bad: "f"}
    )
    page = render(certificate, "")
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 4


def test_it_loads_nothing_and_is_the_same_every_time() -> None:
    certificate = made(FORGOTTEN)
    page = render(certificate, "c" * 64)
    assert not LOADS.search(page)
    assert page == render(certificate, "c" * 64)
    assert page != render(certificate, "d" * 64)


def test_a_signed_one_says_what_verifies_it_without_erasekit() -> None:
    assert "DSSE" not in render(made(FORGOTTEN), "")
    assert "any tool that reads DSSE envelopes" in render(made(FORGOTTEN, signer="k" * 64), "")


def test_the_page_of_a_real_run(run: Path) -> None:
    content = certify(run, policy_of(FORGOTTEN, NO_LEAK))
    text = text_of((run / CERTIFICATE_PAGE).read_text(encoding="utf-8"))
    assert verdict(content) in text
    for value in (*content["files"].values(), *content["provenance"]["models"].values()):
        assert value in text
    for limit in content["limits"]:
        assert limit in text
