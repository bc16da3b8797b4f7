"""A request for pictures is judged on exactly its pictures, beside others of their kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from erasekit.certificate.judgement import MET, judge, overall
from erasekit.certificate.policy import load_policy
from erasekit.data.data_spec import FolderSpec
from erasekit.data.folder.check import read_folder
from erasekit.data.folder.folder_world import FolderTask, FolderWorld
from erasekit.data.folder.selection import ask
from erasekit.evaluate.request_scores import RequestScores
from erasekit.evaluate.retrieval import ranks
from erasekit.evaluate.scorecard import REQUEST_GAP, Row, Scorecard, evaluate
from erasekit.models.clip import Clip
from erasekit.runs.pages.headline import headline

CATS, DOGS = range(6), range(6, 12)


class Knows:
    """A model that matches some pictures with their captions, and all others with `level`."""

    def __init__(self, known: Sequence[int], level: float = 0.0, captions: int = 12) -> None:
        self._known, self._level, self._n = set(known), level, captions

    def encode_images(self, images: Tensor) -> Tensor:
        numbers = (images[:][:, 0, 0, 0].long() // 20).tolist()
        found = [self._at(i, 1.0 if i in self._known else self._level) for i in numbers]
        return torch.stack(found) if found else torch.zeros(0, self._n + 1)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([self._at(int(text.split()[-1]), 1.0) for text in texts])

    def _at(self, place: int, value: float) -> Tensor:
        feature = torch.zeros(self._n + 1)
        feature[place], feature[-1] = value, (1 - value**2) ** 0.5
        return feature


class Flat(Knows):
    """A model that collapsed: every feature is the same."""

    def _at(self, place: int, value: float) -> Tensor:
        return torch.eye(self._n + 1)[0]


def task(folder: Path, *asked: int, concepts: bool = True, **given: str) -> FolderTask:
    rows = ["image,caption,concept,split"]
    for i in (*CATS, *DOGS):
        Image.new("RGB", (8, 8), (20 * i, 0, 0)).save(folder / f"{i}.png")
        thing = "cat" if i in CATS else "dog"
        split = ("train", "train", "train", "validation", "test", "test")[i % 6]
        rows.append(f"{i}.png,a {thing} {i},{thing if concepts else ''},{split}")
    (folder / "pairs.csv").write_text("\n".join(rows))
    (folder / "list.txt").write_text("".join(f"{i}.png\n" for i in asked))
    source = read_folder(folder, progress=False)
    request = ask(source, f"files={folder / 'list.txt'}")
    return FolderTask(FolderWorld(FolderSpec(str(folder), **given), source, request, 8))


def scores(of: FolderTask, model: Knows) -> dict[tuple[str, str, str], float]:
    original = cast("Clip", Knows(range(12)))
    found = RequestScores(original, of, "test", 200).rows(cast("Clip", model), 20)
    return {(metric, subset, way): value for metric, subset, way, value, *_ in found}


def test_all_asked_pictures_are_judged_whatever_their_split(tmp_path: Path) -> None:
    asked = task(tmp_path, 0, 3, 4)  # one of each split
    for known, value in (([], 0.0), ([0], 1 / 3), ([0, 3], 2 / 3), ([0, 3, 4], 1.0)):
        found = scores(asked, Knows(known))
        assert found["similarity", "forget", "pair"] == pytest.approx(value)
        for way in ("image_to_text", "text_to_image"):
            assert found["recall@1", "forget", way] == pytest.approx(value)


def test_they_are_told_from_held_out_pictures_of_their_concept(tmp_path: Path) -> None:
    """Picture 5 is the other cat in test; the dogs of test do not count."""
    asked = task(tmp_path, 0, 3, 4)
    assert scores(asked, Knows([0, 3, 4]))["membership_auc", "forget", "pair"] == 1.0
    assert scores(asked, Knows([5, *DOGS]))["membership_auc", "forget", "pair"] == 0.0
    assert scores(asked, Knows(range(12)))["membership_auc", "forget", "pair"] == 0.5
    assert scores(asked, Knows([5]))["similarity", "holdout", "pair"] == 1.0


def test_where_no_concept_is_told_the_nearest_pictures_are_of_the_kind(tmp_path: Path) -> None:
    asked = task(tmp_path, 0, 3, 4, concepts=False)
    model = cast("Clip", Knows([]))
    rows = RequestScores(model, asked, "test", 200).rows(model, 20)
    (n,) = [n for metric, subset, *_, n in rows if (metric, subset) == ("similarity", "holdout")]
    assert n == 3  # all that test retains: one cat and two dogs


def test_pushed_away_is_last_in_rank(tmp_path: Path) -> None:
    asked = task(tmp_path, 0, 3, 4)
    found = scores(asked, Knows([5, *DOGS], level=-0.9))
    assert found["similarity", "forget", "pair"] == pytest.approx(-0.9)
    assert found["rank", "forget", "image_to_text"] == 1.0
    assert found["rank", "holdout", "image_to_text"] == 0.0


def test_an_equal_caption_or_picture_is_no_rival() -> None:
    features: Any = torch.eye(3)[[0, 0, 1]]
    same = torch.eye(3, dtype=torch.bool)
    assert ranks(features, features, same.numpy()).tolist() == [1, 1, 0]
    same[0, 1] = True
    assert ranks(features, features, same.numpy()).tolist() == [0, 1, 0]


def test_members_of_single_pictures_in_train_have_an_interval(tmp_path: Path) -> None:
    """A draw of pictures can hold members only, for which there is no AUC."""
    asked = task(tmp_path, 0, 1, 4, concepts=False, forget_split="train")
    knows = cast("Clip", Knows([0, 4, *DOGS]))
    card = evaluate(asked, {"original": knows}, draws=50)
    assert [row for row in card.rows if not np.isfinite([row.value, row.low, row.high]).all()] == []
    (row,) = (row for row in card.rows if row.metric == "membership_auc")
    assert (row.value, row.n) == (0.25, 3)
    assert row.low <= row.value <= row.high


@pytest.mark.parametrize("concepts", [True, False])
@pytest.mark.parametrize("name", ["pictures", "own_data", "example"])
def test_a_collapsed_model_meets_no_policy_and_is_not_as_the_oracle(
    tmp_path: Path, name: str, concepts: bool
) -> None:
    """The original knows the request and little else, so that the request is told from others."""
    asked = task(tmp_path, 0, 1, 4, concepts=concepts)
    models = {"original": Knows([0, 1, 4]), "erased": Flat([]), "oracle": Knows([2, 3, 5, *DOGS])}
    card = evaluate(asked, {name: cast("Clip", model) for name, model in models.items()}, draws=20)
    results = [judge(criterion, card, None) for criterion in load_policy(name).criteria]
    assert overall(results) != MET
    assert not [said.lead for said in headline(card) if said.lead.startswith("About as the oracle")]


def test_the_average_gap_includes_the_request() -> None:
    """A request by name has no rank; its R@1 on forget is of scenes, and does not count."""
    measures = (*REQUEST_GAP, ("recall@1", "retain"), ("membership_auc", "forget"))
    values = {"oracle": [0.2, 0.5, 0.6, 0.5], "erased": [0.9, 0.1, 0.6, 0.4]}
    rows = [
        Row(model, *measure, "pair", value, value, value, 9)
        for model, found in values.items()
        for measure, value in zip(measures, found, strict=True)
    ]
    card = Scorecard({}, {}, rows)
    assert card.gap_measures == list(measures)
    assert card.average_gap() == pytest.approx((70 + 40 + 0 + 10) / 4)
    by_name = Scorecard({}, {}, [row for row in rows if row.metric != "rank"])
    assert by_name.gap_measures == list(measures[2:])
