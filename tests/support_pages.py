"""What tests of pages share: a made-up run, names that would do harm, and a page's text."""

from __future__ import annotations

import base64
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

from erasekit.evaluate.scorecard import MODELS, Row, Scorecard

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
