"""Each loss against a computation of its own, written in numpy from the equations."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import unit

from erasekit.errors import UsageError
from erasekit.unlearn.answers import Answers
from erasekit.unlearn.losses import kl_divergence
from erasekit.unlearn.method import Features, Prompts, Unseen
from erasekit.unlearn.methods.cliperase import (
    CLIPErase,
    consistency_loss,
    forgetting_loss,
    retention_loss,
)
from erasekit.unlearn.methods.cliperase_infonce import CLIPEraseInfoNCE
from erasekit.unlearn.methods.delete import DELETE
from erasekit.unlearn.methods.fine_tune import FineTune
from erasekit.unlearn.methods.gradient_ascent import GradientAscent
from erasekit.unlearn.methods.gradient_difference import GradientDifference
from erasekit.unlearn.methods.kl_minimization import KLMinimization
from erasekit.unlearn.methods.multidelete import MultiDelete
from erasekit.unlearn.methods.never_seen import NeverSeen
from erasekit.unlearn.methods.npo import NPO, preference_loss
from erasekit.unlearn.methods.random_label import RandomLabel
from erasekit.unlearn.methods.scrub import SCRUB
from erasekit.unlearn.registry import get_method

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


@settings(max_examples=30, deadline=None)
@given(**SHAPES)
def test_forgetting_is_the_mean_similarity_of_matched_pairs(n: int, d: int, seed: int) -> None:
    f = features(n, d, seed)
    cosine = np.mean([a @ b for a, b in zip(rows_unit(f.image), rows_unit(f.text), strict=True)])
    dot = np.mean([a @ b for a, b in zip(array(f.image), array(f.text), strict=True)])
    assert float(forgetting_loss(f).detach()) == pytest.approx(cosine)
    assert float(forgetting_loss(f, "dot").detach()) == pytest.approx(dot)
    assert float(forgetting_loss(f, "cosine", True).detach()) == pytest.approx(7 * cosine)
    assert float(forgetting_loss(f, "dot", True).detach()) == pytest.approx(7 * dot)


@settings(max_examples=30, deadline=None)
@given(**SHAPES)
def test_retention_is_the_contrastive_loss(n: int, d: int, seed: int) -> None:
    f = features(n, d, seed)
    expected = contrastive(rows_unit(f.image), rows_unit(f.text), 7.0)
    assert float(retention_loss(f).detach()) == pytest.approx(expected)


def within(vectors: np.ndarray, temperature: float) -> list[list[float]]:
    """Similarities of each row to the others, itself left out."""
    n = len(vectors)
    return [
        [float(vectors[i] @ vectors[j]) / temperature for j in range(n) if j != i] for i in range(n)
    ]


@settings(max_examples=30, deadline=None)
@given(**SHAPES, temperature=st.floats(0.05, 2))
def test_consistency_holds_each_modality(n: int, d: int, seed: int, temperature: float) -> None:
    f = features(n, d, seed)
    prompts = Prompts(unit(5, d, 77))
    sides = [
        (array(f.original_image), rows_unit(f.image)),
        (array(f.original_text), rows_unit(f.text)),
    ]
    classes = array(prompts.text)
    expected = {
        "batch": sum(kl(within(a, temperature), within(b, temperature)) for a, b in sides),
        "prompts": sum(
            kl((a @ classes.T / temperature).tolist(), (b @ classes.T / temperature).tolist())
            for a, b in sides
        ),
        "features": sum(
            kl((a / temperature).tolist(), (b / temperature).tolist()) for a, b in sides
        ),
    }
    for unimodal, value in expected.items():
        found = consistency_loss(f, prompts, unimodal, temperature)  # type: ignore[arg-type]
        assert float(found.detach()) == pytest.approx(value, abs=1e-9)
        assert float(found.detach()) >= -1e-12


@pytest.mark.parametrize("unimodal", ["batch", "prompts", "features"])
def test_consistency_is_zero_when_nothing_moved(unimodal: str) -> None:
    still = features(6, 4, 0, moved=False)
    loss = consistency_loss(still, Prompts(unit(5, 4, 9)), unimodal)  # type: ignore[arg-type]
    assert float(loss.detach()) == pytest.approx(0, abs=1e-12)
    moved = consistency_loss(features(6, 4, 0), Prompts(unit(5, 4, 9)), unimodal)  # type: ignore[arg-type]
    assert float(moved.detach()) > 1e-3


@pytest.mark.parametrize("unimodal", ["batch", "prompts", "features"])
def test_consistency_moves_the_current_model_alone(unimodal: str) -> None:
    f = features(6, 4, 0)
    assert f.original_image is not None and f.original_text is not None
    prompts = Prompts(unit(5, 4, 9))
    consistency_loss(f, prompts, unimodal).backward()  # type: ignore[arg-type]
    assert f.image.grad is not None and float(f.image.grad.abs().max()) > 0
    assert f.text.grad is not None and float(f.text.grad.abs().max()) > 0
    assert f.original_image.grad is None and f.original_text.grad is None
    assert prompts.text.grad is None


def test_the_kl_of_known_distributions() -> None:
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    assert float(kl_divergence(p, q)) == pytest.approx(
        0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    )
    assert float(kl_divergence(q, p)) != pytest.approx(float(kl_divergence(p, q)))
    assert float(kl_divergence(p + 3, p)) == pytest.approx(0, abs=1e-6)  # shifts do not matter


def test_cliperase_weighs_its_modules_as_the_paper_does() -> None:
    forget, retain, prompts = features(4, 5, 3), features(6, 5, 8), Prompts(unit(5, 5, 1))
    terms = CLIPErase().loss(forget, retain, prompts)
    assert float(terms["retention"].detach()) == pytest.approx(
        float(retention_loss(retain).detach())
    )
    assert float(terms["forgetting"].detach()) == pytest.approx(
        3 * float(forgetting_loss(forget).detach())
    )
    assert float(terms["consistency"].detach()) == pytest.approx(
        3 * float(consistency_loss(retain, prompts).detach())
    )
    assert set(terms) == {"retention", "forgetting", "consistency"}


@pytest.mark.parametrize("module", ["forgetting", "retention", "consistency"])
def test_a_module_of_weight_zero_is_left_out(module: str) -> None:
    method = dataclasses.replace(CLIPErase(), **{module: 0.0})
    terms = method.loss(features(4, 5, 3), features(6, 5, 8), Prompts(unit(5, 5, 1)))
    assert set(terms) == {"forgetting", "retention", "consistency"} - {module}


def test_switches_reach_the_losses() -> None:
    forget, retain, prompts = features(4, 5, 3), features(6, 5, 8), Prompts(unit(5, 5, 1))
    method = CLIPErase(product="dot", scaled=True, unimodal="prompts", temperature=0.7)
    terms = method.loss(forget, retain, prompts)
    assert float(terms["forgetting"].detach()) == pytest.approx(
        3 * float(forgetting_loss(forget, "dot", True).detach())
    )
    assert float(terms["consistency"].detach()) == pytest.approx(
        3 * float(consistency_loss(retain, prompts, "prompts", 0.7).detach())
    )


@settings(max_examples=20, deadline=None)
@given(**SHAPES)
def test_the_infonce_variant_climbs_among_all_rows_and_holds(n: int, d: int, seed: int) -> None:
    forget, retain = features(n, d, seed), features(n + 1, d, seed + 50)
    terms = CLIPEraseInfoNCE(forgetting=2, retention=3, consistency=5).loss(forget, retain, None)
    images = np.concatenate([rows_unit(forget.image), rows_unit(retain.image)])
    texts = np.concatenate([rows_unit(forget.text), rows_unit(retain.text)])
    climbed = 2 * np.mean(nll(images, texts, 7.0)[:n])  # a sum of two directions, not their mean
    assert float(terms["forgetting"].detach()) == pytest.approx(-2 * climbed)
    kept = contrastive(rows_unit(retain.image), rows_unit(retain.text), 7.0)
    assert float(terms["retention"].detach()) == pytest.approx(3 * kept)
    held = over_batch(retain)
    assert float(terms["consistency"].detach()) == pytest.approx(5 * held, rel=1e-6, abs=1e-9)


def test_fine_tuning_is_retention_and_nothing_else() -> None:
    retain = features(6, 5, 8)
    terms = FineTune().loss(None, retain, None)
    assert list(terms) == ["retention"]
    assert float(terms["retention"].detach()) == pytest.approx(
        float(retention_loss(retain).detach())
    )


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


@settings(max_examples=20, deadline=None)
@given(**SHAPES)
def test_the_ascents_are_minus_the_contrastive_loss(n: int, d: int, seed: int) -> None:
    forget, retain = both(n, d, seed)
    up = -contrastive(rows_unit(forget.image), rows_unit(forget.text), 7.0)
    down = contrastive(rows_unit(retain.image), rows_unit(retain.text), 7.0)
    alone = GradientAscent().loss(forget, retain, None)
    assert list(alone) == ["forgetting"]
    assert value(alone, "forgetting") == pytest.approx(up)
    terms = GradientDifference(forgetting=2, retention=3).loss(forget, retain, None)
    assert value(terms, "forgetting") == pytest.approx(2 * up)
    assert value(terms, "retention") == pytest.approx(3 * down)
    terms = KLMinimization(forgetting=1, retention=2).loss(forget, retain, None)
    assert value(terms, "forgetting") == pytest.approx(up)
    assert value(terms, "retention") == pytest.approx(2 * over_batch(retain), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(**SHAPES, beta=st.floats(0.05, 5))
def test_npo_weighs_how_much_worse_a_pair_has_become(n, d, seed, beta) -> None:
    forget, retain = both(n, d, seed)
    now = nll(rows_unit(forget.image), rows_unit(forget.text), 7.0)
    before = nll(array(forget.original_image), array(forget.original_text), 5.0)
    expected = np.mean(
        [
            2 / beta * math.log(1 + math.exp(-beta * (a - b)))
            for a, b in zip(now, before, strict=True)
        ]
    )
    terms = NPO(beta=beta).loss(forget, retain, None)
    assert value(terms, "forgetting") == pytest.approx(expected)
    assert value(terms, "retention") == pytest.approx(
        contrastive(rows_unit(retain.image), rows_unit(retain.text), 7.0)
    )


def test_npos_gradient_is_gradient_ascents_for_a_small_beta() -> None:
    forget, retain = both(5, 4, 3)
    GradientAscent().loss(forget, retain, None)["forgetting"].backward()
    ascent = forget.image.grad.clone()  # type: ignore[union-attr]
    forget.image.grad = None
    NPO(beta=1e-6, retention=0).loss(forget, retain, None)["forgetting"].backward()
    assert torch.allclose(forget.image.grad, ascent, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_npos_first_step_is_gradient_ascents(beta: float) -> None:
    """At the original itself 2/β · β · (1 − σ(0)) is 1, whatever β is."""
    nll = torch.tensor([1.0, 3.0], dtype=torch.float64, requires_grad=True)
    rows = Answers(nll, torch.tensor([1, 2]), nll.detach())
    preference_loss(rows, beta).backward()
    assert nll.grad is not None and nll.grad.tolist() == pytest.approx([-0.5, -0.5])


def test_npo_refuses_a_beta_of_zero() -> None:
    with pytest.raises(UsageError, match="beta = 0 must be above 0"):
        NPO.build({"beta": 0})


@settings(max_examples=20, deadline=None)
@given(**SHAPES)
def test_random_label_is_the_cross_entropy_of_a_wrong_caption(n, d, seed) -> None:
    forget, retain = both(n, d, seed)
    total = 0.0
    captions = rows_unit(retain.text)
    for i, (picture, own) in enumerate(
        zip(rows_unit(forget.image), rows_unit(forget.text), strict=True)
    ):
        logits = [7 * float(picture @ row) for row in (*captions, own)]
        total -= math.log(softmax(logits)[i])
    terms = RandomLabel(forgetting=2).loss(forget, retain, None)
    assert value(terms, "forgetting") == pytest.approx(2 * total / n)
    few = dataclasses.replace(retain, text=retain.text[:1], image=retain.image[:1])
    assert math.isfinite(value(RandomLabel(retention=0).loss(forget, few, None), "forgetting"))


@settings(max_examples=20, deadline=None)
@given(**SHAPES)
def test_scrub_departs_on_forget_and_follows_on_retain(n, d, seed) -> None:
    forget, retain = both(n, d, seed)
    terms = SCRUB(forgetting=2, alpha=3, gamma=0.5).loss(forget, retain, None)
    assert value(terms, "forgetting") == pytest.approx(-2 * over_batch(forget), abs=1e-9)
    assert value(terms, "consistency") == pytest.approx(3 * over_batch(retain), abs=1e-9)
    assert value(terms, "retention") == pytest.approx(
        0.5 * contrastive(rows_unit(retain.image), rows_unit(retain.text), 7.0)
    )


@settings(max_examples=20, deadline=None)
@given(**SHAPES)
def test_delete_strikes_the_own_caption_out(n, d, seed) -> None:
    forget, retain = both(n, d, seed)
    prompts = Prompts(unit(5, d, 77))
    classes, total = array(prompts.text), 0.0
    for i in range(n):
        q = softmax([5 * float(array(forget.original_image)[i] @ c) for c in classes])
        picture, own = rows_unit(forget.image)[i], rows_unit(forget.text)[i]
        p = softmax([7 * float(picture @ c) for c in (*classes, own)])
        total += sum(a * math.log(a / b) for a, b in zip(q, p[:-1], strict=True))
    found = DELETE().loss(forget, retain, prompts)
    assert value(found, "forgetting") == pytest.approx(total / n)


@settings(max_examples=20, deadline=None)
@given(**SHAPES)
def test_multidelete_aims_at_the_similarity_of_strangers(n, d, seed) -> None:
    forget, retain = both(n, d, seed)
    image, text = rows_unit(forget.image), rows_unit(forget.text)
    strangers = [array(forget.original_image)[i] @ array(retain.original_text)[i] for i in range(n)]
    forgetting = np.mean([(image[i] @ text[i] - strangers[i]) ** 2 for i in range(n)])
    moved = np.mean(
        ((image - array(forget.original_image)) ** 2).sum(1)
        + ((text - array(forget.original_text)) ** 2).sum(1)
    )
    kept = np.mean(
        (
            (rows_unit(retain.image) * rows_unit(retain.text)).sum(1)
            - (array(retain.original_image) * array(retain.original_text)).sum(1)
        )
        ** 2
    )
    terms = MultiDelete(forgetting=2, retention=3, consistency=4).loss(forget, retain, None)
    assert value(terms, "forgetting") == pytest.approx(2 * forgetting)
    assert value(terms, "retention") == pytest.approx(3 * kept)
    assert value(terms, "consistency") == pytest.approx(4 * moved)


@settings(max_examples=20, deadline=None)
@given(**SHAPES, level=st.floats(-0.5, 0.5), scenes=st.floats(0, 1))
def test_never_seen_aims_at_the_level_of_strangers_and_moves_nothing_else(
    n, d, seed, level, scenes
) -> None:
    forget, retain = both(n, d, seed)
    shares = [1.0 if i % 2 else 0.5 for i in range(n)]
    forget = dataclasses.replace(
        forget,
        name=2 * unit(n, d, seed + 7),
        original_name=unit(n, d, seed + 8),
        forgotten_share=torch.tensor(shares).double(),
    )
    image, text, name = (rows_unit(t) for t in (forget.image, forget.text, forget.name))
    forgetting = naming = 0.0
    for i, share in enumerate(shares):
        target = share * level + (1 - share) * scenes
        forgetting += abs(float(image[i] @ text[i]) - target) / n
        naming += abs(float(array(forget.original_name)[i] @ name[i]) - level) / n
    moved = np.mean(
        ((rows_unit(retain.image) - array(retain.original_image)) ** 2).sum(1)
        + ((rows_unit(retain.text) - array(retain.original_text)) ** 2).sum(1)
    )
    method = NeverSeen(forgetting=2, naming=3, consistency=4)
    terms = method.loss(forget, retain, Prompts(unit(3, d, 5), Unseen(level, scenes)))
    assert value(terms, "forgetting") == pytest.approx(2 * forgetting)
    assert value(terms, "naming") == pytest.approx(3 * naming)
    assert value(terms, "consistency") == pytest.approx(4 * moved)
    names = (array(forget.original_name) * name).sum(1)
    shuffled = NeverSeen(level="shuffled").loss(
        forget, retain, Prompts(unit(3, d, 5), Unseen(None, None))
    )
    pictures, captions = array(retain.original_image), array(retain.original_text)
    m = len(pictures)
    strangers = np.mean([pictures[i] @ captions[j] for i in range(m) for j in range(m) if i != j])
    assert value(shuffled, "naming") == pytest.approx(np.mean(np.abs(names - strangers)))
    assert value(shuffled, "forgetting") == pytest.approx(
        np.mean(np.abs((image * text).sum(1) - strangers))
    ), "without a scene to measure, a scene is to end where everything else does"


def test_never_seen_says_what_to_do_where_nothing_was_held_out() -> None:
    forget, retain = both(3, 4, 0)
    forget = dataclasses.replace(forget, forgotten_share=torch.ones(3).double())
    with pytest.raises(UsageError, match="set level=shuffled"):
        NeverSeen().loss(forget, retain, Prompts(unit(3, 4, 5), Unseen(None, 0.5)))


WEIGHTS = {
    "cliperase_infonce": ("forgetting", "retention", "consistency"),
    "gradient_difference": ("forgetting", "retention"),
    "kl_minimization": ("forgetting", "retention"),
    "npo": ("forgetting", "retention"),
    "random_label": ("forgetting", "retention"),
    "scrub": ("forgetting", "alpha", "gamma"),
    "multidelete": ("forgetting", "retention", "consistency"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_weight_of_zero_leaves_its_term_out(name: str) -> None:
    forget, retain = both(4, 3, 1)
    for weight in WEIGHTS[name]:
        whole = get_method(name).build({}).loss(forget, retain, None)
        without = get_method(name).build({weight: 0}).loss(forget, retain, None)
        assert len(without) == len(whole) - 1
        assert {k: float(v.detach()) for k, v in without.items()}.items() <= {
            k: float(v.detach()) for k, v in whole.items()
        }.items()


@pytest.mark.parametrize(
    "method",
    [KLMinimization(forgetting=0), MultiDelete(forgetting=0), SCRUB(forgetting=0, gamma=0)],
    ids=lambda method: method.name,
)
def test_what_only_keeps_asks_nothing_of_a_model_that_has_not_moved(method) -> None:
    forget, retain = features(4, 3, 1, moved=False), features(5, 3, 9, moved=False)
    still = dataclasses.replace(retain, scale=retain.original_scale)
    terms = method.loss(dataclasses.replace(forget, scale=forget.original_scale), still, None)
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert all(float(v.detach()) == pytest.approx(0, abs=1e-12) for v in terms.values())
    assert retain.image.grad.abs().max() < 1e-9  # type: ignore[union-attr]
