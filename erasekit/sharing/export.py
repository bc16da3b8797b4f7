"""Export an erased model with its card: to a folder that open_clip loads, or to the hub.

Only the model's files are exported, each verified against the manifest. Checking the request
needs no torch.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from erasekit.errors import ErasekitError, RunError, UsageError, reason
from erasekit.files import read_json, write_bytes, write_json, write_text
from erasekit.models.model_name import CONFIG_FILE, HUB, WEIGHTS_FILE
from erasekit.runs.manifest import read_manifest
from erasekit.runs.run_folder import MODEL, RunFolder

CARD_FILE = "README.md"


def parse_repository(text: str) -> str:
    """Return ORG/NAME of ``hf-hub:ORG/NAME``.

    Raises:
        UsageError: for another format.
    """
    repository = text.removeprefix(HUB)
    if not text.startswith(HUB) or not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise UsageError(f"--push {text}: write {HUB}ORG/NAME")
    return repository


def export(run: Path, out: Path, *, repository: str | None = None) -> Path:
    """Write the run's model unchanged to a folder, and its card last.

    Args:
        run: the folder of a complete run.
        out: the folder to write; it must be new or empty.
        repository: ORG/NAME of the hub, if the folder will be uploaded: open_clip loads the
            tokenizer from there by this name.

    Returns:
        The folder.

    Raises:
        UsageError: when there is no run, a file has changed since erasekit wrote it, or `out`
            holds files or is inside the run.
        RunError: when the model is not the evaluated one, audit or certificate belong to another
            model, or the folder cannot be written.
    """
    folder, out = RunFolder.open(run), Path(out)
    if folder.settings.kind != "clip":
        raise UsageError(
            f"{run} is a run of kind = {folder.settings.kind}, and export writes CLIPs for "
            f"open_clip: transformers loads {folder.path / MODEL} as it is"
        )
    if out.resolve().is_relative_to(folder.path.resolve()):
        raise UsageError(
            f"{out} is inside the run folder, which must not change: give another folder"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} holds files already: give a new folder")
    from erasekit.certificate.certificate import check_weights
    from erasekit.sharing.model_card import model_card

    check_weights(folder)
    name = repository.split("/")[1] if repository else out.resolve().name
    card = model_card(folder, name, repository)
    for file, content in _model_files(folder.path).items():
        write_bytes(out / file, content)
    if repository:
        _name_tokenizer(out / CONFIG_FILE, repository)
    write_text(out / CARD_FILE, card)
    return out


def _model_files(run: Path) -> dict[str, bytes]:
    """Read each file of the model, by name.

    Raises:
        UsageError: for a file that is not part of a model, or has changed since erasekit wrote it.
        RunError: when a file cannot be read.
    """
    from erasekit.models.clip import TOKENIZER_FILES

    known = {CONFIG_FILE, WEIGHTS_FILE, *TOKENIZER_FILES}
    recorded, found = read_manifest(run), {}
    for path in sorted((run / MODEL).iterdir()):
        if path.name not in known or path.is_symlink() or not path.is_file():
            raise UsageError(f"{path} is not a file of an open_clip model folder: remove it")
        try:
            found[path.name] = path.read_bytes()
        except OSError as error:
            raise RunError(f"cannot read {path}: {reason(error)}") from error
        if hashlib.sha256(found[path.name]).hexdigest() != recorded.get(f"{MODEL}/{path.name}"):
            raise UsageError(f"{path} was changed since the run was made: give it back its content")
    return found


def _name_tokenizer(path: Path, repository: str) -> None:
    """Record the tokenizer's repository, which open_clip needs when it loads from the hub."""
    config = read_json(path)
    text = config["model_cfg"]["text_cfg"]
    if text.get("hf_tokenizer_name"):
        text["hf_tokenizer_name"] = repository
        write_json(path, config)


def check_token() -> None:
    """Check early that an upload is possible.

    Raises:
        UsageError: when the user has no token for the hub.
    """
    from huggingface_hub import get_token

    if not get_token():
        raise UsageError("no token of the hub is here: run `hf auth login`, or set HF_TOKEN")


def push(folder: Path, repository: str, *, public: bool = False) -> str:
    """Upload an exported folder to the hub.

    Args:
        folder: the folder written by `export`.
        repository: ORG/NAME; created if it does not exist.
        public: whether everyone may read it.

    Returns:
        The address of the upload.

    Raises:
        UsageError: when the repository is public and `public` is not given.
        RunError: when the hub cannot be reached or refuses the upload; the folder is kept.
    """
    from huggingface_hub import HfApi

    api: Any = HfApi()
    try:
        api.create_repo(repository, private=not public, exist_ok=True)
        if not public and not api.model_info(repository).private:
            raise UsageError(
                f"{HUB}{repository} is there already and everyone can read it: "
                "give another name, or --public"
            )
        uploaded = api.upload_folder(
            repo_id=repository, folder_path=folder, commit_message="Erased by erasekit"
        )
    except ErasekitError:
        raise
    except Exception as error:  # hub and network raise many kinds of errors
        raise RunError(
            f"{folder} could not be uploaded to {HUB}{repository}: {reason(error)}. "
            f"The folder is whole: `hf upload {repository} {folder}` tries again"
        ) from error
    return str(uploaded)
