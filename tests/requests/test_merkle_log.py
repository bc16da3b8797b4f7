"""The Merkle tree agrees with published vectors, its proofs hold, and checkpoints are signed."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from erasekit.errors import RunError
from erasekit.requests.merkle_log import (
    EMPTY,
    Checkpoint,
    is_consistent,
    leaf,
    prove,
    read_checkpoint,
    read_verifier,
    root,
    roots,
    sign,
    verifier,
)

#: The test vectors of Certificate Transparency: entries, and the roots of the first 1, 2, … 8.
ENTRIES = (
    *("", "00", "10", "2021", "3031", "40414243", "5051525354555657"),
    "606162636465666768696a6b6c6d6e6f",
)
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
LEAVES = [leaf(bytes.fromhex(entry)) for entry in ENTRIES]
MANY = [leaf(b"%d" % i) for i in range(40)]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def test_roots_are_the_published_ones() -> None:
    assert [root(LEAVES[: n + 1]).hex() for n in range(8)] == list(ROOTS)
    assert [each.hex() for each in roots(LEAVES)] == [EMPTY.hex(), *ROOTS]


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_proof_holds_for_its_two_trees_alone(one: int, other: int) -> None:
    old, new = sorted((one, other))
    trees, proof = list(roots(MANY)), prove(MANY[:new], old)
    assert is_consistent(old, trees[old], new, trees[new], proof)
    if 0 < old < new:
        assert not is_consistent(old, trees[old - 1], new, trees[new], proof)
        assert not is_consistent(old, trees[old], new, trees[new - 1], proof)
        assert not is_consistent(old, trees[old], new, trees[new], proof[:-1])
        assert not is_consistent(new, trees[new], old, trees[old], proof)


def test_a_checkpoint_is_a_signed_note() -> None:
    note = sign(Checkpoint("a.b/log", 8, root(LEAVES)), KEY)
    lines = note.split("\n")
    assert lines[:2] == ["a.b/log", "8"]
    assert base64.b64decode(lines[2]).hex() == ROOTS[-1]
    assert lines[3] == ""
    assert lines[4].startswith("— a.b/log ")
    assert read_checkpoint(note, "a.b/log", KEY.public_key()).size == 8
    origin, key = read_verifier(verifier("a.b/log", KEY.public_key()))
    assert (origin, key.public_bytes_raw()) == ("a.b/log", KEY.public_key().public_bytes_raw())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda note: note.replace("\n8\n", "\n7\n", 1), "not signed by the key"),
        (lambda note: note.replace("a.b/log", "a.b/other"), "of another log"),
        (lambda note: note.split("\n\n")[0], "not a checkpoint"),
        (lambda note: "", "not a checkpoint"),
        (lambda note: note.replace("\n8\n", "\n08\n", 1), "not a checkpoint"),
    ],
)
def test_a_changed_note_is_refused(change, words: str) -> None:
    note = sign(Checkpoint("a.b/log", 8, root(LEAVES)), KEY)
    with pytest.raises(RunError, match=words):
        read_checkpoint(change(note), "a.b/log", KEY.public_key())


def test_a_note_of_another_key_is_refused() -> None:
    note = sign(Checkpoint("a.b/log", 8, root(LEAVES)), KEY)
    with pytest.raises(RunError, match="not signed by the key"):
        read_checkpoint(note, "a.b/log", Ed25519PrivateKey.generate().public_key())
