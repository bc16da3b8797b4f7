"""The pairs of each step, and what a loss gets with them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import torch
from support_engine import SPEC, run

from erasekit.data.drawn import captions
from erasekit.models.zero_shot import concept_features
from erasekit.unlearn.methods.cliperase import CLIPErase
from erasekit.unlearn.methods.fine_tune import FineTune
from erasekit.unlearn.pair_batches import PairBatches
from erasekit.unlearn.registry import get_method


@dataclasses.dataclass(frozen=True)
class Remembers(CLIPErase):
    """CLIPErase that keeps what it is given of the original and of the model itself."""

    needs_original_forget: ClassVar[bool] = True

    def loss(self, forget, retain, prompts):
        SEEN.append((forget, retain))
        return super().loss(forget, retain, prompts)


SEEN: list = []


def test_a_loss_gets_the_originals_features_of_the_same_pairs(tiny_experiment) -> None:
    """At the first step the model is the original; later it is not, and they stay the same."""
    SEEN.clear()
    task, original = tiny_experiment.task, tiny_experiment.original
    run(tiny_experiment, Remembers(), dataclasses.replace(SPEC, learning_rate=1e-2))
    assert len(SEEN) == SPEC.steps
    for part in SEEN[0]:
        assert torch.allclose(part.original_image, part.image_unit, atol=1e-5)
        assert torch.allclose(part.original_text, part.text_unit, atol=1e-5)
    for step, both in enumerate(SEEN):
        for part, pairs in zip(both, (task.forget, task.retain), strict=True):
            images, texts = (
                original.encode_images(pairs.images),
                original.encode_texts(pairs.captions),
            )
            rows = torch.cdist(part.original_image, images).argmin(1)
            assert torch.allclose(part.original_image, images[rows], atol=1e-5)
            assert torch.allclose(part.original_text, texts[rows], atol=1e-5)
            if step:
                assert not torch.allclose(part.original_image, part.image_unit, atol=1e-5)
            assert float(part.original_scale) == pytest.approx(
                float(original.model.logit_scale.exp())
            )


def test_contrasted_forget_pairs_are_no_false_negatives(tiny_experiment) -> None:
    original, task = tiny_experiment.original, tiny_experiment.task

    def plan_forget(name: str) -> np.ndarray | None:
        return PairBatches(original, task, get_method(name).build({}), SPEC).plan_forget()

    plan = plan_forget("cliperase_infonce")
    assert plan is not None
    for rows in plan:
        kinds = [frozenset(task.forget.concepts[i]) for i in rows]
        assert len(set(kinds)) == len(kinds)
    assert plan_forget("fine_tune") is None


def test_batches_shrink_to_what_there_is(tiny_experiment) -> None:
    huge = dataclasses.replace(SPEC, steps=1, forget_batch=10_000, retain_batch=10_000)
    assert run(tiny_experiment, spec=huge).steps == 1


def test_a_method_that_asks_gets_names_shares_and_how_the_unseen_look(tiny_experiment):
    e = tiny_experiment
    seen: list[tuple] = []

    @dataclasses.dataclass(frozen=True)
    class Asking(FineTune):
        name: ClassVar[str] = "asking"
        needs_forget: ClassVar[bool] = True
        needs_names: ClassVar[bool] = True
        needs_unseen: ClassVar[bool] = True

        def loss(self, forget, retain, prompts):
            seen.append((forget, prompts))
            return super().loss(None, retain, prompts)

    run(e, Asking(), dataclasses.replace(SPEC, steps=2))
    forget, prompts = seen[0]
    assert forget.name.shape == forget.text.shape == (4, forget.image.shape[1])
    # Before the first step the model is the original, which knows each name by itself.
    known = e.original.encode_texts(
        [
            text
            for concept in e.task.forgotten_concepts
            for language in e.task.forget_languages
            for text in captions.prompts(concept, language)
        ]
    )
    nearest = (forget.name_unit.detach() @ known.T).max(1).values
    assert torch.allclose(nearest, torch.ones(4), atol=1e-5)
    assert torch.allclose(forget.name_unit.detach(), forget.original_name, atol=1e-5)
    shares = {round(float(share), 3) for forget, _ in seen for share in forget.forgotten_share}
    assert shares <= {0.333, 0.5, 0.667, 1.0}
    assert len(shares) > 1, "scenes are among them"
    holdout = e.world.holdout
    singles = e.world.pairs("validation").singles.where(lambda shown: shown[0] in holdout)
    names = {i: concept_features(e.original, [e.world.concept(i)])[0] for i in holdout}
    pictures = e.original.encode_images(singles.images)
    cosines = [float(p @ names[i]) for p, (i,) in zip(pictures, singles.concepts, strict=True)]
    assert prompts.unseen.concepts == pytest.approx(sum(cosines) / len(cosines), abs=1e-5)
    cosines = [
        float(e.original.encode_images(one.images)[0] @ e.original.encode_texts(one.captions)[0])
        for i, shown in enumerate(e.world.pairs("validation").concepts)
        if len(shown) > 1 and not set(shown) & set(e.task.forgotten)
        for one in [e.world.pairs("validation").take([i])]
    ]
    assert prompts.unseen.scenes == pytest.approx(sum(cosines) / len(cosines), abs=1e-5)
