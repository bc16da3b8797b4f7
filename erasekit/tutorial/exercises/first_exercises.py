"""Exercises of notebooks 00 to 02: the data and the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from erasekit.tutorial.exercise import Exercise, number, written

if TYPE_CHECKING:
    from erasekit.experiment.clip_experiment import Experiment
    from erasekit.models.clip import Clip


def _another_group(answer: Any, e: Experiment) -> str | None:
    """The answer is an experiment of another task, its erasure, and what lost most there."""
    if not isinstance(answer, tuple) or len(answer) != 3:
        return 'Put three things there: `answer = experiment, erasure, "name"`.'
    other, gone, name = answer
    if not hasattr(other, "task") or not hasattr(gone, "model"):
        return "The first is what `erasekit.load` returned, the second what its `erase` returned."
    if other.task.forgotten == e.task.forgotten:
        return "This experiment forgets what the notebook forgot: give `load` another `forget`."
    before, after = (_own_similarity(clip, other) for clip in (other.original, gone.model))
    lost = {concept: before[concept] - after[concept] for concept in before}
    names = {i: other.world.concept(i).name for i in lost}
    forgotten = [lost[i] for i in other.task.forgotten]
    retained = {names[i]: lost[i] for i in other.task.retained}
    if sum(forgotten) / len(forgotten) <= sum(retained.values()) / len(retained):
        return (
            "This model lost less of the forgotten concepts than of the others: is it the erasure "
            "of the second experiment?"
        )
    if name not in names.values():
        return f"{name!r} is not a concept of this world. Write its name in quotes."
    if name not in retained:
        return f"{name!r} was to be forgotten. Look at the retained concepts alone."
    if name == min(retained, key=retained.__getitem__):
        return f"{name!r} lost least. Subtract the similarity after from the one before."
    most = max(retained, key=retained.__getitem__)
    if name != most:
        return f"{name!r} lost {retained[name]:.2f}; another concept lost more."
    return None


def _own_similarity(clip: Clip, e: Experiment) -> dict[int, float]:
    """Mean similarity of each trained concept's test pictures with its own name."""
    from erasekit.evaluate.naming import by_concept, trained_singles
    from erasekit.models.zero_shot import concept_features

    singles = trained_singles(e.world)
    labels = singles.labels()
    names = concept_features(clip, e.world.concepts)[labels]
    values = (clip.encode_images(singles.images) * names).sum(1)
    return by_concept(values.numpy(), labels)


def _zero_shot(answer: Any) -> str | None:
    """Four pictures and five names on the unit circle, some of them opposite."""
    import torch

    pictures = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-0.6, -0.8]])
    names = torch.tensor([[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0], [0.8, 0.6], [-0.6, 0.8]])
    found = torch.as_tensor(written(answer, pictures, names))
    similarity = pictures @ names.T
    truth = similarity.argmax(1)
    if found.shape == similarity.shape:
        return "These are the similarities themselves. Return the row of the largest, by `argmax`."
    if found.shape == (5,):
        return "You return one value for each name. Take the largest along the names: `dim=1`."
    if found.shape != truth.shape:
        return f"For four pictures it returns the shape {tuple(found.shape)}, not (4,)."
    if found.is_floating_point() and torch.allclose(found, similarity.amax(1)):
        return "These are the largest similarities. Return the rows where they are: `argmax`."
    if torch.equal(found, similarity.argmin(1)):
        return "That is the least similar name."
    if torch.equal(found, similarity.abs().argmax(1)):
        return "A similarity of −1 is opposite: do not take its absolute value."
    if not torch.equal(found, truth):
        return f"It returns {found.tolist()}; it should return {truth.tolist()}."
    return None


def _neither(e: Experiment) -> int:
    """Training pairs that show a forgotten concept and whose caption is not English."""
    pairs = e.world.pairs("train")
    return sum(
        e.task.touches(shown) and language != "en"
        for shown, language in zip(pairs.concepts, pairs.languages, strict=True)
    )


def _forget_in_english(e: Experiment) -> int:
    pairs = e.world.pairs("train")
    return sum(map(e.task.touches, pairs.concepts)) - _neither(e)


def _caption_search(answer: Any) -> str | None:
    """Captions with and without an ant, each with the hint for who gets it wrong."""
    ant = ("ant", "a tiny insect that lives in hills", "アリ", "муравей")
    cases = (
        ("a picture of an ant", True, "It says no to 'a picture of an ant'."),
        ("a drawing of a bus", False, "It says yes to 'a drawing of a bus'."),
        ("A tiny insect that lives in hills", True, "Captions may begin with a capital letter."),
        ("an elephant and a bus", False, "'ant' is a part of 'elephant': find whole words only."),
        ("ant, bus and owl", True, "After a word may come a comma: 'ant, bus and owl'."),
        ("это муравей", True, "It misses the Russian name in 'это муравей'."),
        ("アリの絵", True, "It misses 'アリの絵': after a Japanese name may come a letter."),
    )
    for caption, truth, hint in cases:
        if bool(written(answer, caption, ant)) != truth:
            return hint
    return None


def _no_negatives(answer: Any, e: Experiment) -> str | None:
    """A model in which a wrong caption is about as similar to a picture as its own."""
    import torch

    if not hasattr(answer, "encode_images"):
        return "Put the trained model there: the first of the two that `fifty_steps` returns."
    pairs = e.world.pairs("test").singles.first_of_each(1)
    similarity = answer.encode_images(pairs.images) @ answer.encode_texts(pairs.captions).T
    own = float(similarity.diagonal().mean())
    wrong = float(similarity[~torch.eye(len(pairs), dtype=torch.bool)].mean())
    if own < 0.5:
        return (
            f"Pictures and their own captions have a similarity of {own:.2f}. Training minimises "
            "the loss: put a minus before the similarity."
        )
    if wrong < own - 0.1:
        return (
            f"This model tells captions apart ({own:.2f} for the right one, {wrong:.2f} for "
            "others). The loss must not contain the other pairs of the batch."
        )
    return None


def _search(answer: Any, e: Experiment) -> str | None:
    """Five rows for each of three queries."""
    import torch

    from erasekit.evaluate.naming import trained_concepts, trained_singles

    pictures = e.original.encode_images(trained_singles(e.world).images[:200])
    for concept in trained_concepts(e.world)[:3]:
        query = f"a picture of {concept.phrase}"
        found = torch.as_tensor(written(answer, e.original, query, pictures, 5))
        similarity = (pictures @ e.original.encode_texts([query]).T).squeeze(1)
        truth = similarity.topk(5).indices
        if found.shape != truth.shape:
            return (
                f"For k = 5 it returns the shape {tuple(found.shape)}, not (5,). `encode_texts` "
                "takes a list of texts and gives one row for each."
            )
        if found.is_floating_point():
            return "These are similarities. Return the rows of the pictures: `indices`."
        if torch.equal(found, (-similarity).topk(5).indices):
            return "These are the least similar pictures."
        if torch.equal(found.sort().values, truth.sort().values) and not torch.equal(found, truth):
            return "The pictures are right, their order is not: the most similar comes first."
        if not torch.equal(found, truth):
            return f"For '{query}' it returns {found.tolist()}; it should be {truth.tolist()}."
    return None


EXERCISES: dict[str, dict[str, Exercise]] = {
    "00_quickstart": {
        "another_group": Exercise(
            level="modify",
            hint='`erasekit.load("smoke", forget="bird", **world, **recipe, **place)` is a second '
            "experiment. Erase with it, and compare `own_similarity` of its `original` and of the "
            "erasure's `model`.",
            judge=_another_group,
            because="The training on retained pairs compares the similarities of a batch with each "
            "other. It does not notice when all of them fall by the same amount, so that names can "
            "stay right while similarities fall. You see why in notebook 02.",
        ),
        "zero_shot": Exercise(
            level="build",
            hint="One matrix product gives all similarities, shape (n, c).",
            judge=_zero_shot,
            because="This is all of zero-shot naming: one matrix product and one `argmax`.",
        ),
    },
    "01_data": {
        "one_language": Exercise(
            level="modify",
            hint='Give `load` the same arguments and `forget_languages="en"`. `len` tells the size '
            "of `task.forget` and of `task.retain`.",
            judge=number(
                _neither,
                mistakes={
                    "That is the forget set itself. Count the pairs that are in no set.": (
                        _forget_in_english
                    ),
                    "That is the retain set. It is the same for every choice of languages.": (
                        lambda e: len(e.task.retain)
                    ),
                },
                otherwise="Subtract both sets from the number of training pairs.",
            ),
            because="These pairs teach the concept in the other languages. A method does not see "
            "them, so only a test in those languages shows what happens to them.",
        ),
        "caption_search": Exercise(
            level="build",
            hint="Begin with `any(text in caption for text in texts)` and see which hint you get.",
            judge=_caption_search,
            because="It still finds only what is written. A caption with a new description, a "
            "typing error or another language is missed, and its picture stays in the retain set.",
        ),
    },
    "02_base_model": {
        "no_negatives": Exercise(
            level="modify",
            hint="`F.cosine_similarity(images, texts, dim=1)` is the similarity of each pair.",
            judge=_no_negatives,
            because="Wrong captions are now as similar to a picture as its own. All embeddings "
            "moved together, which is the cheapest way to lower this loss. This is called "
            "**collapse**; the other pairs of the batch prevent it. Notebook 03 meets it again.",
        ),
        "search": Exercise(
            level="build",
            hint="`clip.encode_texts([query])` has one row; multiply, then use `topk`.",
            judge=_search,
            because="Picture search on the web works like this, with an index in place of the "
            "matrix product.",
        ),
    },
}
