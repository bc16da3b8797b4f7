"""Listings of all choices. Only the audit tests need torch."""

from __future__ import annotations

import json
from typing import Any

from erasekit.data.data_spec import DATASETS
from erasekit.data.drawn.concepts import count_available, curated, select_concepts
from erasekit.errors import UsageError, unknown
from erasekit.models.train_spec import CONFIGS, known_models
from erasekit.profiles import LANGUAGE, PROFILES
from erasekit.settings import DECLARED
from erasekit.unlearn.registry import methods_of


def methods() -> list[dict[str, Any]]:
    """List every unlearning method for CLIP with the defaults of its options."""
    return _methods("clip")


def mllm_methods() -> list[dict[str, Any]]:
    """List every method for multimodal language models with the defaults of its options."""
    return _methods("language")


def _methods(kind: str) -> list[dict[str, Any]]:
    return [
        {"name": m.name, "summary": m.summary, "source": m.source, "options": m.defaults(kind)}
        for m in methods_of(kind).values()
    ]


def tests() -> list[dict[str, Any]]:
    """List every audit test with its question and its source."""
    from erasekit.audit.attack_registry import TESTS  # these import torch

    return [
        {
            "name": t.name,
            "kind": t.kind,
            "question": t.question,
            "source": t.source,
            "opt_in": t.opt_in,
        }
        for t in TESTS.values()
    ]


def policies() -> list[dict[str, Any]]:
    """List every policy that comes with the package."""
    from erasekit.certificate.policy import policies as shipped

    return shipped()


def tasks() -> list[dict[str, Any]]:
    """List the tasks of the benchmark."""
    from erasekit.leaderboard.plan import tasks_of

    return [
        {
            "name": task.name,
            "title": task.title,
            "requests": list(task.requests),
            "scenes_only": task.scenes_only,
        }
        for task in tasks_of("benchmark").values()
    ]


def settings() -> list[dict[str, Any]]:
    """List every declared setting with its default in each profile."""
    profiles = PROFILES | {
        f"{name} language": {**PROFILES[name], **values} for name, values in LANGUAGE.items()
    }
    return [
        {
            "name": one.name,
            "type": one.type_name,
            "unit": one.unit,
            "range": one.range,
            "group": one.group,
            "kind": one.kind,
            "help": one.help,
            "defaults": {
                profile: values.get(one.name, one.default) for profile, values in profiles.items()
            },
        }
        for one in DECLARED.values()
    ]


def datasets() -> list[dict[str, Any]]:
    """List every data set."""
    return [{"name": name, "summary": text} for name, text in DATASETS.items()]


def models() -> list[dict[str, Any]]:
    """List every model configuration, in open_clip's format."""
    return [
        {
            "name": name,
            "config": json.loads((CONFIGS / f"{name}.json").read_text(encoding="utf-8")),
        }
        for name in known_models()
    ]


def listing(what: str, everything: bool = False) -> list[dict[str, Any]]:
    """Return the entries of one of `LISTINGS`.

    Raises:
        UsageError: for an unknown listing.
    """
    if what not in LISTINGS:
        raise unknown("listing", what, LISTINGS)
    if everything and what != "concepts":
        raise UsageError("--all goes with concepts only")
    return concepts(everything) if what == "concepts" else LISTINGS[what]()


def concepts(everything: bool = False) -> list[dict[str, Any]]:
    """List the curated concepts, or with `everything` all drawings that have a name."""
    chosen = select_concepts(count_available()) if everything else curated()
    return [
        {
            "name": c.name,
            "group": c.group,
            "attributes": dict(c.attributes),
            "holdout": c.holdout,
            "emoji": c.emoji,
            "names": dict(c.names),
        }
        for c in chosen
    ]


#: Listings by name.
LISTINGS = {
    "methods": methods,
    "mllm-methods": mllm_methods,
    "tests": tests,
    "policies": policies,
    "tasks": tasks,
    "datasets": datasets,
    "models": models,
    "settings": settings,
    "concepts": concepts,
}
