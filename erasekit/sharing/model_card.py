"""The card of a shared model: what was erased, what was measured, and the limits.

The card is made from the files of a run folder. All values, such as names of concepts, options
and reasons, are escaped for Markdown, and local folders are removed.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import Any

from huggingface_hub import ModelCardData
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from erasekit import __version__
from erasekit.audit.attack_registry import untried
from erasekit.audit.audit_result import Audit
from erasekit.certificate.certificate_page import verdict
from erasekit.certificate.verification import verify
from erasekit.errors import RunError
from erasekit.evaluate.scorecard import Scorecard
from erasekit.files import read_json
from erasekit.models.model_name import HUB
from erasekit.runs.pages.headline import headline
from erasekit.runs.pages.score_table import costs, score_table
from erasekit.runs.run_folder import AUDIT, CERTIFICATE, PROVENANCE, RunFolder

#: Characters with a meaning in Markdown, and colons and dots that would make a link.
_MARKS = re.compile(r"[\\`*_{}\[\]#|!~$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
#: The folders of an absolute path or a path in the home folder, without its last part.
_FOLDERS = re.compile(r"(?<![\w.-])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\,=]+[/\\])*")


def model_card(folder: RunFolder, name: str, repository: str | None = None) -> str:
    """Return the card of a run's model as Markdown, with the metadata header for the hub.

    Args:
        folder: a complete run.
        name: name of the model.
        repository: ORG/NAME of the hub, or None for a local folder.

    Raises:
        RunError: when a file is damaged, or audit or certificate belong to another model.
    """
    params, provenance = folder.params, read_json(folder.path / PROVENANCE)
    card = folder.scorecard
    audit = _audit(folder, provenance)
    certificate = _certificate(folder)
    text = (
        _environment()
        .get_template("model_card.md")
        .render(
            name=name,
            # Shown as code, without Markdown; the repository's name is validated.
            place=Markup(f"{HUB}{repository}" if repository else "local-dir:PATH"),
            forgotten=card.task.get("forget", []),
            sentences=headline(card),
            asked=_asked(params, card.task),
            table=score_table(card),
            costs=costs(card),
            audit=audit,
            certificate=certificate,
            certified=verdict(certificate) if certificate else "",
            signed=bool(certificate and certificate["signer"]),
            limits=_limits(card, audit, certificate),
            made=_made(provenance),
        )
    )
    return f"---\n{_head(params).to_yaml()}\n---\n\n{text}"


def plain(value: Any) -> str:
    """Escape text for Markdown, on one line; `Markup` stays unchanged."""
    if isinstance(value, Markup):
        return value
    text = html.escape(" ".join(str(value).split()), quote=False)
    return _MARKS.sub(r"\\\g<0>", text)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("erasekit.sharing", "templates"),
        finalize=plain,  # escapes every value
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _head(params: dict[str, Any]) -> ModelCardData:
    model = str(params.get("model", ""))
    base = model.removeprefix(HUB) if model.startswith(HUB) else None
    return ModelCardData(
        base_model=base,
        library_name="open_clip",
        pipeline_tag="zero-shot-image-classification",
        tags=["clip", "machine-unlearning", "erasekit"],
    )


def _audit(folder: RunFolder, provenance: dict[str, Any]) -> Audit | None:
    """Return the run's audit of this model, if any."""
    path = folder.path / AUDIT
    if not path.is_file():
        return None
    audit = Audit.load(path)
    if audit.models.get("erased") != provenance.get("models", {}).get("erased"):
        raise RunError(f"{path} is of another model than this run's: run the audit again")
    return audit


def _certificate(folder: RunFolder) -> dict[str, Any] | None:
    """Return the run's certificate, if any; it must match every file."""
    if not (folder.path / CERTIFICATE).is_file():
        return None
    found = verify(folder.path)
    if found.problems:
        raise RunError(
            f"{folder.path} does not agree with its certificate ({found.problems[0]}): "
            "certify it again"
        )
    return found.certificate


def _asked(params: dict[str, Any], task: dict[str, Any]) -> list[tuple[str, str]]:
    options = ", ".join(f"{k} = {v}" for k, v in params.get("options", {}).items())
    world = ", ".join(f"{k} {_listed(v)}" for k, v in task.get("world", {}).items())
    lines = [
        ("forgotten", _listed(task.get("forget", []))),
        ("captions in", _listed(task.get("forget_languages", []))),
        ("pairs to forget", task.get("forget_pairs")),
        ("pairs to retain", task.get("retain_pairs")),
        ("data", params.get("data")),
        ("its parameters", world),
        ("its pictures", _CREDITS.get(str(params.get("data")))),
        ("model before erasing", params.get("model")),
        ("method", params.get("method")),
        ("its options", options),
        *((word.replace("_", " "), params.get(word)) for word in _SETTINGS),
    ]
    return [(what, _FOLDERS.sub("", str(said))) for what, said in lines if said not in (None, "")]


_CREDITS = {"openmoji": "drawings of OpenMoji, CC BY-SA 4.0"}
_SETTINGS = ("steps", "learning_rate", "forget_batch", "retain_batch", "seed", "precision")


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _made(provenance: dict[str, Any]) -> list[tuple[str, str]]:
    packages = provenance.get("packages", {})
    versions = [
        f"{name} {packages[name]}" for name in ("torch", "open_clip_torch") if name in packages
    ]
    dirty = " with changes" if provenance.get("dirty") else ""
    commit = provenance.get("commit")
    lines = [
        ("erasekit", provenance.get("erasekit", __version__)),
        ("commit", f"{commit}{dirty}" if commit else None),
        ("packages", ", ".join(versions)),
        ("device", provenance.get("device")),
        ("weights before, sha256", provenance.get("models", {}).get("original")),
        ("weights, sha256", provenance.get("models", {}).get("erased")),
    ]
    return [(what, str(said)) for what, said in lines if said]


def _limits(card: Scorecard, audit: Audit | None, certificate: dict[str, Any] | None) -> list[str]:
    """List the limits of the card, general ones and those of this run."""
    task = card.task
    limits = [
        "Erasing does not prove deletion. These weights come from a model that had learned what "
        "was to be forgotten, and an untested attack may still recover it.",
        f"Everything was measured on the {task.get('split', 'test')} split of "
        f"{_FOLDERS.sub('', str(task.get('data', '?')))}. Other pictures, other words and other "
        "tasks were not measured, nor whether the model is fair or safe.",
        "It is one run with one seed. Intervals are 95 %, by bootstrap over concepts; how far "
        "another seed would be off is not in them.",
    ]
    if "oracle" in card.models:
        limits.append(
            "The oracle in the table is one model, retrained once: a gap smaller than two such "
            "models differ by says nothing."
        )
    else:
        limits.append(
            "No model was retrained without the forgotten: how far this one is from such a model "
            "is unknown."
        )
    if "control" not in card.models:
        limits.append(
            "No control was fine-tuned: what erasing did is not told apart from further training."
        )
    if audit is None:
        limits.append("It was not audited: no attack was tried on it.")
    else:
        ran = set(audit.verdicts)
        if left := [test.title for test in untried("clip", ran)]:
            limits.append(f"Not tried on it: {'; '.join(left)}.")
        if len(audit.oracles) < 2:
            limits.append(
                f"Its audit had {len(audit.oracles)} retrained models to compare with, and needs "
                "two or more to tell much."
            )
        if audit.settings.get("smoke"):
            limits.append("Its audit ran in a short form, which misses more than the full one.")
    if certificate is None:
        limits.append("It was not checked against a policy: it has no certificate.")
    return limits
