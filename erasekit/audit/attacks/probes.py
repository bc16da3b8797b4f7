"""Probes: can the concept still be read from the features, layer by layer?

A model may no longer say a name and still hold it: a classifier fitted on its features
finds out. Two are fitted on every layer of both towers: logistic regression (Alain and
Bengio 2016, arXiv 1610.01644), which asks what a linear map can read, and the nearest
neighbours, which ask what lies together. ESC (arXiv 2504.02199) puts such a probe on the
last features of an erased classifier; here every layer of both towers is asked, and the
oracle, which never saw the concept, says how much of it any good features would show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from open_clip.transformer import text_global_pool
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from erasekit.audit.base import AuditTest, Measure, Metric, Models, Result, estimate_mean
from erasekit.data.drawn.captions import prompts
from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.data.worlds import PairsWorld
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.naming import trained_singles
from erasekit.models.clip import Clip

if TYPE_CHECKING:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import Pipeline

#: The name of the features that a tower gives, after its last layer.
OUTPUT = "output"
#: Blocks of a transformer that are looked at, evenly spread, the last one among them.
MOST_BLOCKS = 4
#: How many of the nearest training pictures vote.
NEIGHBOURS = 5
_RESNET_STAGES = ("layer1", "layer2", "layer3", "layer4")


def probes(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
    pictures: int = 20,
) -> Result:
    """Accuracy of probes on the forgotten concepts, for each layer of both towers.

    A probe names one of all trained concepts. On pictures it is fitted on training
    pictures of one concept each, forgotten ones included, and asked about those of
    `split`. On text it is fitted on every other template of each language and asked
    about the rest, see `wordings`; no text belongs to a split.

    Args:
        models, task, split, draws, seed: as in every audit test.
        pictures: training pictures a concept that a probe is fitted on, at most.

    Returns:
        metrics ``linear_image``, ``knn_image`` and ``linear_text``, shares from 0 to 1,
        with the layer as condition. Details have the keys ``tower`` (image, text),
        ``layer``, ``model``, ``subset`` (forget, retain), ``probe`` (linear, knn) and
        ``accuracy``.

    Raises:
        UsageError: for an unknown split.
    """
    world = task.world
    fit_pictures = first_of_each(trained_singles(world, "train"), pictures)
    ask_pictures = trained_singles(world, split)
    fit_texts, ask_texts = wordings(world)
    images = torch.cat([fit_pictures.images, ask_pictures.images])
    image_labels = fit_pictures.labels(), ask_pictures.labels()
    text_labels = np.array([*fit_texts.values()]), np.array([*ask_texts.values()])
    chance = 1 / len(world.trained)

    result = Result([])
    for model, clip in models.items():
        for tower, layers, (taught, truth), probes_of in (
            (
                "image",
                image_layers(clip, images),
                image_labels,
                {"linear": fit_linear, "knn": fit_nearest},
            ),
            (
                "text",
                text_layers(clip, [*fit_texts, *ask_texts]),
                text_labels,
                {"linear": fit_linear},
            ),
        ):
            if len(layers) == 1:
                result.notes.append(f"{model}: of its {tower} tower only the output is looked at.")
            forgotten = np.isin(truth, task.forgotten)
            for (layer, features), (probe, fit) in product(layers.items(), probes_of.items()):
                fitted, asked = np.split(features, [len(taught)])
                right = fit(fitted, taught).predict(asked) == truth
                estimate = estimate_mean(right[forgotten], truth[forgotten], draws, seed)
                metric = f"{probe}_{tower}"
                result.measures.append(Measure(model, metric, layer, estimate, chance))
                result.details.extend(
                    {
                        "tower": tower,
                        "layer": layer,
                        "model": model,
                        "subset": subset,
                        "probe": probe,
                        "accuracy": float(right[rows].mean()),
                    }
                    for subset, rows in (("forget", forgotten), ("retain", ~forgotten))
                )
    return result


def fit_linear(features: np.ndarray, labels: np.ndarray) -> Pipeline:
    """Logistic regression on standardised features, regularised as scikit-learn's default.

    Args:
        features: shape (n, d).
        labels: the concept of each, shape (n,).
    """
    # scikit-learn takes a second to import, and most runs never probe.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    # Its matrices are small: threads that wait for each other made it twenty times slower.
    with threadpool_limits(1, user_api="blas"):
        return classifier.fit(features, labels)


def fit_nearest(features: np.ndarray, labels: np.ndarray) -> KNeighborsClassifier:
    """A vote of the nearest by cosine, see `fit_linear`."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(NEIGHBOURS, metric="cosine").fit(features, labels)


def image_layers(clip: Clip, images: Tensor, batch: int = 64) -> dict[str, np.ndarray]:
    """Image features of each layer, first to last, each of shape (n, its width).

    Known are open_clip's ModifiedResNet (its four stages, mean over space) and
    VisionTransformer (some of its blocks, mean over tokens). Of any other tower there
    is its output alone.

    Args:
        images: uint8, shape (n, 3, height, width).
        batch: pictures at a time; small, since early layers are large.
    """
    tower = clip.model.visual
    stages = {n: m for n in _RESNET_STAGES if isinstance(m := getattr(tower, n, None), nn.Module)}
    return _read(
        stages or _some_blocks(tower),
        (clip.preprocess(images[i : i + batch]) for i in range(0, len(images), batch)),
        partial(clip.model.encode_image, normalize=True),
        lambda state, _: state.flatten(2).mean(2) if state.ndim == 4 else state.mean(1),
    )


def text_layers(clip: Clip, texts: list[str], batch: int = 256) -> dict[str, np.ndarray]:
    """Text features of each layer, first to last, each of shape (n, its width).

    A block's feature is its state where the tower pools, since nothing else of it
    reaches the output; a mean over tokens would still hold the name's own embeddings,
    whatever the tower makes of them. Known are open_clip's transformers without a
    class token of their own. Of any other tower there is its output alone.
    """
    tower = getattr(clip.model, "text", clip.model)  # a custom tower is a module of its own
    kind = getattr(tower, "pool_type", getattr(tower, "text_pool_type", "none"))
    end = getattr(tower, "eos_id", getattr(tower, "text_eos_id", None))
    known = kind != "none" and getattr(tower, "cls_emb", None) is None
    return _read(
        _some_blocks(tower) if known else {},
        (clip.tokenizer(texts[i : i + batch]).to(clip.device) for i in range(0, len(texts), batch)),
        partial(clip.model.encode_text, normalize=True),
        lambda state, tokens: text_global_pool(state, tokens, kind, end),
    )


def _some_blocks(tower: nn.Module) -> dict[str, nn.Module]:
    """Some blocks of a tower of open_clip's own transformer kind; none of any other's."""
    blocks: Sequence[nn.Module] = getattr(getattr(tower, "transformer", None), "resblocks", [])
    places = np.linspace(0, len(blocks), min(MOST_BLOCKS, len(blocks)) + 1)[1:].round()
    return {f"block{int(place)}": blocks[int(place) - 1] for place in places}


@torch.no_grad()
def _read(
    stages: Mapping[str, nn.Module],
    inputs: Iterable[Tensor],
    encode: Callable[[Tensor], Tensor],
    pool: Callable[[Tensor, Tensor], Tensor],
) -> dict[str, np.ndarray]:
    """What each stage gives, pooled, and then the output, while all inputs are encoded."""
    states: dict[str, Tensor] = {}
    parts: dict[str, list[Tensor]] = {name: [] for name in (*stages, OUTPUT)}

    def keep(name: str) -> Callable[[nn.Module, tuple, Tensor], None]:
        return lambda _module, _args, state: states.update({name: state})

    with ExitStack() as stack:
        for name, stage in stages.items():
            stack.enter_context(stage.register_forward_hook(keep(name)))
        for batch in inputs:
            output = encode(batch)
            for name in stages:
                parts[name].append(pool(states[name], batch).float().cpu())
            parts[OUTPUT].append(output.float().cpu())
    return {name: torch.cat(found).numpy() for name, found in parts.items()}


def first_of_each(pairs: Pairs, most: int) -> Pairs:
    """The first `most` pairs of each label, in their order."""
    labels = pairs.labels()
    rows = [np.flatnonzero(labels == label)[:most] for label in np.unique(labels)]
    return pairs.take(np.sort(np.concatenate(rows)))


def wordings(world: PairsWorld) -> tuple[dict[str, int], dict[str, int]]:
    """Texts to fit on and texts to ask about, each with the concept that it tells of.

    They are every trained concept's prompts in each language, and its descriptions.
    Each list is divided in turn, so that half of its templates are never fitted.
    """
    fitted: dict[str, int] = {}
    asked: dict[str, int] = {}
    for index in world.trained:
        concept = world.concept(index)
        for texts in (
            *(prompts(concept, language) for language in world.spec.languages),
            concept.descriptions,
        ):
            fitted.update(dict.fromkeys(texts[::2], index))
            asked.update(dict.fromkeys(texts[1::2], index))
    return fitted, {text: index for text, index in asked.items() if text not in fitted}


TEST = AuditTest(
    name="probes",
    title="Probes",
    question="Can the forgotten concept still be read from the features inside the model?",
    source=(
        "Alain and Bengio 2016 (arXiv 1610.01644), probes of layers; ESC (arXiv 2504.02199), "
        "a probe after erasing"
    ),
    run=probes,
    metrics=(
        Metric(
            "linear_image", "pictures read by a linear probe", "remembered", if_original_knows=True
        ),
        Metric(
            "knn_image",
            "pictures read by nearest neighbours",
            "remembered",
            if_original_knows=True,
            acquits=False,
        ),
        Metric(
            "linear_text",
            "texts read by a linear probe",
            "remembered",
            if_original_knows=True,
            acquits=False,
        ),
    ),
    smoke={"pictures": 12},
)
