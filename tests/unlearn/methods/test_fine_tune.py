"""Fine-tuning is retention alone."""

from __future__ import annotations

import pytest
from support_methods import features

from erasekit.unlearn.methods.cliperase import retention_loss
from erasekit.unlearn.methods.fine_tune import FineTune


def test_fine_tuning_is_retention_and_nothing_else() -> None:
    retain = features(6, 5, 8)
    terms = FineTune().loss(None, retain, None)
    assert list(terms) == ["retention"]
    assert float(terms["retention"].detach()) == pytest.approx(
        float(retention_loss(retain).detach())
    )
