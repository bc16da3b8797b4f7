"""What a method does to weights, against the same rule written out in numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import unit

from erasekit.errors import RunError, UsageError
from erasekit.unlearn.look import Look
from erasekit.unlearn.method import Features
from erasekit.unlearn.methods.lip import Lip, lipschitz_loss
from erasekit.unlearn.methods.munba import MUNBa
from erasekit.unlearn.methods.null_space import NullSpace, basis
from erasekit.unlearn.methods.salun import SalUn
from erasekit.unlearn.methods.slug import SLUG, pareto
from erasekit.unlearn.methods.ssd import SSD
from erasekit.unlearn.methods.task_negation import TaskNegation
from erasekit.unlearn.registry import get_method


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


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(st.floats(-5, 5), POSITIVE, POSITIVE), min_size=1, max_size=6),
    alpha=st.floats(0, 20),
    dampening=st.floats(0, 3),
)
def test_ssd_shrinks_what_matters_more_to_the_forgotten(rows, alpha, dampening) -> None:
    theta, forget, retain = (torch.tensor(c, dtype=torch.float64) for c in zip(*rows, strict=True))
    look = Written({"w": theta}, {"w": forget}, {"w": retain})
    SSD(alpha=alpha, dampening=dampening).finish(look)
    expected = [w * min(dampening * r / f, 1) if f > alpha * r else w for w, f, r in rows]
    assert look.weights["w"].tolist() == pytest.approx(expected)


def test_ssd_leaves_what_matters_to_no_forget_pair_bit_for_bit() -> None:
    theta = torch.tensor([0.1, -0.2, 0.3])
    look = Written({"w": theta}, {"w": torch.zeros(3)}, {"w": torch.tensor([0.0, 1.0, 2.0])})
    SSD().finish(look)
    assert torch.equal(look.weights["w"], theta)
    assert (SSD().alpha, SSD().dampening) == (10, 1)  # the paper's


@pytest.mark.parametrize("method", [SSD(alpha=1e30), SSD(dampening=1e30)], ids=str)
def test_ssd_at_its_limits_stops_only_what_the_retained_never_use(method: SSD) -> None:
    theta = torch.tensor([0.1, -0.2, 0.3])
    look = Written({"w": theta}, {"w": torch.full((3,), 5.0)}, {"w": torch.tensor([1e-3, 2, 0])})
    method.finish(look)
    assert torch.equal(look.weights["w"], theta * torch.tensor([1.0, 1.0, 0.0]))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 7), d=st.integers(2, 6), seed=st.integers(0, 99), scale=st.floats(0.1, 4))
def test_lip_is_the_change_by_the_noise_over_its_length(n, d, seed, scale) -> None:
    image, text, noised = (2 * unit(n, d, seed + i) for i in range(3))
    length = torch.linspace(scale, 2 * scale, n, dtype=torch.float64)
    features = Features(image, text, torch.tensor(7.0), noised_image=noised, noise_norm=length)
    expected = np.mean(
        [
            (math.dist(t, x) + math.dist(i, x)) / (2 * w)
            for i, t, x, w in zip(
                image.tolist(), text.tolist(), noised.tolist(), length.tolist(), strict=True
            )
        ]
    )
    assert float(lipschitz_loss(features)) == pytest.approx(expected)
    terms = Lip().loss(features, features, None)
    assert [(k, float(v)) for k, v in terms.items()] == [("smoothing", pytest.approx(expected))]


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 4), copies=st.integers(0, 2), seed=st.integers(0, 99))
def test_a_basis_spans_the_rows_and_no_more(rows: int, copies: int, seed: int) -> None:
    texts = unit(rows, 6, seed)
    repeated = torch.cat([texts, *[texts * 0.5] * copies])
    found = basis(repeated)
    assert found.shape == (rows, 6)
    assert torch.allclose(found @ found.T, torch.eye(rows, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(texts @ found.T @ found, texts, atol=1e-9)


#: What open_clip calls the final projection, and how features come out of it.
TOWERS = {
    "visual.attnpool.c_proj": ("image", True),
    "visual.proj": ("image", False),
    "text_projection": ("text", False),
    "text_projection (linear)": ("text", True),
}


@pytest.mark.parametrize("kind", TOWERS)
@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_null_space_takes_the_texts_out_of_every_feature(kind: str, strength: float) -> None:
    tower, linear = TOWERS[kind]
    name = kind.removesuffix(" (linear)")
    torch.manual_seed(0)
    if linear:
        layer = torch.nn.Linear(7, 5, dtype=torch.float64)
        weights = {f"{name}.weight": layer.weight.detach()}
        if tower == "image":
            weights[f"{name}.bias"] = layer.bias.detach()
    else:
        weights = {name: torch.randn(7, 5, dtype=torch.float64)}

    def project(inside, w):
        if not linear:
            return inside @ w[name]
        return torch.nn.functional.linear(inside, w[f"{name}.weight"], w.get(f"{name}.bias"))

    texts, inside = unit(2, 5, 3), torch.randn(4, 7, dtype=torch.float64)
    look = Written({**weights, "other": torch.ones(5)}, texts=texts)
    NullSpace(towers=tower, strength=strength).finish(look)  # type: ignore[arg-type]
    before, after = project(inside, weights), project(inside, look.weights)
    assert torch.allclose(after @ texts.T, (1 - strength) * before @ texts.T, atol=1e-9)
    # What is at right angles to every forgotten text is as it was.
    across = torch.linalg.svd(texts)[2][2:]
    assert torch.allclose(after @ across.T, before @ across.T, atol=1e-9)
    if not strength:
        assert all(torch.equal(look.weights[k], v) for k, v in weights.items())
    assert torch.equal(look.weights["other"], torch.ones(5))


def test_null_space_says_when_it_knows_no_final_projection() -> None:
    look = Written({"visual.proj": torch.ones(3, 3)}, texts=torch.eye(3)[:1])
    with pytest.raises(RunError, match=r"^null_space: the text tower has no final projection"):
        NullSpace(towers="both").finish(look)


def test_slug_tries_the_layers_that_no_other_beats() -> None:
    """Importance 4, 3, 2, 1 and alignment .5, .9, .1, .05: the second is beaten by the first."""
    weights = {name: torch.tensor([[1.0, 0.0]]) for name in "abcd"} | {"bias": torch.ones(2)}
    retain = {name: torch.tensor([[1.0, 0.0]]) for name in "abcd"} | {"bias": torch.ones(2)}
    cosines = dict(zip("abcd", (0.5, -0.9, 0.1, -0.05), strict=True))
    lengths = dict(zip("abcd", (4.0, 3.0, 2.0, 1.0), strict=True))
    forget = {
        k: lengths[k] * torch.tensor([[c, math.sqrt(1 - c * c)]]) for k, c in cosines.items()
    } | {"bias": 99 * torch.ones(2)}
    assert pareto(weights, forget, retain) == ["a", "c", "d"]
    forget["a"] = torch.zeros(1, 2)  # a layer without gradient has nothing to undo
    assert pareto(weights, forget, retain) == ["b", "c", "d"]


@settings(max_examples=40, deadline=None)
@given(needed=st.floats(0.02, 0.98), halvings=st.integers(1, 12))
def test_slug_finds_the_shortest_step_that_forgets(needed: float, halvings: int) -> None:
    """One layer of length 1 and gradient of length 2: the longest step is 0.5."""
    theta, gradient = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])

    def top1(weights):
        return float(float(weights["w"][0, 1]) > -needed), 1.0

    look = Written({"w": theta}, {"w": gradient}, {"w": torch.tensor([[1.0, 0.0]])}, top1=top1)
    SLUG(halvings=halvings).finish(look)
    moved = -float(look.weights["w"][0, 1])
    assert needed <= moved + 1e-6 <= needed + 0.5**halvings + 2e-6
    assert float(look.weights["w"][0, 0]) == 1


def test_slug_takes_the_layer_that_forgets_and_keeps_most() -> None:
    weights = {name: torch.tensor([[1.0, 0.0]]) for name in ("keeps less", "keeps", "useless")}
    retain = {name: torch.tensor([[1.0, 0.0]]) for name in weights}
    forget = {
        name: length * torch.tensor([[c, -math.sqrt(1 - c * c)]])
        for name, length, c in zip(weights, (3, 2, 1), (0.9, 0.5, 0.1), strict=True)
    }

    def top1(now):
        moved = {k: float((now[k] - weights[k]).norm()) for k in weights}
        forgotten = moved["keeps less"] > 0.3 or moved["keeps"] > 0.6
        return float(not forgotten), 1 - 0.9 * moved["keeps less"] - 0.2 * moved["keeps"]

    look = Written(weights, forget, retain, top1=top1)
    SLUG(halvings=5).finish(look)
    changed = [k for k in weights if not torch.equal(look.weights[k], weights[k])]
    assert changed == ["keeps"]
    # 1 look at the longest step, the halvings, 1 at what was found; the useless one has 2.
    assert look.looks == 2 * (1 + 5 + 1) + 2


def test_slug_says_when_there_is_nothing_to_undo() -> None:
    nothing = {"w": torch.zeros(1, 2)}
    with pytest.raises(RunError, match=r"slug: .* gradient is 0 in every layer"):
        SLUG().finish(Written({"w": torch.ones(1, 2)}, nothing, nothing))


@settings(max_examples=30, deadline=None)
@given(before=st.floats(-3, 3), tuned=st.floats(-3, 3), scale=st.floats(0, 2))
def test_task_negation_goes_as_far_the_other_way(before, tuned, scale) -> None:
    look = Written({"w": torch.tensor([before], dtype=torch.float64)})
    look.weights["w"].fill_(tuned)
    TaskNegation(scale=scale).finish(look)
    assert float(look.weights["w"]) == pytest.approx(before - scale * (tuned - before), abs=1e-12)
    TaskNegation(scale=0).finish(look)
    assert torch.equal(look.weights["w"], look.original["w"])


def bargained(forget: np.ndarray, retain: np.ndarray) -> np.ndarray:
    """The weights that solve GᵀG α = 1/α: the minimum of ½ αᵀGᵀGα − Σ log α, by damped Newton."""
    g = np.stack([forget, retain])
    products = g @ g.T
    alpha = 1 / np.linalg.norm(g, axis=1)
    for _ in range(300):
        slope = products @ alpha - 1 / alpha
        step = np.linalg.solve(products + np.diag(alpha**-2), slope)
        alpha = alpha - step / (1 + np.sqrt(max(slope @ step, 0)))
    assert products @ alpha * alpha == pytest.approx(1, rel=1e-6)
    return alpha


@settings(max_examples=50, deadline=None)
@given(
    d=st.integers(2, 8),
    seed=st.integers(0, 999),
    f=st.floats(0.01, 100),
    r=st.floats(0.01, 100),
)
def test_munba_solves_the_bargaining_equation(d: int, seed: int, f: float, r: float) -> None:
    forget, retain = (length * unit(1, d, seed + i)[0] for i, length in enumerate((f, r)))
    cosine = float(forget @ retain) / (f * r)
    assume(cosine > -0.999)
    weights = MUNBa().weigh({"forgetting": forget, "retention": retain})
    alpha = np.array([weights["forgetting"], weights["retention"]])
    assert alpha == pytest.approx(bargained(forget.numpy(), retain.numpy()), rel=1e-5)
    # Both players gain alike relative to what they put in: each gets 1/α.
    step = alpha[0] * forget + alpha[1] * retain
    assert float(forget @ step) == pytest.approx(1 / alpha[0])
    assert float(retain @ step) == pytest.approx(1 / alpha[1])


def test_munba_stays_finite_where_there_is_no_bargain() -> None:
    g = torch.tensor([1.0, 2.0])
    opposite = MUNBa().weigh({"forgetting": -3 * g, "retention": g})
    assert all(math.isfinite(w) for w in opposite.values())
    assert opposite["forgetting"] * -3 * g + opposite["retention"] * g == pytest.approx(0, abs=1e-3)
    assert MUNBa().weigh({"forgetting": 0 * g, "retention": g}) == {
        "forgetting": 1.0,
        "retention": 1.0,
    }


def test_salun_lets_half_of_the_weights_move_by_default() -> None:
    gradient = {"a": torch.tensor([[1.0, -4.0]]), "b": torch.tensor([3.0, 2.0])}
    mask = SalUn().mask(Written(gradient, gradient))
    assert {k: v.tolist() for k, v in mask.items()} == {"a": [[False, True]], "b": [True, False]}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("salun", {"share": 0}, r"salun: share = 0\.0 must be above 0, and at most 1"),
        ("salun", {"share": 1.5}, r"salun: share = 1\.5 must be above 0, and at most 1"),
        ("lip", {"noise": 0}, "lip: noise = 0 must be above 0"),
        ("null_space", {"strength": 2}, r"null_space: strength = 2\.0 must be at most 1"),
        ("null_space", {"towers": "video"}, "must be one of image, text, both"),
        ("slug", {"halvings": 2.5}, "halvings = 2.5 must be a whole number"),
    ],
)
def test_an_option_out_of_range_is_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_method(name).build(options)
