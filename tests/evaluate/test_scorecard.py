"""The scorecard: its format, its arithmetic, and that no row is missing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from erasekit.data.drawn.captions import prompts
from erasekit.errors import RunError
from erasekit.evaluate import scorecard as module
from erasekit.evaluate.retrieval import neighbourhood_kept
from erasekit.evaluate.scorecard import ANSWERS_GAP, AVERAGE_GAP, Row, Scorecard, evaluate
from erasekit.evaluate.subsets import distinct_scenes

MODELS = ("original", "erased", "control", "oracle")
BOTH = ("image_to_text", "text_to_image")
#: (metric, subset, direction) that every model has.
MEASURES = {
    *(("top1", s, "image_to_text") for s in ("forget", "neighbours", "retain")),
    *(("top5", s, "image_to_text") for s in ("forget", "neighbours", "retain")),
    ("top1_among_forgotten", "forget", "image_to_text"),
    *(("similarity", s, "pair") for s in ("forget", "neighbours", "retain", "holdout")),
    *((f"recall@{k}", s, d) for k in (1, 5, 10) for s in ("forget", "retain") for d in BOTH),
    ("neighbourhood_kept", "retain", "image_to_image"),
    ("neighbourhood_kept", "retain", "text_to_text"),
    ("membership_auc", "forget", "pair"),
}


def test_every_measure_is_there_for_every_model(tiny_scorecard: Scorecard) -> None:
    found = [(r.model, r.metric, r.subset, r.direction) for r in tiny_scorecard.rows]
    assert len(found) == len(set(found))
    assert set(found) == {(m, *measure) for m in MODELS for measure in MEASURES}
    assert tiny_scorecard.models == list(MODELS)


def test_values_are_in_range_and_within_their_intervals(tiny_scorecard: Scorecard) -> None:
    for row in tiny_scorecard.rows:
        least = -1 if row.metric == "similarity" else 0
        assert least - 1e-6 <= row.low <= row.high <= 1 + 1e-6, row
        assert least - 1e-6 <= row.value <= 1 + 1e-6, row
        assert row.n > 0


def test_the_file_has_the_agreed_format(tiny_scorecard: Scorecard, tmp_path: Path) -> None:
    value = json.loads(tiny_scorecard.save(tmp_path / "scorecard.json").read_text())
    assert set(value) == {"version", "task", "cost", "rows"}
    assert value["version"] == 1
    keys = ["model", "metric", "subset", "direction", "value", "low", "high", "n"]
    for row in value["rows"]:
        assert list(row) == keys
        assert all(isinstance(row[k], str) for k in keys[:4])
        assert all(isinstance(row[k], float) and math.isfinite(row[k]) for k in keys[4:7])
        assert isinstance(row["n"], int)
    assert set(value["cost"]) == set(MODELS)
    assert value["cost"]["erased"]["steps"] == 3
    assert value["cost"]["oracle"]["steps"] == 4
    assert value["task"]["forget"] == ["red apple", "banana", "grapes", "watermelon"]
    assert value["task"]["split"] == "test"
    assert len(value["task"]["neighbours"]) == 2


def test_a_scorecard_comes_back_as_it_was_saved(tiny_scorecard: Scorecard, tmp_path: Path) -> None:
    path = tiny_scorecard.save(tmp_path / "scorecard.json")
    back = Scorecard.load(path)
    assert back.as_dict() == json.loads(json.dumps(tiny_scorecard.as_dict()))  # tuples to lists
    assert back.save(tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_the_same_evaluation_twice_is_the_same(
    tiny_experiment, tiny_erasure, tiny_scorecard: Scorecard
) -> None:
    again = tiny_experiment.evaluate({"erased": tiny_erasure})
    kept = [r for r in tiny_scorecard.rows if r.model != "control"]
    assert again.rows == kept


def test_the_originals_numbers_by_hand(tiny_experiment, tiny_scorecard: Scorecard) -> None:
    """Zero-shot, similarity and retrieval once more, in numpy, from the encoders alone."""
    clip, world, task = tiny_experiment.original, tiny_experiment.world, tiny_experiment.task
    names = np.stack(
        [clip.encode_texts(prompts(world.concept(i))).numpy().mean(0) for i in world.trained]
    )
    names /= np.linalg.norm(names, axis=1, keepdims=True)
    test = world.pairs("test")
    singles = test.singles.where(lambda c: c[0] in task.forgotten)
    image = clip.encode_images(singles.images).numpy()
    labels = [world.trained.index(c) for c in singles.labels()]
    guess = (image @ names.T).argmax(1)
    top1 = float(np.mean([g == label for g, label in zip(guess, labels, strict=True)]))
    own = float(np.mean([a @ names[label] for a, label in zip(image, labels, strict=True)]))
    assert tiny_scorecard.value("original", "top1", "forget") == pytest.approx(top1)
    assert tiny_scorecard.value("original", "similarity", "forget") == pytest.approx(own, abs=1e-5)

    among = [world.trained.index(i) for i in task.forgotten]
    guess = np.array(among)[(image @ names[among].T).argmax(1)]
    assert tiny_scorecard.value("original", "top1_among_forgotten", "forget") == pytest.approx(
        float(np.mean(guess == labels))
    )

    scenes = test.scenes.where(lambda c: not task.touches(c))
    chosen = distinct_scenes(scenes, 200)
    english = [world.caption(world.sample("test", int(p)), "en") for p in chosen.positions]
    table = clip.encode_images(chosen.images).numpy() @ clip.encode_texts(english).numpy().T
    for direction, similarity in zip(BOTH, (table, table.T), strict=True):
        right = np.mean([int((row >= row[i]).sum()) <= 5 for i, row in enumerate(similarity)])
        found = tiny_scorecard.value("original", "recall@5", "retain", direction)
        assert found == pytest.approx(float(right), abs=1.01 / len(chosen))
    row = next(
        r
        for r in tiny_scorecard.rows
        if (r.model, r.metric, r.subset) == ("original", "recall@5", "retain")
    )
    assert row.n == len(chosen)


def test_a_gallery_is_as_large_as_asked(tiny_experiment) -> None:
    models = {"original": tiny_experiment.original}
    sizes = {}
    for gallery in (5, 1000):
        card = evaluate(tiny_experiment.task, models, draws=2, gallery=gallery)
        found = {(r.subset, r.n) for r in card.rows if r.metric.startswith("recall")}
        sizes[gallery] = dict(found)
    assert sizes[5] == {"forget": 5, "retain": 5}
    test = tiny_experiment.world.pairs("test").scenes
    assert sizes[1000]["forget"] + sizes[1000]["retain"] == len(set(map(frozenset, test.concepts)))


def test_the_original_keeps_its_own_neighbourhood(tiny_scorecard: Scorecard) -> None:
    assert tiny_scorecard.value("original", "neighbourhood_kept", "retain") == 1


def made(values: dict[tuple[str, str, str], float]) -> Scorecard:
    return Scorecard(
        {}, {}, [Row(m, k, s, "image_to_text", v, v, v, 1) for (m, k, s), v in values.items()]
    )


def test_gaps_by_hand() -> None:
    oracle, erased = [0.0, 0.9, 0.8, 0.5, 0.5], [0.1, 0.7, 0.85, 0.5, 0.2]
    card = made(
        {("oracle", *k): v for k, v in zip(AVERAGE_GAP, oracle, strict=True)}
        | {("erased", *k): v for k, v in zip(AVERAGE_GAP, erased, strict=True)}
    )
    assert card.gap("top1", "forget") == pytest.approx(10)
    assert card.gap("top1", "neighbours") == pytest.approx(-20)
    assert card.average_gap() == pytest.approx((10 + 20 + 5 + 0 + 30) / 5)
    assert card.average_gap("oracle") == 0
    assert {k for k, _ in AVERAGE_GAP} == {"top1", "recall@1", "membership_auc"}


def test_what_is_seen_and_what_is_told_are_measures_of_their_own() -> None:
    oracle, erased = [0.0, 0.9, 0.8, 1.0, 0.9], [0.1, 0.7, 0.85, 0.4, 0.9]
    card = Scorecard(
        {},
        {},
        [
            Row(model, *measure, value, 0.0, 1.0, 1)
            for model, values in (("oracle", oracle), ("erased", erased))
            for measure, value in zip(ANSWERS_GAP, values, strict=True)
        ],
    )
    assert card.measures == card.gap_measures == list(ANSWERS_GAP)
    assert card.main_metric == "accuracy:name"
    assert card.average_gap() == pytest.approx((10 + 20 + 5 + 60 + 0) / 5)
    table = card.table()
    assert table.loc[("accuracy told", "forget"), "erased"] == 0.4
    assert table.loc[("accuracy seen", "retain"), "gap"] == pytest.approx(5)


def test_directions_are_averaged_unless_one_is_asked_for() -> None:
    rows = [
        Row("original", "recall@1", "retain", d, v, v, v, 1)
        for d, v in zip(BOTH, (0.2, 0.6), strict=True)
    ]
    card = Scorecard({}, {}, rows)
    assert card.value("original", "recall@1", "retain") == pytest.approx(0.4)
    assert card.value("original", "recall@1", "retain", "text_to_image") == 0.6
    with pytest.raises(RunError, match="no recall@5 on retain for original"):
        card.value("original", "recall@5", "retain")


def test_the_table_has_a_line_a_measure(tiny_scorecard: Scorecard) -> None:
    table = tiny_scorecard.table()
    assert list(table.columns) == [*MODELS, "gap"]
    line = table.loc[("top1", "retain")]
    assert line["gap"] == pytest.approx(100 * (line["erased"] - line["oracle"]))
    assert len(tiny_scorecard.frame()) == len(tiny_scorecard.rows)


def test_an_original_alone_can_be_measured(tiny_experiment) -> None:
    card = tiny_experiment.evaluate(oracle=False, split="validation")
    assert card.models == ["original"]
    assert "gap" not in card.table().columns
    assert card.task["split"] == "validation"


def test_a_narrow_forget_set_is_still_measured(tiny_experiment) -> None:
    """One concept in one language: the smallest groups that an interval is made of."""
    from erasekit.data.task import ErasureTask

    world = tiny_experiment.world
    for i in world.trained[:4]:
        task = ErasureTask(world, world.concept(i).name, ["ja"])
        if not len(task.forget_part(world.pairs("train"))):
            continue
        card = evaluate(task, {"original": tiny_experiment.original}, draws=5)
        assert all(math.isfinite(v) for r in card.rows for v in (r.value, r.low, r.high))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged: it is not valid JSON"),
        ("[]", "is not a scorecard"),
        ('{"version": 1}', "is not a scorecard"),
        ('{"version": 2, "task": {}, "cost": {}, "rows": []}', "has version 2"),
        ('{"version": 1, "task": {}, "cost": {}, "rows": [{"model": "x"}]}', "not a scorecard"),
        ('{"version": 1, "task": {}, "cost": {}, "rows": [{"colour": 1}]}', "not a scorecard"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "scorecard.json"
    path.write_text(text)
    with pytest.raises(RunError, match=message) as error:
        Scorecard.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        Scorecard.load(tmp_path / "scorecard.json")


# What is measured, computed once more by other means


@pytest.fixture(scope="module")
def strangers(tiny_experiment) -> list:
    """Models of random weights: none agrees with the original on who is near to whom."""
    return [with_random_weights(tiny_experiment.original, seed) for seed in range(5)]


def with_random_weights(clip, seed: int):
    other = clip.copy()
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in other.model.parameters():
            if weight.dim() > 1:
                weight.normal_(std=0.3)
    return other


def test_membership_is_how_often_a_member_scores_higher(
    tiny_experiment, tiny_erasure, tiny_scorecard: Scorecard
) -> None:
    task, world = tiny_experiment.task, tiny_experiment.world
    for name, clip in (("original", tiny_experiment.original), ("erased", tiny_erasure.model)):
        scores = {}
        for split in ("train", "test"):
            pairs = world.pairs(split)
            rows = [i for i, shown in enumerate(pairs.concepts) if {*shown} & {*task.forgotten}]
            image = clip.encode_images(pairs.images[rows]).numpy()
            text = clip.encode_texts([pairs.captions[i] for i in rows]).numpy()
            scores[split] = (image * text).sum(1)
        members, others = scores["train"][:, None], scores["test"][None]
        expected = ((members > others) + 0.5 * (members == others)).mean()
        assert expected != pytest.approx(0.5, abs=1e-4), "either orientation would pass"
        found = tiny_scorecard.value(name, "membership_auc", "forget")
        assert found == pytest.approx(expected, abs=1e-4)


def test_a_model_that_knows_its_training_pairs_is_above_a_half(
    tiny_experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget = tiny_experiment.task.forget
    monkeypatch.setattr(
        module, "pair_similarity", lambda _, pairs: np.full(len(pairs), float(pairs is forget))
    )
    card = evaluate(tiny_experiment.task, {"original": tiny_experiment.original}, draws=5)
    (row,) = [row for row in card.rows if row.metric == "membership_auc"]
    assert (row.value, row.low, row.high) == (1, 1, 1)


def test_intervals_are_drawn_over_concepts_not_over_pictures(
    tiny_experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    for name in ("bootstrap_mean", "bootstrap_statistic"):
        real = getattr(module, name)

        def spy(values, groups, *rest, real=real):
            drawn.append(groups.tolist())
            return real(values, groups, *rest)

        monkeypatch.setattr(module, name, spy)
    task, world = tiny_experiment.task, tiny_experiment.world
    card = evaluate(task, {"original": tiny_experiment.original}, draws=3)
    groups = dict(zip([(r.metric, r.subset, r.direction) for r in card.rows], drawn, strict=True))
    test = world.pairs("test")
    shown = [c[0] for c in test.concepts if len(c) == 1]
    for (metric, subset, direction), found in groups.items():
        if metric in ("top1", "top5", "similarity", "top1_among_forgotten"):
            mean = [i for i in shown if i in set(subsets_of(task, card)[subset])]
            assert found == mean, (metric, subset)
        elif metric.startswith("recall") or direction == "image_to_image":
            gone = subset == "forget"
            scenes = test.scenes.where(lambda c, gone=gone: task.touches(c) == gone)
            assert found == [c[0] for c in distinct_scenes(scenes, 200).concepts]
        elif metric == "membership_auc":
            assert set(found) <= set(task.forgotten)
        else:
            assert found == list(task.retained)


def subsets_of(task, card: Scorecard) -> dict[str, tuple[int, ...]]:
    """Concepts by subset, from the names in the card."""
    near = tuple(c.index for c in task.world.concepts if c.name in card.task["neighbours"])
    return {
        "forget": task.forgotten,
        "neighbours": near,
        "retain": task.retained,
        "holdout": task.world.holdout,
    }


def test_neighbours_are_the_originals_whoever_stands_first(tiny_experiment, strangers) -> None:
    task, world = tiny_experiment.task, tiny_experiment.world

    def nearest(clip) -> set[str]:
        def names(of):
            texts = [clip.encode_texts(prompts(world.concept(i))).numpy().mean(0) for i in of]
            return np.stack([text / np.linalg.norm(text) for text in texts])

        near = (names(task.retained) @ names(task.forgotten).T).max(1)
        return {world.concept(task.retained[i]).name for i in np.argsort(-near)[:2]}

    own = nearest(tiny_experiment.original)
    other = next(clip for clip in strangers if nearest(clip) != own)
    for order in (("original", "erased"), ("erased", "original")):
        models = {"original": tiny_experiment.original, "erased": other}
        card = evaluate(task, {name: models[name] for name in order}, draws=2)
        assert set(card.task["neighbours"]) == own


def test_a_neighbourhood_is_kept_of_the_originals(
    tiny_experiment, strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []

    def spy(before, after):
        compared.append((before, after))
        return neighbourhood_kept(before, after)

    monkeypatch.setattr(module, "neighbourhood_kept", spy)
    models = {"erased": strangers[0], "original": tiny_experiment.original}
    evaluate(tiny_experiment.task, models, draws=2)
    erased, original = compared[:2], compared[2:]
    for (before, after), (own, same) in zip(erased, original, strict=True):
        assert torch.equal(before, own) and torch.equal(own, same)
        assert not torch.equal(before, after)


def test_only_the_split_asked_for_is_measured(tiny_experiment) -> None:
    """Of membership the members are training pairs; all else is of one split."""
    world = tiny_experiment.world
    counted = {
        split: evaluate(
            tiny_experiment.task, {"original": tiny_experiment.original}, split=split, draws=2
        )
        for split in ("validation", "test")
    }
    for split, card in counted.items():
        pairs = world.pairs(split)
        singles = [c[0] for c in pairs.concepts if len(c) == 1]
        n = {row.subset: row.n for row in card.rows if row.metric == "similarity"}
        for subset, concepts in subsets_of(tiny_experiment.task, card).items():
            assert n[subset] == sum(i in concepts for i in singles)
        (row,) = [row for row in card.rows if row.metric == "membership_auc"]
        unseen = sum(tiny_experiment.task.touches(c) for c in pairs.concepts)
        assert row.n == len(tiny_experiment.task.forget) + unseen
