"""The certificate as a page, made only from `certificate.json`, so that both can be compared."""

from __future__ import annotations

from collections import Counter
from typing import Any

from erasekit.runs.pages.rendering import render_page, rows_asked

_RESULTS = {
    "met": ("\N{CHECK MARK}", "good"),
    "not met": ("\N{MULTIPLICATION X}", "bad"),
    "already met": ("\N{WHITE CIRCLE}", "open"),
    "not tested": ("–", "open"),
}


def render(certificate: dict[str, Any], digest: str) -> str:
    """Render the page of a certificate.

    Args:
        certificate: content of `certificate.json`.
        digest: the sha256 of that file, so that a printed page identifies it.
    """
    sign, mood = _RESULTS[certificate["result"]]
    return render_page(
        "certificate.html",
        "erasekit.certificate",
        version=certificate["erasekit"],
        certificate=certificate,
        digest=digest,
        sign=sign,
        mood=mood,
        verdict=verdict(certificate),
        lines=[_line(criterion) for criterion in certificate["criteria"]],
        asked=_asked(certificate),
        request=_request(certificate["request"]) if certificate.get("request") else [],
        origins=_origins(certificate["provenance"]),
    )


def verdict(certificate: dict[str, Any]) -> str:
    """Return the result in one sentence."""
    results = Counter(criterion["result"] for criterion in certificate["criteria"])
    name, total = certificate["policy"]["name"], results.total()
    if certificate["result"] == "met" and results["met"] == total:
        return f"The policy “{name}” is met: {total} of {total} criteria."
    outcome = {"met": "is met", "not met": "is not met"}.get(certificate["result"])
    shown = ["met"] if certificate["result"] == "met" else ["not met", "not tested"]
    counts = [f"{results[result]} {result}" for result in shown if results[result]]
    if already := results["already met"]:
        counts.append(f"{already} already met by the original, which does not count as forgetting")
    outcome = outcome or "is not shown to be met"
    return f"The policy “{name}” {outcome}: of {total} criteria, {' and '.join(counts)}."


def line_of_text(criterion: dict[str, Any]) -> str:
    """Format a criterion for the terminal: result, value and requirement."""
    line = _line(criterion)
    if criterion["result"] == "not tested":
        return f"not tested: {criterion['id']}: {criterion['reason']}"
    return f"{criterion['result']}: {criterion['id']}: {line['value']}, asked: {line['bound']}"


def _line(criterion: dict[str, Any]) -> dict[str, str]:
    sign, mood = _RESULTS[criterion["result"]]
    value, more = _value(criterion)
    return {
        "about": criterion["about"],
        "what": _what(criterion),
        "value": value,
        "more": more,
        "bound": _bound(criterion),
        "result": criterion["result"],
        "doubt": _doubt(criterion),
        "sign": sign,
        "mood": mood,
    }


def _doubt(criterion: dict[str, Any]) -> str:
    if criterion["result"] == "already met":
        return "the original met it too, so it shows no forgetting"
    return "though the audit cannot tell" if criterion["doubtful"] else ""


def _what(criterion: dict[str, Any]) -> str:
    """Return the source of the number: the file and the entry in it."""
    keys = ("test", "metric", "subset", "direction", "condition")
    parts = [criterion["source"], *(criterion[key] for key in keys if key in criterion)]
    if criterion["model"] != "erased":
        parts.append(criterion["model"])
    if criterion["compare"] != "value":
        parts.append(
            {
                "gap": "minus the oracle",
                "drop_from_original": "lost from the original",
                "minus_holdout": "minus pictures never seen",
            }[criterion["compare"]]
        )
    if criterion["use"] != "value":
        end = {"low": "lower", "high": "upper"}[criterion["use"]]
        parts.append(f"{end} end of the interval")
    return " · ".join(parts)


def _value(criterion: dict[str, Any]) -> tuple[str, str]:
    """Return the value, and the small print below it."""
    found = criterion["found"]
    if not found:
        return "–", criterion["reason"]
    if isinstance(found[0]["value"], str):
        words = Counter(each["value"] for each in found)
        if len(found) == 1:
            return found[0]["value"], criterion["reason"]
        return "; ".join(f"{word} ({n} of {len(found)})" for word, n in words.items()), (
            _conditions(found)
        )
    # Of several numbers, show the one nearest to the bound, or furthest beyond it.
    pick = max if "at_most" in criterion else min
    worst = pick(found, key=lambda each: each["value"])
    more = ""
    if worst["low"] is not None and criterion["use"] == "value":
        ends = (_number(worst[end], criterion) for end in ("low", "high"))
        more = f"interval {' to '.join(ends)}"
    if len(found) > 1:
        where = worst["condition"] or "one of them"
        more = f"{where}, the worst of {len(found)}" + (f"; {more}" if more else "")
    return _number(worst["value"], criterion), more


def _conditions(found: list[dict[str, Any]]) -> str:
    names = [each["condition"] for each in found if not each["met"]]
    return f"not met: {', '.join(names)}" if names else ""


def _bound(criterion: dict[str, Any]) -> str:
    for key in ("at_most", "at_least"):
        if key in criterion:
            return f"{key.replace('_', ' ')} {_number(criterion[key], criterion)}"
    return "; or ".join(criterion["verdict_in"])


def _number(value: float, criterion: dict[str, Any]) -> str:
    signed = (
        "+"
        if criterion["compare"] in ("gap", "minus_holdout") or criterion["unit"] == "cosine"
        else ""
    )
    if criterion["unit"] == "share":
        unit = "%" if criterion["compare"] == "value" else "points"
        text = f"{100 * value:{signed}z.1f}\N{NO-BREAK SPACE}{unit}"
    else:
        text = f"{value:{signed}z.2f}"
    return text.replace("-", "−")


def _asked(certificate: dict[str, Any]) -> list[tuple[str, str]]:
    task, parameters = certificate["task"], certificate["parameters"]
    options = ", ".join(f"{k} = {v}" for k, v in parameters.get("options", {}).items())
    measured = f"the {task.get('split', '?')} split of {task.get('data', '?')}"
    if "judged_pairs" in task:
        measured = f"{task['judged_pairs']} of the pairs to forget, and {measured}"
    return [
        ("to forget", ", ".join(task.get("forget", []))),
        ("captions in", _languages(task)),
        rows_asked(task),
        ("method", parameters.get("method", "?") + (f": {options}" if options else "")),
        ("measured on", measured),
    ]


def _languages(task: dict[str, Any]) -> str:
    """Name the languages whose captions were forgotten, and count them among the world's."""
    forgotten = task.get("forget_languages", [])
    if not forgotten:
        return "every language there is"
    known = task.get("world", {}).get("languages", forgotten)
    return f"{', '.join(forgotten)} ({len(forgotten)} of {len(known)} languages)"


def _request(request: dict[str, Any]) -> list[tuple[str, int, list[str]]]:
    """Return label, number and items for each part of a request for pictures in a folder."""
    copies = [
        f"{c['image']}, a {c['kind']} copy of {c['copy_of']}" for c in request["also_removed"]
    ]
    completed = request.get("completed", {})
    lists = {
        "asked": request["asked"]["entries"],
        "found": [
            f"{e}, completed to {completed[e]}" if e in completed else e for e in request["found"]
        ],
        "not found": request["not_found"],
        "also removed: copies": copies,
        "erased: pictures": request["erased"],
    }
    return [(label, len(items), items) for label, items in lists.items()]


def _origins(provenance: dict[str, Any]) -> list[tuple[str, str]]:
    """Return code, data, models and machine of the run, as far as recorded."""
    data, models = provenance.get("data", {}), provenance.get("models", {})
    dirty = " with changes" if provenance.get("dirty") else ""
    lines = [
        ("erasekit", provenance.get("erasekit")),
        ("commit", f"{provenance['commit']}{dirty}" if provenance.get("commit") else None),
        ("code, sha256", provenance.get("code")),
        *((f"data: {name}, sha256", value) for name, value in data.items()),
        *((f"model: {name}, sha256", value) for name, value in models.items()),
        ("seeds", ", ".join(f"{k} {v}" for k, v in provenance.get("seeds", {}).items())),
        ("packages", ", ".join(f"{k} {v}" for k, v in provenance.get("packages", {}).items())),
        ("machine", " · ".join(str(provenance[k]) for k in _MACHINE if provenance.get(k))),
    ]
    return [(label, str(value)) for label, value in lines if value]


_MACHINE = ("platform", "processor", "device")
