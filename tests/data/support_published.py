"""Files as they are published, in small, and the scripts that fetch them."""

from __future__ import annotations

import importlib.util
import io
import sys
import tarfile
import types
import zipfile
from pathlib import Path

from PIL import Image

SCRIPTS = Path(__file__).resolve().parents[2] / "data_scripts"


def jpeg(shade: int, size: tuple[int, int] = (5, 4)) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", size, (shade, 0, 0)).save(held, "JPEG")
    return held.getvalue()


def tarred(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def script(name: str) -> types.ModuleType:
    """A script as a module; what lies beside it is found, as when it is run."""
    if str(SCRIPTS) not in sys.path:
        sys.path.append(str(SCRIPTS))
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
