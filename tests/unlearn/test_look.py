"""What a method may look at: gradients, validation, the forgotten texts; never test."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import fingerprint

from erasekit.data.drawn.captions import prompts
from erasekit.unlearn.encode import encode
from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.look import Look
from erasekit.unlearn.losses import contrastive
from erasekit.unlearn.pair_batches import PairBatches
from erasekit.unlearn.registry import get_method

SPEC = EraseSpec(steps=3, forget_batch=4, retain_batch=6)


@pytest.fixture
def look(tiny_experiment) -> Look:
    e = tiny_experiment
    return Look(PairBatches(e.original, e.task, get_method("salun").build({}), SPEC))


@pytest.fixture
def erased(look: Look):
    return look._adapter.erased


@pytest.mark.parametrize("which", ["forget", "retain"])
def test_the_gradient_is_the_slope_of_the_mean_loss(look: Look, which) -> None:
    """Held against the loss itself, a small step up and down along the gradient."""
    seen: list[float] = []

    def watched(features):
        loss = contrastive(features)
        seen.append(float(loss.detach()))
        return loss

    gradient = look.gradient(which, watched, batches=2)
    assert len(seen) == 2 and seen[0] != seen[1]
    for name in ("visual.attnpool.c_proj.weight", "text_projection", "logit_scale"):
        weight, norm = look.weights[name], float(gradient[name].norm())
        before, values = weight.detach().clone(), []
        for sign in (1, -1):
            weight.data = before + sign * 0.01 * gradient[name] / norm
            seen.clear()
            look.gradient(which, watched, batches=2)
            values.append(np.mean(seen))
        weight.data = before
        assert (values[0] - values[1]) / 0.02 == pytest.approx(norm, rel=0.05), name


def test_the_squared_gradient_is_squared_batch_by_batch(look: Look) -> None:
    first = look.gradient("forget", contrastive, batches=1)
    both = look.gradient("forget", contrastive, batches=2)
    squared = look.squared_gradient("forget", contrastive, batches=2)
    for name in ("text_projection", "visual.conv1.weight", "logit_scale"):
        second = 2 * both[name] - first[name]
        expected = (first[name].square() + second.square()) / 2
        assert torch.allclose(squared[name], expected, rtol=1e-3, atol=1e-9), name
        assert not torch.allclose(squared[name], both[name].square(), rtol=1e-3, atol=1e-12), name


def test_both_sets_are_read_in_batches_of_one_size(look: Look, tiny_experiment) -> None:
    sizes = set()
    for which in ("forget", "retain"):
        look.gradient(which, lambda f: sizes.add(len(f.image)) or contrastive(f), batches=3)
    assert sizes == {SPEC.forget_batch}


def test_looking_changes_nothing_and_says_the_same_again(look: Look, tiny_experiment) -> None:
    before = fingerprint(tiny_experiment.original.model)
    one, other = (look.gradient("retain", contrastive, batches=2) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert set(one) == set(look.weights) == set(look.original)
    assert fingerprint(tiny_experiment.original.model) == before
    assert all(p.grad is None for p in look.weights.values())


def test_a_weight_that_a_loss_does_not_reach_has_a_gradient_of_zero(look: Look) -> None:
    gradient = look.gradient("forget", lambda f: f.image_unit.sum(), batches=1)
    assert not gradient["text_projection"].any()
    assert gradient["visual.attnpool.c_proj.weight"].any()


def test_validation_is_top1_on_validation_singles(look: Look, erased, tiny_experiment) -> None:
    world, task = tiny_experiment.world, tiny_experiment.task
    names = {i: erased.encode_texts(prompts(world.concept(i))).mean(0) for i in world.trained}
    right: dict[bool, list[bool]] = {True: [], False: []}
    pairs = world.pairs("validation").singles
    for (own,), picture in zip(pairs.concepts, erased.encode_images(pairs.images), strict=True):
        if own in names:
            said = max(names, key=lambda i: float(picture @ names[i] / names[i].norm()))
            right[own in task.forgotten].append(said == own)
    found = look.validation()
    assert found["validation_forget"] == pytest.approx(np.mean(right[True]))
    assert found["validation_retain"] == pytest.approx(np.mean(right[False]))


def test_the_forgotten_have_one_text_a_language(look: Look, erased, tiny_experiment) -> None:
    task = tiny_experiment.task
    texts = look.forgotten_texts()
    languages, concepts = task.forget_languages, task.forgotten_concepts
    assert texts.shape[0] == len(languages) * len(concepts) > len(concepts)
    rows = iter(texts)
    for language in languages:
        for concept in concepts:
            mean = erased.encode_texts(prompts(concept, language)).mean(0)
            assert torch.allclose(next(rows), mean / mean.norm(), atol=1e-5)


@pytest.mark.parametrize("name", ["slug", "ssd", "null_space", "salun", "lip"])
def test_nothing_is_chosen_on_test(tiny_experiment, monkeypatch, name: str) -> None:
    seen, world = set(), tiny_experiment.world
    real, mean = type(world).pairs, Look._mean

    def watched(self, split, *rest, **named):
        seen.add(split)
        return real(self, split, *rest, **named)

    monkeypatch.setattr(type(world), "pairs", watched)
    monkeypatch.setattr(Look, "_mean", lambda self, w, loss, n, of: mean(self, w, loss, 2, of))
    tiny_experiment.erase(name, options={}, steps=1, stop_at=1.0, check_every=1)
    assert seen <= {"train", "validation"} and "validation" in seen


def test_noise_comes_from_its_key_and_has_the_length_it_says(erased, tiny_experiment) -> None:
    part = tiny_experiment.task.forget.take([0, 1, 2])
    tokens = erased.tokenizer(list(part.captions))

    def noised(noise: float, *key: int):
        with torch.no_grad():
            return encode(erased, part.images, tokens, "fp32", noise=noise, noised=2, key=key)

    one, again, other = noised(0.5, 3, 1), noised(0.5, 3, 1), noised(0.5, 3, 2)
    assert one.noised_image is not None and one.noise_norm is not None
    assert one.image.shape[0] == 3 and one.noised_image.shape[0] == one.noise_norm.shape[0] == 2
    assert torch.equal(one.noised_image, again.noised_image)  # type: ignore[arg-type]
    assert not torch.equal(one.noised_image, other.noised_image)  # type: ignore[arg-type]
    pixels = erased.preprocess(part.images[:2])
    expected = 0.5 * pixels[0].numel() ** 0.5  # of so many numbers, to a percent
    assert one.noise_norm.tolist() == pytest.approx([expected] * 2, rel=0.03)
    drawn = np.random.default_rng((3, 1)).standard_normal(pixels.shape, dtype=np.float32) / 2
    with torch.no_grad():
        direct = erased.model.encode_image(pixels + torch.from_numpy(drawn))
    assert torch.allclose(one.noised_image, direct, atol=1e-4)
    assert encode(erased, part.images, tokens, "fp32").noised_image is None


def test_a_method_without_noise_gets_none(look: Look) -> None:
    assert get_method("salun").build({}).picture_noise() == 0
    seen = []
    look.gradient("forget", lambda f: seen.append(f.noised_image) or contrastive(f), batches=1)
    assert seen == [None]
