"""The core of relearning: asked after the right steps, of the model that learns."""

from __future__ import annotations

import numpy as np
import torch

from erasekit.audit.relearn import relearn


def test_it_asks_after_each_checkpoint_and_ends_with_the_last() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    steps = []

    def loss(step: int) -> dict[str, torch.Tensor]:
        steps.append(step)
        return {"up": -model.weight.sum()}

    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    found = relearn(model, optimizer, loss, lambda: np.array([model.weight.item()]), (1, 3))
    np.testing.assert_allclose(np.concatenate(found), [1.0, 3.0], rtol=1e-5)
    assert steps == [0, 1, 2]
