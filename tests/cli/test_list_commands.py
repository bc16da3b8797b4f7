"""`list`: what there is to choose from, for people and as JSON."""

from __future__ import annotations

import json

import pytest

from erasekit.cli import app as cli
from erasekit.cli.catalogue import LISTINGS
from erasekit.settings import DECLARED, PROFILES, make_settings
from erasekit.unlearn.registry import METHODS


def test_list_methods_as_json_has_every_option_and_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["list", "methods", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(METHODS)
    assert listed["cliperase"]["options"]["forgetting"] == 3.0
    for name, entry in listed.items():
        assert METHODS[name].build(entry["options"]) == METHODS[name]()
        assert entry["summary"]
        assert entry["source"]


def test_list_concepts_as_json_has_groups_attributes_and_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["list", "concepts", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    apple = next(entry for entry in listed if entry["name"] == "red apple")
    assert apple["group"] == "fruit"
    assert apple["attributes"]["colour"] == "red"
    assert apple["emoji"] == "\N{RED APPLE}"
    assert {"en", "ja", "ru", "ar"} <= set(apple["names"])
    assert len({e["group"] for e in listed if e["holdout"]}) == 2
    assert len({e["group"] for e in listed if not e["holdout"]}) >= 12


def test_list_all_concepts_is_more_than_a_thousand(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["list", "concepts", "--all", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) > 1000


def test_list_for_people_names_every_entry(capsys: pytest.CaptureFixture[str]) -> None:
    for what, entries in LISTINGS.items():
        assert cli.run(["list", what]) == 0
        shown = capsys.readouterr().out
        assert all(entry["name"] in shown for entry in entries())


def test_list_settings_has_what_is_declared_and_each_profiles_defaults(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["list", "settings", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(DECLARED)
    assert listed["steps"]["unit"] == "steps"
    assert listed["device"]["type"] == "auto|cpu|cuda|mps"
    for profile in set(PROFILES) - {"paper"}:
        defaults = {name: entry["defaults"][profile] for name, entry in listed.items()}
        made = make_settings(**{**defaults, "profile": profile})
        assert made == make_settings(profile)
