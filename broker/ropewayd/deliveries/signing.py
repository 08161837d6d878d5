"""Signatures on messages, and the certificate that they are checked with.

The key is made when it is first needed, and kept with the certificate in one file of the data directory that
only its owner may read. Whoever has a message can check it: the certificate is served without a signature.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

FILE: Final = "message-signing.pem"
PREFIX: Final = "SimpleNotificationService-"
"""What the certificate's name in its URL begins with, as clients expect it."""
_BITS: Final = 2048
_DAYS: Final = 3650
_NOTIFICATION: Final = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION: Final = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


def canonical(message: Mapping[str, Any]) -> bytes:
    """What is signed of a message: names and values of some of its members, each on a line."""
    names = _NOTIFICATION if message["Type"] == "Notification" else _CONFIRMATION
    return "".join(f"{name}\n{message[name]}\n" for name in names if name in message).encode()


class Signer:
    """See the module. `folder` is the data directory."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._key: RSAPrivateKey | None = None
        self._certificate = b""
        self._url_path = ""

    async def sign(self, message: Mapping[str, Any], version: str) -> str:
        """The signature of a message, in base64: version 1 is by SHA-1, 2 by SHA-256. Both are RSA."""
        return await asyncio.to_thread(self._sign, canonical(message), version)

    async def certificate(self) -> bytes:
        """In PEM."""
        return self._certificate or await asyncio.to_thread(self._have)

    async def path(self) -> str:
        """Of the certificate's URL. Another certificate has another."""
        await self.certificate()
        return self._url_path

    async def certificate_at(self, path: str) -> bytes | None:
        """The certificate, if this is its path."""
        return await self.certificate() if self._path.exists() and path == await self.path() else None

    def _sign(self, content: bytes, version: str) -> str:
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415  # takes a while to load
        from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

        self._have()
        assert self._key is not None
        # SHA-1 is what version 1 is: clients of AWS's expect it.
        algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()  # noqa: S303
        return base64.b64encode(self._key.sign(content, padding.PKCS1v15(), algorithm)).decode()

    def _have(self) -> bytes:
        """The certificate, with the key at hand. On a thread of its own: making a key takes a while."""
        with self._lock:
            if self._key is None:
                from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
                from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415

                if not self._path.exists():
                    self._make()
                said = self._path.read_bytes()
                key = serialization.load_pem_private_key(said, None)
                assert isinstance(key, RSAPrivateKey)
                self._key = key
                certificate = said[said.index(b"-----BEGIN CERTIFICATE") :]
                self._url_path = f"/{PREFIX}{hashlib.sha256(certificate).hexdigest()[:32]}.pem"
                self._certificate = certificate  # last: who sees it sees the rest
            return self._certificate

    def _make(self) -> None:
        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

        key = rsa.generate_private_key(65537, _BITS)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Ropeway message signing")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=_DAYS))
            .sign(key, hashes.SHA256())
        )
        content = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ) + certificate.public_bytes(serialization.Encoding.PEM)
        beside = self._path.with_suffix(".new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self._path)
