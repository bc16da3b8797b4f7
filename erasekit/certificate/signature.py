"""Ed25519 signatures of a certificate's bytes, by the package cryptography.

The signature lies beside the certificate, so that openssl alone can check it. Keys are
given as PEM files and never made here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from erasekit.errors import UsageError, reason

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a PEM file.

    Raises:
        UsageError: when there is no such key, or cryptography is not installed.
    """
    asymmetric, serialization = _cryptography()
    content = _read(path)
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except TypeError as error:
        raise UsageError(f"{path} is protected by a password: give a key without one") from error
    except Exception as error:  # cryptography has a kind for each thing that can be wrong
        raise UsageError(f"{path} is not a private key in PEM form") from error
    return _of_kind(key, asymmetric.Ed25519PrivateKey, path)


def load_public_key(path: Path) -> Ed25519PublicKey:
    """The public key in a PEM file.

    Raises:
        UsageError: when there is no such key, or cryptography is not installed.
    """
    asymmetric, serialization = _cryptography()
    content = _read(path)
    try:
        key = serialization.load_pem_public_key(content)
    except Exception as error:
        raise UsageError(f"{path} is not a public key in PEM form") from error
    return _of_kind(key, asymmetric.Ed25519PublicKey, path)


def fingerprint(key: Ed25519PublicKey) -> str:
    """The sha256 of a public key's DER form: what names a key."""
    _, serialization = _cryptography()
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def is_signed_by(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    """Whether this key's owner signed these very bytes."""
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


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
