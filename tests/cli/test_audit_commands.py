"""`erasekit audit` on a run folder, on any model, and on models whose verdict is known."""

from __future__ import annotations

import shutil
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from erasekit.audit.audit_result import Audit
from erasekit.cli import app as cli
from erasekit.files import read_json, write_json
from erasekit.models.clip import CONFIG_FILE, WEIGHTS_FILE, load_clip
from erasekit.runs.manifest import write_manifest

TESTS = "prompt_leaks,over_forgetting,language_leaks"


@pytest.fixture
def run_copy(whole_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole_run, tmp_path / "run"))


@pytest.fixture(scope="module")
def world(tiny: dict) -> list[str]:
    given = {k: v for k, v in tiny.items() if k != "steps"}
    return ["--profile", "smoke", *(w for k, v in given.items() for w in ("--set", f"{k}={v}"))]


def test_a_run_gets_its_audit_its_pictures_and_a_part_of_the_report(
    run_copy: Path, capsys: pytest.CaptureFixture[str]
):
    assert cli.run(["audit", str(run_copy), "--tests", TESTS]) == 0
    printed = capsys.readouterr().out
    found = Audit.load(run_copy / "audit.json")
    assert list(found.verdicts) == TESTS.split(",")
    assert len(found.oracles) == 3
    for report in found.tests:
        assert report.title in printed
        assert report.verdict in printed
    names = {path.stem for path in (run_copy / "figures").glob("audit_*.png")}
    assert {"audit_verdicts", "audit_collateral", "audit_values_prompt_leaks"} <= names
    page = (run_copy / "report.html").read_text(encoding="utf-8")
    assert "Is it really gone?" in page
    assert found.tests[0].question in page
    # A second audit takes the place of the first, its pictures included.
    assert cli.run(["audit", str(run_copy), "--tests", "prompt_leaks", "--no-oracle"]) == 0
    again = Audit.load(run_copy / "audit.json")
    assert list(again.verdicts) == ["prompt_leaks"]
    assert again.oracles == []
    assert not (run_copy / "figures" / "audit_collateral.png").exists()


def test_a_run_of_changed_weights_is_refused(run_copy: Path, capsys):
    weights = run_copy / "model" / WEIGHTS_FILE
    clip = load_clip(run_copy / "model")
    state = {k: v.contiguous() for k, v in clip.model.state_dict().items()}
    state["logit_scale"] = state["logit_scale"] + 0.5
    save_file(state, weights)
    assert cli.run(["audit", str(run_copy), "--tests", TESTS]) == 2
    assert f"{WEIGHTS_FILE}: changed since the run was made" in capsys.readouterr().err
    write_manifest(run_copy)
    assert cli.run(["audit", str(run_copy), "--tests", TESTS]) in (1, 2)
    assert "not the model that this run made" in capsys.readouterr().err
    assert not (run_copy / "audit.json").exists()


def test_a_report_with_a_damaged_audit_says_which_file(run_copy: Path, capsys):
    (run_copy / "audit.json").write_text("{}", encoding="utf-8")
    assert cli.run(["report", str(run_copy)]) == 2
    assert "audit.json: added since the run was made" in capsys.readouterr().err
    write_manifest(run_copy)
    assert cli.run(["report", str(run_copy)]) == 1
    assert "audit.json is not an audit" in capsys.readouterr().err


@pytest.fixture
def foreign(whole_run: Path, tmp_path: Path) -> Path:
    """A vision transformer for pictures of 64 pixels: nothing that erasekit trains."""
    folder = Path(shutil.copytree(whole_run / "model", tmp_path / "foreign"))
    config = read_json(folder / CONFIG_FILE)
    config["model_cfg"]["vision_cfg"] = {
        "image_size": 64,
        "layers": 2,
        "width": 64,
        "head_width": 32,
        "patch_size": 16,
    }
    write_json(folder / CONFIG_FILE, config)
    torch.manual_seed(0)
    plain = {**config["model_cfg"], "text_cfg": dict(config["model_cfg"]["text_cfg"])}
    plain["text_cfg"].pop("hf_tokenizer_name")
    save_file(open_clip.CLIP(**plain).state_dict(), folder / WEIGHTS_FILE)
    return folder


def test_any_clip_that_open_clip_loads_can_be_audited(
    foreign: Path, world: list[str], tmp_path: Path, capsys
):
    out = tmp_path / "audit.json"
    model = str(foreign)
    given = ["--model", model, "--original", model, "--out", str(out), *world]
    assert cli.run(["audit", *given]) == 0
    found = Audit.load(out)
    assert found.oracles == []
    assert set(found.verdicts.values()) == {"cannot tell"}
    reasons = {row.reason for row in found.rows if row.model == "erased"}
    assert any(reason and "no oracle" in reason for reason in reasons)
    frame = found.frame().pivot_table(
        index=["test", "metric", "condition"], columns="model", values="value"
    )
    assert (frame["original"] == frame["erased"]).all(), "the same model, twice"


def test_a_model_of_ones_own_is_held_against_the_oracles(
    whole_run: Path, world: list[str], tmp_path: Path
):
    out = tmp_path / "audit.json"
    given = ["--model", str(whole_run / "model"), "--tests", "prompt_leaks", "--out", str(out)]
    assert cli.run(["audit", *given, *world]) == 0
    assert len(Audit.load(out).oracles) == 3


@pytest.mark.slow
def test_the_audit_is_right_about_what_is_known_beforehand(capsys):
    # With one thread, three of its four oracles are the smoke experiment's of other tests.
    code = cli.run(["audit", "--known-answers", "--profile", "smoke", "--set", "threads=1"])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "right about all" in printed
