"""DSSE envelopes with Ed25519 signatures, using the package cryptography.

DSSE (https://github.com/secure-systems-lab/dsse) is a small JSON format for a payload and its
signatures, which many public tools can verify. Keys are PEM files from the user; erasekit does
not create keys.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from erasekit.errors import UsageError, reason

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )


PAYLOAD_TYPE = "application/vnd.in-toto+json"


def pae(payload: bytes) -> bytes:
    """Return the bytes to sign: type and payload, each preceded by its length."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def enveloped(payload: bytes, signatures: list[dict[str, str]]) -> bytes:
    """Return the envelope as canonical JSON."""
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": signatures,
    }
    return json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode()


def signed(payload: bytes, key: Ed25519PrivateKey | None) -> bytes:
    """Return the envelope, signed with `key` if given."""
    if key is None:
        return enveloped(payload, [])
    signature = base64.b64encode(key.sign(pae(payload))).decode()
    return enveloped(payload, [{"keyid": fingerprint(key.public_key()), "sig": signature}])


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """Load the private key in a PEM file.

    Raises:
        UsageError: when the file holds no such key, or cryptography is not installed.
    """
    asymmetric, serialization = _cryptography()
    content = _read(path)
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except TypeError as error:
        raise UsageError(f"{path} is protected by a password: give a key without one") from error
    except Exception as error:  # cryptography raises many kinds of errors
        raise UsageError(f"{path} is not a private key in PEM form") from error
    return _of_kind(key, asymmetric.Ed25519PrivateKey, path)


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Load the public key in a PEM file.

    Raises:
        UsageError: when the file holds no such key, or cryptography is not installed.
    """
    asymmetric, serialization = _cryptography()
    content = _read(path)
    try:
        key = serialization.load_pem_public_key(content)
    except Exception as error:
        raise UsageError(f"{path} is not a public key in PEM form") from error
    return _of_kind(key, asymmetric.Ed25519PublicKey, path)


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return the sha256 of a public key's DER form, which identifies the key."""
    _, serialization = _cryptography()
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def is_signed_by(key: Ed25519PublicKey, signatures: list[dict[str, str]], payload: bytes) -> bool:
    """Whether this key made one of the signatures of this payload."""
    from cryptography.exceptions import InvalidSignature

    for signature in signatures:
        try:
            content = base64.b64decode(signature["sig"], validate=True)
            key.verify(content, pae(payload))
        except (InvalidSignature, ValueError):
            continue
        if base64.b64encode(content).decode() == signature["sig"]:  # canonical only
            return True
    return False


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise UsageError(
            "signatures take the package cryptography: pip install 'erasekit[sign]'"
        ) from error
    return ed25519, serialization


def _read(path: Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {reason(error)}") from error


def _of_kind(key: Any, kind: type, path: Path) -> Any:
    if not isinstance(key, kind):
        raise UsageError(f"{path} holds a key of another kind: an Ed25519 key is needed")
    return key
