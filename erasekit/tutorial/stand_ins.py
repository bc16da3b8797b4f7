"""Stand-ins: the embedded world's drawings as folders of pairs, for the small CLIP trained on them.

Where pictures, or weights for them, are absent, the same code runs on these. A stand-in lies in
the cache, in exactly the form of what it stands in for: a table with pictures beside it, or what
the scripts in ``data_scripts/`` write. It shows that the way is sound, and no number of it can be
compared with one of a published CLIP.
"""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from erasekit.cache import cached
from erasekit.data.folder.writer import write_world
from erasekit.data.published.cc12m import SHARDS, index_cc12m
from erasekit.data.published.common import IMAGES, finish
from erasekit.data.worlds import SPLITS, DrawingWorld, Sample, drawing
from erasekit.errors import RunError, reason, unknown

if TYPE_CHECKING:
    from erasekit.experiment.clip_experiment import Experiment

#: What is forgotten in a stand-in.
GROUP = "fruit"
# The small CLIP was trained on captions such as these.
_TEMPLATES = "a picture of {}|{}|a drawing of {}|we see {}|this shows {}|look at this: {}"
# Scenes of each split, of those that are told apart by what they show.
_MOST = {"train": 200, "validation": 40, "test": 100}
# Which templates tell a scene.
_CHOICES = (0.0, 0.4, 0.8)
_PAIRS_IN_SHARD = 128
_CARD = """# A stand-in for {}

Drawings of the embedded world, in the form of the data set whose place they take, for the small
CLIP that was trained on such. Drawings: OpenMoji, <https://openmoji.org>, CC BY-SA 4.0.

"""


def stand_in(embedded: Experiment, form: str) -> dict[str, Any]:
    """Parameters of an experiment on a stand-in, which is made if it is not there.

    Args:
        embedded: gives the drawings, and the small CLIP, which is trained if it is not cached.
        form: of `FORMS`.

    Raises:
        UsageError: for another form, or without a package that writes it.
        RunError: when the cache cannot be written.
    """
    if form not in FORMS:
        raise unknown("form of a stand-in", form, FORMS)
    write, named = FORMS[form]
    world, settings = drawing(embedded.world, "a stand-in"), embedded.settings
    fruit = [world.concept(i).name for i in world.trained if world.concept(i).group == GROUP]
    recipe = {"world": world.spec.as_dict(), "form": form}
    folder = cached("stand-in", recipe, lambda folder: write(world, folder), code=__name__)
    names = ("learning_rate", "steps", "forget_batch", "retain_batch")
    return {
        "data": f"folder:{folder}",
        "forget": f"group={GROUP}" if named else ",".join(f"word={name}" for name in fruit),
        "model": f"local-dir:{embedded.original_folder}",
        "templates": _TEMPLATES,
        **{name: getattr(settings, name) for name in names},
    }


def _table(world: DrawingWorld, folder: Path) -> None:
    trained = set(world.trained)
    write_world(world, folder, lambda shown: len(shown) == 1 and shown[0] in trained)


def _cifar100(world: DrawingWorld, folder: Path) -> None:
    """As the script for CIFAR-100 writes it: one thing in a picture, its bare name the caption."""
    rows = []
    for split in SPLITS:
        singles = [s for s in world.samples(split) if s.concepts[0] in world.trained]
        singles = [s for s in singles if len(s.concepts) == 1]
        for i, (sample, picture) in enumerate(_drawn(world, singles)):
            concept = world.concept(sample.concepts[0])
            part = "test" if split == "test" else "train"
            path = f"{IMAGES}/{part}/{concept.name.replace(' ', '_')}/{split}{i:05}.png"
            _write(folder / path, _encoded(picture, "PNG"))
            rows.append((path, concept.name, concept.name, concept.group, split))
    columns = ("image", "caption", "concept", "group", "split")
    finish(folder, columns, rows, _CARD.format("CIFAR-100"))


def _flickr30k(world: DrawingWorld, folder: Path) -> None:
    """As the script for Flickr30K writes it: a row for each caption of a picture, and its split."""
    rows = []
    for split, most in _MOST.items():
        for i, (sample, picture) in enumerate(_drawn(world, _different(world, split)[:most])):
            path = f"{IMAGES}/{split}{i:05}.jpg"
            _write(folder / path, _encoded(picture, "JPEG"))
            rows += [(path, caption, split) for caption in _told(world, sample)]
    finish(folder, ("image", "caption", "split"), rows, _CARD.format("Flickr30K"))


def _cc12m(world: DrawingWorld, folder: Path) -> None:
    """As the script for CC12M leaves it: shards with a caption for each picture, and their list."""
    samples = [s for split in ("train", "test") for s in _different(world, split)]
    drawn = list(_drawn(world, samples))
    (folder / SHARDS).mkdir(exist_ok=True)
    for first in range(0, len(drawn), _PAIRS_IN_SHARD):
        shard = folder / SHARDS / f"cc12m-train-{first // _PAIRS_IN_SHARD:04}.tar"
        with tarfile.open(shard, "w") as tar:
            for i, (sample, picture) in enumerate(drawn[first : first + _PAIRS_IN_SHARD], first):
                caption, key = _told(world, sample)[0], f"{i:09}"
                about = json.dumps({"key": key, "caption": caption, "status": "success"})
                _add(tar, f"{key}.jpg", _encoded(picture, "JPEG"))
                _add(tar, f"{key}.txt", caption.encode())
                _add(tar, f"{key}.json", about.encode())
    index_cc12m(folder, progress=False)


#: How each form is written, and whether its pictures have names.
FORMS: dict[str, tuple[Callable[[DrawingWorld, Path], None], bool]] = {
    "table": (_table, True),
    "cifar100": (_cifar100, True),
    "flickr30k": (_flickr30k, False),
    "cc12m": (_cc12m, False),
}


def _different(world: DrawingWorld, split: str) -> list[Sample]:
    """The scenes of a split, the first of those that show the same things."""
    scenes = {
        frozenset(s.concepts): s for s in reversed(world.samples(split)) if s.layout != "single"
    }
    return list(reversed(scenes.values()))


def _told(world: DrawingWorld, sample: Sample) -> list[str]:
    """What is said of a scene in English, each once."""
    told = (dataclasses.replace(sample, choice=choice, describe=False) for choice in _CHOICES)
    return list(dict.fromkeys(world.caption(each, "en") for each in told))


def _drawn(world: DrawingWorld, samples: Sequence[Sample]) -> Iterator[tuple[Sample, Image.Image]]:
    pictures = world.render(samples)
    for sample, pixels in zip(samples, pictures, strict=True):
        yield sample, Image.fromarray(pixels.permute(1, 2, 0).numpy())


def _encoded(picture: Image.Image, kind: str) -> bytes:
    held = io.BytesIO()
    picture.save(held, kind, quality=95)
    return held.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Plainly: what is half written is no entry of the cache."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise RunError(f"cannot write {path}: {reason(error)}") from error


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
