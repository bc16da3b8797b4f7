"""Rollout: only what is verified and unchanged is promoted, and it is taken back at once."""

from __future__ import annotations

import csv
import shutil
import time
from pathlib import Path

import pytest
from support_pages import BAD, LOADS, is_harmless
from support_requests import approved_registry, file_and_approve

from erasekit.errors import RunError, UsageError
from erasekit.files import read_json
from erasekit.requests import making
from erasekit.requests.filing import add_request, decide_request
from erasekit.requests.queue_page import write_queue
from erasekit.requests.registry_folder import ALIASES, Registry
from erasekit.requests.rollout import promote, rollback


@pytest.fixture
def verified(tmp_path: Path, whole_run: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr(making, "run_erase", lambda _, out, **__: shutil.copytree(whole_run, out))
    registry = approved_registry(tmp_path)
    making.run_requests(registry)
    making.verify_version(registry)
    return registry


def test_candidate_canary_live_and_back(verified: Registry) -> None:
    assert read_json(verified.folder / ALIASES)["candidate"]["version"] == "v1"
    assert promote(verified)[0].stage == "canary"
    assert promote(verified)[0].stage == "live"
    served = read_json(verified.folder / ALIASES)
    assert served == {"live": {"version": "v1", "model": "runs/v1/model"}}
    with pytest.raises(UsageError, match="say why"):
        rollback(verified, " ")
    started = time.process_time()
    assert rollback(verified, "complaints").id == "v0"
    assert time.process_time() - started < 1
    assert read_json(verified.folder / ALIASES)["live"]["version"] == "v0"
    assert verified.book.requests["r1"].state == "rolled_back"
    with pytest.raises(UsageError, match="no version is verified"):
        promote(verified)


def test_a_changed_model_is_not_promoted(verified: Registry) -> None:
    weights = verified.run_folder("v1") / "model" / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(RunError, match="no longer agrees with its certificate: model/open_clip"):
        promote(verified)
    assert Registry(verified.folder).book.versions["v1"].stage == "candidate"


def test_a_shadow_comparison_lists_the_answers_that_differ(
    verified: Registry, own_folder: Path
) -> None:
    _, found = promote(verified, queries=own_folder)
    assert found is not None
    with (verified.folder / found["table"]).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == found["changed"]
    assert found["queries"] > 0
    assert sum(row["asked for"] == "yes" for row in rows) == found["asked"]
    for row in rows:
        assert row["answer of the live model"] != row["answer of the new model"]


def test_the_page_is_harmless_and_whole(verified: Registry) -> None:
    file_and_approve(verified, "owl")
    verified.who = BAD
    promote(verified, why=BAD)
    page = write_queue(verified).read_text(encoding="utf-8")
    assert is_harmless(page)
    assert not LOADS.search(page)
    assert 'class="why"' not in page
    denied = add_request(verified, "penguin").id
    decide_request(verified, "refuse", denied, BAD)
    page = write_queue(verified).read_text(encoding="utf-8")
    assert is_harmless(page)
    assert '<p class="why">denied: ' in page
    for word in ("<strong>2</strong> open", "fruit", "owl", "runs/v1/certificate.html", "canary"):
        assert word in page
