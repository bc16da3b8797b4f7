"""The names of splits, as people write them."""

from __future__ import annotations

import pytest

from erasekit.data.folder.split_names import split_in, split_of, splits_of


@pytest.mark.parametrize(
    ("split", "names"),
    {
        "train": ("train", "Training", "TRAIN", "train2017", "train_images", "restval", "trainset"),
        "validation": ("val", "Valid", "validation", "dev", "val2014", "images-val", "Dev Set"),
        "test": ("test", "Testing", "eval", "evaluation", " TEST ", "test_split", "imgs test"),
        "": ("", "tst", "tests_of_taste", "trainer", "contest", "images", "test tube", "2017"),
    }.items(),
)
def test_every_usual_name_is_known_and_no_other(split: str, names: tuple[str, ...]) -> None:
    assert {name: split_of(name) for name in names} == dict.fromkeys(names, split)


def test_a_file_name_tells_a_split_by_one_of_its_words() -> None:
    assert split_in("captions_train2017") == "train"
    assert split_in("train-00000-of-00001") == "train"
    assert split_in("coco-karpathy-VAL") == "validation"
    assert split_in("train_and_test") == split_in("contest") == split_in("pairs") == ""


def test_one_name_alone_tells_no_split() -> None:
    assert splits_of(["train", "train"]) == ["", ""]
    assert splits_of(["train", "", "test"]) == ["train", "", "test"]
