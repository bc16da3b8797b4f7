"""What the tests of methods share: features, losses written in numpy, a look written down."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import strategies as st
from support import unit

from erasekit.unlearn.look import Look
from erasekit.unlearn.method import Features


class Written(Look):
    """A look with weights, gradients, texts and validation written down."""

    def __init__(self, weights, forget=None, retain=None, texts=None, top1=None) -> None:
        self.weights = {k: v.clone() for k, v in weights.items()}
        self.original = {k: v.clone() for k, v in weights.items()}
        self._gradients = {"forget": forget, "retain": retain}
        self._texts, self._top1, self.looks = texts, top1, 0

    def gradient(self, which, loss, batches=32):
        return self._gradients[which]

    squared_gradient = gradient

    def forgotten_texts(self):
        return self._texts

    def validation(self):
        self.looks += 1
        forget, retain = self._top1(self.weights)
        return {"validation_forget": forget, "validation_retain": retain}


POSITIVE = st.floats(1e-6, 1e3)


SHAPES = {"n": st.integers(2, 8), "d": st.integers(2, 6), "seed": st.integers(0, 99)}


def features(n: int, d: int, seed: int, moved: bool = True) -> Features:
    """Features of n pairs, of towers whose output is not normalised."""
    image, text = unit(n, d, seed), unit(n, d, seed + 1)
    lengths = torch.linspace(0.5, 3, n, dtype=torch.float64).unsqueeze(1)
    before = (unit(n, d, seed + 2), unit(n, d, seed + 3)) if moved else (image, text)
    return Features(
        image=(image * lengths).requires_grad_(),
        text=(text * lengths.flip(0)).requires_grad_(),
        scale=torch.tensor(7.0, dtype=torch.float64),
        original_image=before[0],
        original_text=before[1],
        original_scale=torch.tensor(5.0, dtype=torch.float64),
    )


def array(tensor: torch.Tensor | None) -> np.ndarray:
    assert tensor is not None
    return tensor.detach().numpy()


def rows_unit(tensor: torch.Tensor) -> np.ndarray:
    values = array(tensor)
    return values / np.sqrt((values**2).sum(1, keepdims=True))


def softmax(values: list[float]) -> list[float]:
    weights = [math.exp(v) for v in values]
    return [w / sum(weights) for w in weights]


def kl(before: list[list[float]], now: list[list[float]]) -> float:
    """Mean over rows of Σ p log(p / q), one number at a time."""
    total = 0.0
    for one, other in zip(before, now, strict=True):
        p, q = softmax(one), softmax(other)
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return total / len(before)


def contrastive(image: np.ndarray, text: np.ndarray, scale: float) -> float:
    total = 0.0
    for a, b in ((image, text), (text, image)):
        for i in range(len(a)):
            total -= math.log(softmax([scale * float(a[i] @ row) for row in b])[i])
    return total / (2 * len(image))


def both(n: int, d: int, seed: int) -> tuple[Features, Features]:
    """Forget and retain features of one batch, under one logit scale."""
    forget, retain = features(n, d, seed), features(n + 2, d, seed + 40)
    return forget, retain


def nll(image: np.ndarray, text: np.ndarray, scale: float) -> list[float]:
    """Each pair's part of the contrastive loss, one number at a time."""
    found = []
    for i in range(len(image)):
        rows = softmax([scale * float(image[i] @ row) for row in text])[i]
        columns = softmax([scale * float(text[i] @ row) for row in image])[i]
        found.append(-(math.log(rows) + math.log(columns)) / 2)
    return found


def over_batch(pairs: Features) -> float:
    """KL from the original's softmaxes over the batch to the current ones, both directions."""
    before = 5 * array(pairs.original_image) @ array(pairs.original_text).T
    now = 7 * rows_unit(pairs.image) @ rows_unit(pairs.text).T
    return kl(before.tolist(), now.tolist()) + kl(before.T.tolist(), now.T.tolist())


def value(terms: dict[str, torch.Tensor], name: str) -> float:
    return float(terms[name].detach())
