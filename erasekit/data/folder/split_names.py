"""The names that people give to splits, and the split that each of them means."""

from __future__ import annotations

import re
from collections.abc import Sequence

# As Hugging Face's `datasets` maps them; "restval" is the rest of COCO's validation pictures, which
# the Karpathy split adds to the training pictures.
_NAMES = {
    "train": ("train", "training", "restval"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SPLITS = {name: split for split, names in _NAMES.items() for name in names}
_AROUND = r"(?:images?|imgs?|pictures|data|set|split)"
# The name of a folder: val2017, train_images, images-test, Test Set.
_FOLDER = re.compile(rf"(?:{_AROUND}[-_ ]?)?([a-z]+?)(?:[-_ ]?{_AROUND})?[-_ ]?\d{{0,4}}")


def split_of(name: str) -> str:
    """The split that a cell or a folder's name means; empty for another name."""
    name = name.strip().lower()
    found = _FOLDER.fullmatch(name)
    return _SPLITS.get(name) or _SPLITS.get(found[1] if found else "") or ""


def split_in(file: str) -> str:
    """The one split that is a word of a file's name, such as captions_train2017.json; or empty."""
    found = {_SPLITS[word] for word in re.findall("[a-z]+", file.lower()) if word in _SPLITS}
    return found.pop() if len(found) == 1 else ""


def splits_of(names: Sequence[str]) -> list[str]:
    """The splits that names of files or folders tell; none unless they tell at least two.

    Where all is called train, nothing is set apart to test with, and the pictures are divided as
    those without a split.
    """
    return list(names) if len(set(names) - {""}) > 1 else [""] * len(names)
