"""Near misses of a request by kind: words, copies, look-alikes, truncated captions."""

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

#: Kinds of near misses with descriptions; those of captions are in `near_words.WORDS`.
KINDS = {
    **WORDS,
    "byte_copies": "copies of the same bytes: selected too",
    "pixel_copies": "copies of the same pixels: selected too",
    "similar_pictures": "other pictures that look alike",
    "similar_features": "other pictures that the model takes for nearly the same",
    "cut_captions": "selected captions of which the model reads only the beginning",
    "unread_words": "selected captions whose word the model does not read",
}
# Minimum cosine of two pictures' features for a near miss, and the maximum numbers of pictures to
# compare and of examples to list.
_COSINE, _MOST, _EXAMPLES = 0.95, 5_000, 10

#: Context length of OpenAI's CLIPs in tokens.
CONTEXT = 77

Tokenizer = Callable[[list[str]], "Tensor"]


def near_misses(request: Request, tokenizer: Tokenizer, clip: Clip | None) -> dict[str, Any]:
    """Return the number of pictures and captions, and examples, for each kind in `KINDS`.

    Args:
        request: the request.
        tokenizer: tokenizer of the model to erase from.
        clip: that model, to find similar features; None omits them.
    """
    pairs, listing = request.pairs, request.pairs.listing
    rows: dict[str, np.ndarray] = near_words(request)
    notes: dict[str, dict[int, str]] = {}  # maps picture files to what they look like
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
    """Return the selected rows with truncated captions, and those of them in which all words of
    the rule are cut off.

    Args:
        request: the request.
        tokenizer: tokenizer of the model.
        context: context length in tokens.
    """
    rows = np.flatnonzero(request.selected)
    told = list(zip(rows.tolist(), request.pairs.captions(rows), strict=True))
    # A token covers at least one byte, and a few tokens mark start and end.
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
    """Whether the model reads nothing of each text after its given beginning."""
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
    """Map each picture to the path of the picture that it is like."""
    return dict(zip(like, request.pairs.listing.paths(list(like.values())), strict=True))


def _by_features(request: Request, clip: Clip) -> dict[int, int]:
    """Return other pictures with features close to a selected picture's, nearest first."""
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
