"""Common names of splits, mapped to the kit's splits."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Follows Hugging Face's `datasets`; "restval" is the rest of COCO's validation pictures, which the
# Karpathy split adds to the training pictures.
_NAMES = {
    "train": ("train", "training", "restval"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SPLITS = {name: split for split, names in _NAMES.items() for name in names}
_AROUND = r"(?:images?|imgs?|pictures|data|set|split)"
# Folder names such as val2017, train_images, images-test, Test Set.
_FOLDER = re.compile(rf"(?:{_AROUND}[-_ ]?)?([a-z]+?)(?:[-_ ]?{_AROUND})?[-_ ]?\d{{0,4}}")


def split_of(name: str) -> str:
    """Return the split that a cell or a folder name means; empty for another name."""
    name = name.strip().lower()
    found = _FOLDER.fullmatch(name)
    return _SPLITS.get(name) or _SPLITS.get(found[1] if found else "") or ""


def split_in(file: str) -> str:
    """Return the only split in a file name such as captions_train2017.json, or empty."""
    found = {_SPLITS[word] for word in re.findall("[a-z]+", file.lower()) if word in _SPLITS}
    return found.pop() if len(found) == 1 else ""


def splits_of(names: Sequence[str]) -> list[str]:
    """Return the splits of file or folder names; none unless there are at least two splits.

    If all names mean train, there are no test data, so the pictures are divided like those
    without a split.
    """
    return list(names) if len(set(names) - {""}) > 1 else [""] * len(names)
