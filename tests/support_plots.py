"""What tests of pictures share."""

from __future__ import annotations

import warnings

from matplotlib.container import ErrorbarContainer

from erasekit.audit.audit_result import Audit, AuditRow, TestReport
from erasekit.audit.judging import MEAN
from erasekit.audit.verdict import AS_THE_ORACLE, CANNOT_TELL, LESS, MORE
from erasekit.data.drawn.captions import prompts
from erasekit.evaluate.scorecard import Row, Scorecard


def own_similarity(experiment, clip, concept, row_image):
    """A picture's similarity with a concept's name, computed anew, one at a time."""
    text = clip.encode_texts(prompts(experiment.world.concept(concept))).mean(0)
    image = clip.encode_images(row_image.unsqueeze(0))[0]
    return float(image @ (text / text.norm()))


def drawn(figure):
    """Draw for real: a glyph that no font has, or a layout that fails, warns here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    return figure


def points(axes):
    """Every value drawn as a mark: x, y, and the ends of its interval across."""
    found = []
    for line, _, bars in filter(lambda c: isinstance(c, ErrorbarContainer), axes.containers):
        (x, y), *_ = line.get_xydata()
        found.append((x, y, *(bars[0].get_segments()[0][:, 0] if bars else ())))
    return found


def card_of(values, margin=0.1):
    rows = [
        Row(model, metric, subset, "pair", value, value - margin, value + margin, 10)
        for (model, metric, subset), value in values.items()
    ]
    return Scorecard({}, {}, rows)


AUDITED_MODELS = ("original", "erased", "oracle", "oracle-1")


def _rows(
    test: str, metric: str, condition: str, verdict: str, gap: float | None
) -> list[AuditRow]:
    """A row for each model; the erased model's has the verdict and the gap."""
    return [
        AuditRow(
            test,
            model,
            metric,
            condition,
            value=0.1 * place,
            low=0.1 * place - 0.05,
            high=0.1 * place + 0.05,
            n=20,
            gap=gap if model == "erased" else None,
            gap_low=None if gap is None or model != "erased" else gap - 0.02,
            gap_high=None if gap is None or model != "erased" else gap + 0.02,
            margin=None if gap is None else 0.04,
            smallest=None if gap is None else 0.06,
            verdict=None if model.startswith("oracle") else verdict,
            reason="because" if not model.startswith("oracle") else None,
        )
        for place, model in enumerate(AUDITED_MODELS)
    ]


def _report(test: str, verdict: str) -> TestReport:
    return TestReport(
        test, test.title(), "Is it?", "nobody", verdict, "because", "6 points in top-1", [], 1.0
    )


def made_audit() -> Audit:
    details = {
        "relearning": [
            {"model": m, "k": k, "step": s, "accuracy": 0.1 * s, "low": 0.0, "high": 0.2 * s}
            for m in AUDITED_MODELS
            for k in (1, 4)
            for s in (0, 2, 4)
        ],
        "probes": [
            {
                "tower": tower,
                "layer": layer,
                "model": model,
                "subset": subset,
                "probe": probe,
                "accuracy": 0.5 if subset == "forget" else 0.9,
            }
            for tower in ("image", "text")
            for layer in ("layer2", "layer1", "output")
            for model in AUDITED_MODELS
            for subset in ("forget", "retain")
            for probe in ("linear", "knn")
        ],
        "language_leaks": [
            {
                "model": m,
                "concept": c,
                "language": language,
                "top1": None if (c, language) == ("pear", "ru") else 0.25,
                "known": 1.0,
                "in_forget_set": True,
            }
            for m in AUDITED_MODELS
            for c in ("pear", "apple")
            for language in ("en", "ru")
        ],
        "over_forgetting": [
            {"concept": "taco", "group": "food", "original": 1.0, "erased": 0.5, "oracle": 0.9}
        ],
    }
    return Audit(
        task={},
        models={},
        oracles=[{"model": "oracle", "seed": 0}],
        settings={},
        tests=[
            _report("prompt_leaks", LESS),
            _report("relearning", AS_THE_ORACLE),
            _report("membership", CANNOT_TELL),
            _report("probes", MORE),
            _report("language_leaks", CANNOT_TELL),
            _report("over_forgetting", MORE),
        ],
        rows=[
            *_rows("prompt_leaks", "top1", "upper case", LESS, 0.3),
            *_rows("prompt_leaks", "top1", "paraphrase", LESS, 0.5),
            *_rows("prompt_leaks", "similarity", "paraphrase", AS_THE_ORACLE, 0.9),
            *_rows("relearning", "area", "k=1", AS_THE_ORACLE, 0.09),
            *_rows("relearning", "area", MEAN, AS_THE_ORACLE, 0.01),
            *_rows("membership", "attack_auc", "both", CANNOT_TELL, 0.8),
            *_rows("membership", "auc", "loss", CANNOT_TELL, 0.1),
            *_rows("probes", "linear_image", "output", MORE, -0.2),
            *_rows("language_leaks", "top1", "en", CANNOT_TELL, None),
            *_rows("over_forgetting", "similarity", "retain", MORE, -0.4),
        ],
        details=details,
    )
