"""A Merkle tree over entries (RFC 6962), and signed checkpoints of it (C2SP tlog-checkpoint).

The root of a tree commits to every entry and to their order. A checkpoint is a signed note with
the name of the log, the number of entries and the root. Whoever keeps a checkpoint can later have
it proven that nothing before it was changed. RFC 9162 describes the algorithms.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from erasekit.errors import RunError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )


class NoteError(RunError):
    """A note is no checkpoint of the log; the message says why, as in ``is of another log``."""


EMPTY = hashlib.sha256(b"").digest()
_ED25519 = b"\x01"


def leaf(entry: bytes) -> bytes:
    """The hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def roots(leaves: Sequence[bytes]) -> Iterator[bytes]:
    """The roots of the trees of the first 0, 1, 2, … leaves."""
    yield EMPTY
    peaks: list[bytes] = []  # of full subtrees, the largest first
    for count, each in enumerate(leaves):
        while count & 1:  # the last peak has as many leaves as the new one
            each, count = _node(peaks.pop(), each), count >> 1
        peaks.append(each)
        yield _joined(peaks)


def root(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree of all leaves."""
    level = list(leaves)
    while len(level) > 1:
        paired = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0] if level else EMPTY


def _joined(peaks: Sequence[bytes]) -> bytes:
    found = peaks[-1]
    for peak in reversed(peaks[:-1]):
        found = _node(peak, found)
    return found


def prove(leaves: Sequence[bytes], size: int) -> list[bytes]:
    """The consistency proof between the tree of the first `size` leaves and that of all."""

    def path(start: int, end: int, whole: bool) -> list[bytes]:
        if end == size:
            return [] if whole else [root(leaves[start:end])]
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if size <= middle:
            return [*path(start, middle, whole), root(leaves[middle:end])]
        return [*path(middle, end, False), root(leaves[start:middle])]

    return path(0, len(leaves), True) if 0 < size < len(leaves) else []


def is_consistent(
    old_size: int, old_root: bytes, size: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether a proof shows that a tree extends an older one."""
    if old_size in (0, size):
        return not proof and old_root == (new_root if old_size else EMPTY)
    if old_size > size or not proof:
        return False
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    left, right = old_size - 1, size - 1
    while left & 1:
        left, right = left >> 1, right >> 1
    old = new = path[0]
    for each in path[1:]:
        if right == 0:
            return False
        if left & 1 or left == right:
            old, new = _node(each, old), _node(each, new)
            while not left & 1 and left:
                left, right = left >> 1, right >> 1
        else:
            new = _node(new, each)
        left, right = left >> 1, right >> 1
    return (old, new, right) == (old_root, new_root, 0)


@dataclass(frozen=True)
class Checkpoint:
    """A statement about a log: its name, its number of entries, and the root of their tree."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The checkpoint as a signed note; the name of the key is the origin of the log."""
    told = _key_id(checkpoint.origin, key.public_key()) + key.sign(checkpoint.text.encode())
    return f"{checkpoint.text}\n— {checkpoint.origin} {base64.b64encode(told).decode()}\n"


def read_checkpoint(note: str, origin: str, key: Ed25519PublicKey) -> Checkpoint:
    """The checkpoint in a note that this key signed for this log.

    Raises:
        NoteError: when it is not a checkpoint, of another log, or not signed by the key.
    """
    from cryptography.exceptions import InvalidSignature

    text, found, signatures = note.partition("\n\n")
    lines = text.split("\n")
    try:
        told = Checkpoint(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True))
        if not found or told.text != f"{text}\n":
            raise ValueError
    except (IndexError, ValueError):
        raise NoteError("is not a checkpoint: three lines and a signature are needed") from None
    if told.origin != origin:
        raise NoteError(f"is of another log: {told.origin!r}, not {origin!r}")
    for line in signatures.splitlines():
        mark, _, rest = line.partition(" ")
        name, _, value = rest.rpartition(" ")
        try:
            signed = base64.b64decode(value, validate=True)
            if (mark, name, signed[:4]) == ("—", origin, _key_id(origin, key)):
                key.verify(signed[4:], told.text.encode())
                return told
        except (InvalidSignature, ValueError):
            continue
    raise NoteError("is not signed by the key of the log")


def verifier(origin: str, key: Ed25519PublicKey) -> str:
    """The public key as a line that tools for signed notes read."""
    held = base64.b64encode(_ED25519 + key.public_bytes_raw()).decode()
    return f"{origin}+{_key_id(origin, key).hex()}+{held}"


def read_verifier(line: str) -> tuple[str, Ed25519PublicKey]:
    """The origin and the public key in such a line."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    origin, _, held = line.split("+", 2)
    return origin, Ed25519PublicKey.from_public_bytes(base64.b64decode(held)[1:])


def _key_id(origin: str, key: Ed25519PublicKey) -> bytes:
    told = origin.encode() + b"\n" + _ED25519 + key.public_bytes_raw()
    return hashlib.sha256(told).digest()[:4]
