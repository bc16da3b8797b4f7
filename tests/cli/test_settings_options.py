"""Settings as options: what the help shows, and what text becomes."""

from __future__ import annotations

import pytest

from erasekit.cli import app as cli
from erasekit.cli.settings_options import setting_option, with_settings
from erasekit.errors import UsageError
from erasekit.settings import DECLARED, PROFILES, Settings, make_settings


@pytest.mark.parametrize("name", DECLARED)
def test_an_option_shows_what_is_declared(name: str) -> None:
    one, option = DECLARED[name], setting_option(name)
    assert one.help in option.help
    assert one.range in option.help
    assert all(word in option.metavar for word in one.choices)
    assert one.default in ("", {}) or f"default: {one.default}" in option.help


def test_a_command_gets_one_settings_object_from_options_and_set() -> None:
    """Every value of a profile, given as text, is the profile's value again."""
    seen: list[Settings] = []
    command = with_settings("steps", "options")(lambda settings: seen.append(settings))
    smoke = PROFILES["smoke"]
    more = [f"{name} = {value}" for name, value in smoke.items() if name != "steps"]
    command(profile=None, steps=str(smoke["steps"]), options=["scaled=true"], set_=more)
    expected = make_settings("default", **smoke, options={"scaled": "true"})
    assert seen == [expected]


def test_a_run_folder_brings_its_own_settings() -> None:
    command = with_settings("seed", instead_of="run", of_model=("out",))(
        lambda settings, run, out: settings
    )
    nothing = {"run": "a", "out": None, "profile": None, "seed": None, "set_": None}
    assert command(**nothing) == Settings()
    for given in ({"profile": "smoke"}, {"seed": "1"}, {"set_": ["steps=1"]}, {"out": "a.json"}):
        with pytest.raises(UsageError, match=f"--{next(iter(given)).strip('_')} goes with --model"):
            command(**{**nothing, **given})


def test_the_help_shows_settings_by_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["erase", "--help"]) == 0
    shown = capsys.readouterr().out
    sections = [shown.index(f"\n{name}:\n") for name in ("Options", "Task", "Erasing", "Computing")]
    assert sections == sorted(sections)
    place = shown.index("--device [auto|cpu|cuda|mps]")
    assert place > sections[-1]
    assert "--learning-rate NUMBER" in shown
    assert "[above 0; default: 0.001]" in " ".join(shown.split())
