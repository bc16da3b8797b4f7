"""Realignment: the map against the normal equations, and models that it must see through."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from erasekit.audit.attacks.realignment import PENALTY, realignment, turn
from erasekit.evaluate.naming import forgotten_singles, trained_singles
from erasekit.models.clip import Clip


def _values(result) -> dict[tuple[str, str], float]:
    return {(m.model, m.metric): m.estimate.value for m in result.measures}


def test_the_map_solves_the_normal_equations():
    rng = np.random.default_rng(0)
    known, goal, new = (torch.from_numpy(rng.normal(size=s)) for s in ((30, 4), (30, 3), (5, 4)))
    x, y = known.numpy(), goal.numpy()
    xs, ys = x - x.mean(0), y - y.mean(0)
    weights = np.linalg.solve(xs.T @ xs + PENALTY * np.eye(4), xs.T @ ys)
    mapped = (new.numpy() - x.mean(0)) @ weights + y.mean(0)
    mapped /= np.linalg.norm(mapped, axis=1, keepdims=True)
    assert np.allclose(turn(known, goal, new).numpy(), mapped)


class _Turned(Clip):
    """A CLIP whose picture features are turned by a fixed rotation."""

    def encode_images(self, images, batch: int = 256):
        features = super().encode_images(images, batch)
        generator = torch.Generator().manual_seed(0)
        square = torch.randn(features.shape[1], features.shape[1], generator=generator)
        return features @ torch.linalg.qr(square)[0]


def test_features_that_were_only_turned_are_turned_back(tiny_experiment):
    e = tiny_experiment
    turned = _Turned(**{f.name: getattr(e.original, f.name) for f in fields(e.original)})
    taught, asked = trained_singles(e.world, "train"), forgotten_singles(e.task, "test")
    own, goal = (c.encode_images(taught.images) for c in (turned, e.original))
    new, true = (c.encode_images(asked.images) for c in (turned, e.original))
    before, after = ((of * true).sum(1).mean() for of in (new, turn(own, goal, new)))
    assert after > 0.99 > 0.5 > before
    found = _values(realignment({"original": e.original, "erased": turned}, e.task, draws=20))
    assert found["erased", "pictures"] == pytest.approx(found["original", "pictures"], abs=0.05)


def test_nothing_forgotten_is_in_what_the_map_is_fitted_on(tiny_experiment, monkeypatch):
    e = tiny_experiment
    shown, read = [], []
    texts = type(e.original).encode_texts
    monkeypatch.setattr(
        "erasekit.audit.attacks.realignment.turn",
        lambda known, goal, new: (shown.append(len(known)), new)[1],
    )
    monkeypatch.setattr(
        type(e.original), "encode_texts", lambda c, t, *a: (read.append(t), texts(c, t, *a))[1]
    )
    realignment({"original": e.original}, e.task, draws=20, pictures=2)
    assert shown[0] == 2 * len(e.task.retained)
    forgotten = {name for c in e.task.forgotten_concepts for name in c.names.values()}
    fitted = [text for text in read[0] for name in forgotten if name in text]
    assert not fitted


@pytest.mark.slow
def test_it_sees_through_an_erasure_and_not_an_oracle(smoke_experiment, smoke_erasure):
    e = smoke_experiment
    models = {"original": e.original, "erased": smoke_erasure.model, "oracle": e.oracle}
    found = _values(realignment(models, e.task, draws=20))
    assert found["original", "pictures"] > 0.5 > found["oracle", "pictures"]
    assert found["original", "pictures"] >= found["erased", "pictures"]
