"""What a request nearly selects, by kind: words, copies, look-alikes, captions that are cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from erasekit.data.folder.copies import alike
from erasekit.data.folder.near_words import WORDS, near_words
from erasekit.data.folder.selection import Request
from erasekit.text import composed, folded

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.models.clip import Clip

#: Kinds of what is near, each in words; those of captions are in `near_words.WORDS`.
KINDS = {
    **WORDS,
    "byte_copies": "copies of the same bytes: selected too",
    "pixel_copies": "copies of the same pixels: selected too",
    "similar_pictures": "other pictures that look alike",
    "similar_features": "other pictures that the model takes for nearly the same",
    "cut_captions": "selected captions of which the model reads only the beginning",
    "unread_words": "selected captions whose word the model does not read",
}
# The cosine of the model's features from which two pictures are shown for review, and how many
# pictures are looked at.
_COSINE, _MOST, _EXAMPLES = 0.95, 5_000, 10

#: Tokens that OpenAI's CLIPs read.
CONTEXT = 77

Tokenizer = Callable[[list[str]], "Tensor"]


def near_misses(request: Request, tokenizer: Tokenizer, clip: Clip | None) -> dict[str, Any]:
    """By the kinds of `KINDS`: pictures, captions, and some examples of each.

    Args:
        request: what was asked for.
        tokenizer: of the model that the request is for.
        clip: that model, for similar features; None leaves them out.
    """
    pairs, listing = request.pairs, request.pairs.listing
    rows: dict[str, np.ndarray] = near_words(request)
    notes: dict[str, dict[int, str]] = {}  # of a picture file: what it is like
    files = {path: file for file, path in _files(request.selected, request)}
    for kind in ("byte", "pixel"):
        like = {files[c["image"]]: c["copy_of"] for c in request.copies() if c["kind"] == kind}
        notes[f"{kind}_copies"] = like
    asked = np.unique(pairs.files[request.selected])
    others = np.unique(pairs.files[~request.selected])
    similar = alike(listing, asked, others)
    notes["similar_pictures"] = _told(request, similar)
    if clip is not None:
        found = _by_features(request, clip)
        notes["similar_features"] = _told(request, found)
    for kind, like in notes.items():
        rows[kind] = np.flatnonzero(np.isin(pairs.files, list(like)))
    context = CONTEXT if clip is None else clip.model.context_length
    rows["cut_captions"], rows["unread_words"] = cut_captions(request, tokenizer, context)
    return {
        kind: {
            "pictures": len(np.unique(pairs.files[rows[kind]])),
            "captions": len(rows[kind]),
            "examples": _examples(request, rows[kind], notes.get(kind, {})),
        }
        for kind in KINDS
        if kind in rows
    }


def cut_captions(
    request: Request, tokenizer: Tokenizer, context: int = CONTEXT
) -> tuple[np.ndarray, np.ndarray]:
    """Selected rows whose caption the model does not read to its end, and those of them in which
    it reads none of the words that the rule asks for.

    Args:
        request: what was asked for.
        tokenizer: of the model.
        context: tokens that it reads.
    """
    rows = np.flatnonzero(request.selected)
    told = list(zip(rows.tolist(), request.pairs.captions(rows), strict=True))
    # A token stands for a byte or more, and a few mark the ends.
    told = [(row, caption) for row, caption in told if len(caption.encode()) > context - 4]
    cut = _unread(tokenizer, [(c, c.rstrip()[:-1].rsplit(None, 1)[0]) for _, c in told])
    long = [each for each, is_cut in zip(told, cut, strict=True) if is_cut]
    words = [folded(part.value) for part in request.parts if part.kind == "word"]
    before, asked = [], []
    for row, caption in long:
        text = composed(caption)
        places = [place for word in words if (place := folded(text).find(word)) >= 0]
        if places:
            asked.append(row)
            before.append((text, text[: min(places)]))
    unread = [row for row, hid in zip(asked, _unread(tokenizer, before), strict=True) if hid]
    return np.array([row for row, _ in long], dtype=int), np.array(unread, dtype=int)


def _unread(tokenizer: Tokenizer, texts: Sequence[tuple[str, str]]) -> list[bool]:
    """Of each text and its beginning, whether the model reads nothing after the beginning."""
    found: list[bool] = []
    for start in range(0, len(texts), 1024):
        part = texts[start : start + 1024]
        whole, beginning = (tokenizer([pair[i] for pair in part]) for i in (0, 1))
        found += (whole == beginning).all(1).tolist()
    return found


def _files(mask: np.ndarray, request: Request) -> list[tuple[int, str]]:
    files = np.unique(request.pairs.files[mask])
    return list(zip(files.tolist(), request.pairs.listing.paths(files), strict=True))


def _told(request: Request, like: dict[int, int]) -> dict[int, str]:
    """What each picture is like, by its path."""
    return dict(zip(like, request.pairs.listing.paths(list(like.values())), strict=True))


def _by_features(request: Request, clip: Clip) -> dict[int, int]:
    """Other pictures whose features are nearly those of a selected one, the nearest first."""
    from erasekit.experiment.clip_experiment import image_size

    pairs, side = request.pairs, image_size(clip)
    features, files = [], []
    for mask in (request.selected, ~request.selected):
        rows = np.flatnonzero(mask)
        rows = rows[np.unique(pairs.files[rows], return_index=True)[1]][:_MOST]
        files.append(pairs.files[rows])
        parts = [
            clip.encode_images(pairs.pixels(rows[start : start + 256], side))
            for start in range(0, len(rows), 256)
        ]
        features.append(np.concatenate([part.numpy() for part in parts]))
    cosine = features[1] @ features[0].T
    nearest = cosine.argmax(1)
    found = {}
    for at in np.argsort(-cosine.max(1), kind="stable").tolist():
        if cosine[at, nearest[at]] >= _COSINE:
            found[int(files[1][at])] = int(files[0][nearest[at]])
    return found


def _examples(request: Request, rows: np.ndarray, like: dict[int, str]) -> list[dict[str, str]]:
    pairs = request.pairs
    return [
        {
            "image": pairs.path(row),
            "caption": pairs.caption(row)[:300],
            **({"like": like[int(pairs.files[row])]} if like else {}),
        }
        for row in rows[:_EXAMPLES].tolist()
    ]
