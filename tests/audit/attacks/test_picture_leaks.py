"""Leaks of single pictures: on models that know just the right pictures, and on a real folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from erasekit.audit.attacks.picture_leaks import altered, matched_retained, picture_leaks
from erasekit.audit.audit_result import Audit
from erasekit.audit.verdict import CANNOT_TELL
from erasekit.data.data_spec import FolderSpec
from erasekit.data.folder.check import read_folder
from erasekit.data.folder.folder_world import FolderTask, FolderWorld
from erasekit.data.folder.selection import ask
from erasekit.experiment.clip_experiment import Experiment
from erasekit.settings import make_settings

PICTURES = 12


class Knows:
    """A model that matches these pictures with their captions, and no others."""

    def __init__(self, known: Sequence[int]) -> None:
        self._known = set(known)

    def encode_images(self, images: Tensor) -> Tensor:
        numbers = (images[:][:, 0, 0, 0].long() // 20).tolist()
        return torch.stack([self._at(i if i in self._known else PICTURES) for i in numbers])

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([self._at(int(text.split()[-1])) for text in texts])

    def _at(self, place: int) -> Tensor:
        return torch.eye(PICTURES + 1)[place]


def task(folder: Path, *asked: int) -> FolderTask:
    rows = ["image,caption,split"]
    for i in range(PICTURES):
        Image.new("RGB", (8, 8), (20 * i, 0, 0)).save(folder / f"{i}.png")
        rows.append(f"{i}.png,photo {i},{'test' if i % 2 else 'train'}")
    (folder / "pairs.csv").write_text("\n".join(rows) + "\n")
    wanted = folder / "wanted.txt"
    wanted.write_text("".join(f"{i}.png\n" for i in asked))
    source = read_folder(folder)
    world = FolderWorld(FolderSpec(path=str(folder)), source, ask(source, f"files={wanted}"), 8)
    return FolderTask(world)


def values(result) -> dict[tuple[str, str, str], float]:
    return {(m.model, m.metric, m.condition): m.estimate.value for m in result.measures}


def test_what_is_matched_is_counted_as_by_hand(tmp_path: Path):
    asked = (0, 2, 4)
    models = {
        "original": Knows(range(PICTURES)),
        "erased": Knows([i for i in range(PICTURES) if i not in (0, 2)]),
        "oracle": Knows([i for i in range(PICTURES) if i not in asked]),
    }
    own = task(tmp_path, *asked)
    result = picture_leaks(models, own, draws=20)
    found = values(result)
    for model, right in (("original", 1.0), ("erased", 1 / 3), ("oracle", 0.0)):
        assert found[model, "matched", "as it is"] == pytest.approx(right)
    # Members score 1 where they are known and 0 elsewhere; the unseen pictures are all known.
    assert found["original", "auc", ""] == pytest.approx(0.5)
    assert found["erased", "auc", ""] == pytest.approx(1 / 3 / 2)
    assert found["oracle", "auc", ""] == 0
    assert "no unseen picture" in " ".join(result.notes).lower()
    kept, chance = matched_retained(models, own, "test", 20, 0)
    assert {model: share.value for model, share in kept.items()} == dict.fromkeys(models, 1.0)
    assert 0 < chance < 0.5


def test_features_that_were_only_turned_are_mapped_back(tmp_path: Path):
    turned = torch.linalg.qr(
        torch.randn(PICTURES + 1, PICTURES + 1, generator=torch.Generator().manual_seed(0))
    )[0]

    class Turned(Knows):
        def encode_images(self, images: Tensor) -> Tensor:
            return super().encode_images(images) @ turned

    every = range(PICTURES)
    found = values(
        picture_leaks(
            {"original": Knows(every), "erased": Turned(every)}, task(tmp_path, 1), draws=20
        )
    )
    assert found["original", "matched", "mapped back"] == 0, "an unseen direction is not learned"
    assert found["erased", "matched", "as it is"] < 1


def test_altered_copies_have_the_same_shape_and_a_known_content():
    images = torch.zeros(1, 3, 20, 20, dtype=torch.uint8)
    images[..., :10] = 200  # bright on the left
    copies = altered(images)
    assert {copy.shape for copy in copies.values()} == {images.shape}
    assert {copy.dtype for copy in copies.values()} == {torch.uint8}
    assert copies["mirrored"][..., 10:].eq(200).all() and copies["mirrored"][..., :10].eq(0).all()
    coloured = images * torch.tensor([1, 0, 0], dtype=torch.uint8).view(3, 1, 1)
    grey = altered(coloured)["grey"]
    assert np.ptp(grey[0, :, 0, 0].numpy()) == 0 and grey[0, 0, 0, 0] > 0
    framed = torch.zeros(1, 3, 20, 20, dtype=torch.uint8)
    framed[..., 2:18, 2:18] = 100
    assert altered(framed)["cropped"].float().mean() > framed.float().mean()


def test_a_request_for_pictures_is_audited_without_names_and_without_an_oracle(own_parameters):
    given = {**own_parameters, "forget": "word=picture"}
    experiment = Experiment(make_settings("smoke", **given), progress=False)
    assert not experiment.task.named
    audit = experiment.audit(experiment.original.copy())
    assert isinstance(audit, Audit)
    assert audit.verdicts == {"picture_leaks": CANNOT_TELL}
    rows = [row for row in audit.rows if row.model == "erased"]
    assert {row.metric for row in rows} == {"matched", "auc"}
    assert {row.gap for row in rows} == {0}, "the same model as the original"
