"""A trial: one candidate of a method's settings, and how far its result is from what is expected.

A trial replaces options of the method (under ``options``) and fields of the profile's
`EraseSpec`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

#: The original trained on with what stays: a reference, which is not tuned.
CONTROL = "fine_tune"

#: What retraining is expected to give of a CLIP, besides the original's values: nothing is known
#: of the forgotten, and a member is not told from a stranger. A filter that hides the forgotten
#: names reaches exactly this, without forgetting anything.
EXPECTED = {"top1_forget": 0.0, "membership_auc_forget": 0.5}

Trial = Mapping[str, Any]


def parts(trial: Trial) -> tuple[dict[str, Any], dict[str, Any]]:
    """A trial's options of the method, and its fields of the spec."""
    return dict(trial.get("options", {})), {k: v for k, v in trial.items() if k != "options"}


def expected_gap(
    metrics: Mapping[str, float],
    original: Mapping[str, float],
    expected: Mapping[str, float],
    names: Sequence[str],
) -> float:
    """Mean distance, in points, from what retraining is expected to give.

    Tuning takes this for the oracle, which no method may see.

    Args:
        metrics, original: by name, of the erased and of the original model.
        expected: what is not expected to stay as in the original.
        names: the measures of the average gap.
    """
    wanted = {**original, **expected}
    found = 100 * sum(abs(metrics[name] - wanted[name]) for name in names) / len(names)
    return found if math.isfinite(found) else math.inf
