"""Check whether the rows' files exist, without reading them."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from erasekit.data.arrow_files import mapped, texts
from erasekit.data.folder.folder_files import within
from erasekit.data.folder.problems import MISSING, OUTSIDE
from erasekit.data.folder.rows import Form

#: States of a picture's file, and the message of each state except the first.
FINE, GONE, NO_FILE, LINK = range(4)
STATES = {
    GONE: (MISSING, " is not there"),
    NO_FILE: (MISSING, " is not a file"),
    LINK: (OUTSIDE, " is a link out of the folder"),
}


def look(form: Form, pictures: Path) -> tuple[np.ndarray, str]:
    """Return the state of each picture's file, and one hash of all names, sizes and times."""
    states = np.zeros(len(mapped(pictures)), dtype=np.uint8)
    if not form.own_files:
        return states, ""  # the recipe has the shards' sizes and times
    folder_within = lru_cache(10_000)(lambda folder: within(form.root, form.root / folder))
    seen = hashlib.sha256()
    for at, path in enumerate(texts(pictures, "path")):
        states[at], size, time = _state(form.root, path, folder_within)
        seen.update(f"{path}\0{states[at]}\0{size}\0{time}\0".encode())
    return states, seen.hexdigest()


def _state(root: Path, path: str, folder_within: Callable[[str], bool]) -> tuple[int, int, int]:
    """Return state, size and time of a file."""
    file = f"{root}/{path}"  # creating a Path would take longer than the check
    try:
        found = os.lstat(file)
        if not folder_within(posixpath.dirname(path)):
            return LINK, 0, 0
        if stat.S_ISLNK(found.st_mode):
            if not within(root, Path(file)):
                return LINK, 0, 0
            found = Path(file).stat()
    except (OSError, RuntimeError):  # missing, not permitted, or a link to itself
        return GONE, 0, 0
    state = FINE if stat.S_ISREG(found.st_mode) else NO_FILE
    return state, found.st_size, found.st_mtime_ns
