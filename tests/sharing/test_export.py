"""Giving a model away: a folder with its card, and the hub."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from support_certificate import without, write_keys

from erasekit.cli import app as cli
from erasekit.errors import RunError, UsageError
from erasekit.files import read_json, sha256_folder, write_json
from erasekit.models.clip import CONFIG_FILE, WEIGHTS_FILE, load_clip
from erasekit.runs.manifest import write_manifest
from erasekit.runs.run_folder import AUDIT, MODEL, PROVENANCE, SCORECARD
from erasekit.sharing.export import CARD_FILE, export, push


def test_the_folder_is_the_model_as_it_is_with_its_card(run: Path, tmp_path: Path) -> None:
    before = sha256_folder(run)
    out = export(run, tmp_path / "given" / "fruitless")
    assert without(sha256_folder(run), ".lock") == without(before, ".lock")
    assert without(sha256_folder(out), CARD_FILE) == sha256_folder(run / MODEL)
    made = read_json(run / PROVENANCE)["models"]["erased"]
    assert load_clip(f"local-dir:{out}").fingerprint() == made
    text = (out / CARD_FILE).read_text(encoding="utf-8")
    assert text.startswith("---\nlibrary_name: open_clip\n")
    assert "\n# fruitless: a CLIP that was made to forget\n" in text
    assert str(tmp_path) not in text
    with pytest.raises(UsageError, match="holds files already"):
        export(run, out)


def test_a_run_is_not_written_into(run: Path) -> None:
    with pytest.raises(UsageError, match="is inside the run folder"):
        export(run, run / "given")


@pytest.mark.parametrize("what", ["weights", "audit", "certificate", "interrupted"])
def test_what_does_not_belong_together_is_not_given_away(
    certified: Path, tmp_path: Path, what: str
) -> None:
    words = {
        "weights": "not the model that was measured",
        "audit": "of another model than this run's: run the audit again",
        "certificate": "does not agree with its certificate .*certify it again",
        "interrupted": "interrupted run",
    }
    if what == "weights":
        path = certified / MODEL / WEIGHTS_FILE
        changed = load_file(path)
        changed["logit_scale"] = changed["logit_scale"] + 1
        save_file(changed, path)
    elif what == "audit":
        write_json(certified / AUDIT, {**read_json(certified / AUDIT), "models": {"erased": "0"}})
    elif what == "certificate":
        (certified / "history.csv").write_text("step,loss\n0,1.0\n", encoding="utf-8")
    else:
        (certified / SCORECARD).unlink()
    write_manifest(certified)  # by somebody who knows of it
    with pytest.raises(RunError, match=words[what]) as error:
        export(certified, tmp_path / "given")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "given").exists()


@pytest.mark.parametrize("kind", ["pickle", "link", "hidden", "folder"])
def test_only_the_files_of_a_model_leave_the_house(run: Path, tmp_path: Path, kind: str) -> None:
    """Even where somebody wrote the manifest again: a fixed list of regular files, each checked."""
    extra = run / MODEL / {"link": "vocab.txt", "hidden": ".env"}.get(kind, "open_clip_model.pt")
    if kind == "link":
        (tmp_path / "secret").write_text("a password", encoding="utf-8")
        extra.symlink_to(tmp_path / "secret")
    elif kind == "folder":
        extra.mkdir()
    else:
        extra.write_bytes(b"a password")
    if kind == "pickle":
        write_manifest(run)
    with pytest.raises(UsageError, match=extra.name):
        export(run, tmp_path / "given")
    assert not (tmp_path / "given").exists()


def test_a_run_that_cannot_be_written_is_exported_all_the_same(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr("erasekit.runs.run_folder.FileLock.acquire", refuse)
    before = sha256_folder(run)
    out = export(run, tmp_path / "given")
    assert without(sha256_folder(out), CARD_FILE) == sha256_folder(run / MODEL)
    assert sha256_folder(run) == before


@pytest.mark.parametrize("changed", [False, True])
def test_an_exported_folder_is_signed_and_verified_by_openssf(
    run: Path, tmp_path: Path, changed: bool
) -> None:
    """By a key and without a network, as docs/howto/own_data.md says."""
    signing = pytest.importorskip("model_signing.signing")
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from model_signing import verifying

    private, public = write_keys(tmp_path, key=generate_private_key(SECP256R1()))
    out, signature = export(run, tmp_path / "given"), tmp_path / "given.sig"
    signing.Config().use_elliptic_key_signer(private_key=private).sign(out, signature)
    if changed:
        (out / CONFIG_FILE).write_bytes((out / CONFIG_FILE).read_bytes() + b" ")
    verifier = verifying.Config().use_elliptic_key_verifier(public_key=public)
    if changed:
        with pytest.raises(ValueError, match=CONFIG_FILE):
            verifier.verify(out, signature)
    else:
        verifier.verify(out, signature)


class FakeHub:
    """What `HfApi` does, without a network."""

    def __init__(self, *, there: str = "", fails: str = "") -> None:
        self.there, self.fails = there, fails
        self.made: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
        assert exist_ok
        if self.fails == "create":
            raise OSError("401 Client Error: Unauthorized\nmore text")
        self.made = {"name": repo_id, "private": self.there != "public" and private}

    def model_info(self, repo_id: str) -> SimpleNamespace:
        return SimpleNamespace(private=self.made["private"])

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> str:
        if self.fails == "upload":
            raise ConnectionError
        self.files = {p.name: p.read_bytes() for p in Path(folder_path).iterdir()}
        return f"hub/{repo_id}"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    hub = FakeHub()
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "token")
    return hub


def test_a_run_is_pushed_and_private(
    run: Path, tmp_path: Path, fake: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--out", str(tmp_path / "given"), "--push", "hf-hub:org/my_model"]
    assert cli.run(["export", str(run), *given]) == 0
    assert "uploaded: hub/org/my_model" in capsys.readouterr().out
    assert fake.made == {"name": "org/my_model", "private": True}
    there = {CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, "tokenizer.json", "tokenizer_config.json"}
    assert set(fake.files) == there
    card = fake.files[CARD_FILE].decode()
    assert 'open_clip.get_tokenizer("hf-hub:org/my_model")' in card
    # From the hub open_clip takes the tokenizer by this name; all else is as it was.
    mine, theirs = read_json(run / MODEL / CONFIG_FILE), read_json(tmp_path / "given" / CONFIG_FILE)
    assert theirs["model_cfg"]["text_cfg"].pop("hf_tokenizer_name") == "org/my_model"
    assert mine["model_cfg"]["text_cfg"].pop("hf_tokenizer_name") != "org/my_model"
    assert mine == theirs


def test_a_pushed_model_is_read_from_the_hub_with_its_tokenizer(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repository's name leads to the tokenizer; a folder of that name stands in for the hub."""
    monkeypatch.chdir(tmp_path)
    out = export(run, Path("org/fruitless"), repository="org/fruitless")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repo, file: str(out / file))
    get = lambda model_id, filename=WEIGHTS_FILE, **_: str(out / filename)  # noqa: E731
    monkeypatch.setattr("open_clip.pretrained.download_pretrained_from_hf", get)
    monkeypatch.setattr("open_clip.factory.download_pretrained_from_hf", get)
    texts = ["a red apple", "un chien", "猫"]
    found, made = load_clip("hf-hub:org/fruitless"), load_clip(run / MODEL)
    assert found.tokenizer(texts).equal(made.tokenizer(texts))
    assert found.fingerprint() == made.fingerprint()


def test_a_public_repository_is_not_written_to_by_accident(tmp_path: Path, fake: FakeHub) -> None:
    fake.there = "public"
    with pytest.raises(UsageError, match="everyone can read it: give another name, or --public"):
        push(tmp_path, "org/name")
    assert not fake.files
    (tmp_path / "a").touch()
    push(tmp_path, "org/name", public=True)
    assert set(fake.files) == {"a"}
    assert fake.made["private"] is False


@pytest.mark.parametrize(("fails", "words"), [("create", "401 Client"), ("upload", "Connection")])
def test_a_hub_that_does_not_answer_is_one_line(
    tmp_path: Path, fake: FakeHub, fails: str, words: str
) -> None:
    fake.fails = fails
    with pytest.raises(RunError, match=rf"could not be uploaded .*{words}.*The folder is whole: "):
        push(tmp_path, "org/name")


def test_without_a_token_nothing_is_written(
    run: Path,
    tmp_path: Path,
    fake: FakeHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    out = tmp_path / "given"
    assert cli.run(["export", str(run), "--out", str(out), "--push", "hf-hub:org/name"]) == 2
    assert "no token of the hub is here" in capsys.readouterr().err
    assert not out.exists()
