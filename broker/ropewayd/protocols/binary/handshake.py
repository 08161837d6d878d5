"""The first words on a connection: version, limits, and proof of an access key without sending its secret.

Each side proves that it knows the secret by a keyed hash over both sides' nonces; the words in front keep one
side's proof from being taken for the other's.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ropewayd import __version__
from ropewayd.vocabulary.errors import AccessDenied, InvalidParameterValue

from .settings import BinaryLimits

VERSION = 1
NONCE = 32


class Hello(msgspec.Struct):
    """The first request of every connection. `key`, `nonce` and `proof` go together."""

    version: Annotated[int, Meta(ge=0, le=1 << 31)]
    client: Annotated[str, Meta(max_length=200)] = ""
    key: Annotated[str, Meta(max_length=128)] | None = None
    nonce: Annotated[bytes, Meta(min_length=NONCE, max_length=NONCE)] | None = None
    proof: Annotated[bytes, Meta(min_length=32, max_length=32)] | None = None


def client_proof(secret: str, server_nonce: bytes, client_nonce: bytes, key: str) -> bytes:
    """What the client says to show that it knows the secret."""
    said = b"ropeway client\0" + server_nonce + client_nonce + key.encode()
    return hmac.new(secret.encode(), said, hashlib.sha256).digest()


def server_proof(secret: str, server_nonce: bytes, client_nonce: bytes, key: str) -> bytes:
    """What the daemon says to show that it knows the secret too."""
    said = b"ropeway server\0" + client_nonce + server_nonce + key.encode()
    return hmac.new(secret.encode(), said, hashlib.sha256).digest()


class Handshake:
    """One connection's. `keys` maps access key ids to secrets; with none, anyone is let in."""

    def __init__(self, limits: BinaryLimits, keys: Mapping[str, str], account: str, region: str) -> None:
        self._limits = limits
        self._keys = keys
        self._account = account
        self._region = region
        self._nonce = os.urandom(NONCE)
        self.key: str | None = None
        """The key that was proven."""

    def greeting(self) -> dict[str, Any]:
        limits = self._limits
        return {
            "protocol": "ropeway",
            "versions": [VERSION, VERSION],
            "server": f"ropewayd/{__version__}",
            "nonce": self._nonce,
            "keys": bool(self._keys),
            "limits": {
                "frame": limits.max_frame,
                "requests": limits.max_requests,
                "bytes": limits.max_request_bytes,
                "batch": limits.max_batch,
            },
        }

    def answer(self, hello: Hello) -> dict[str, Any]:
        """What Hello is answered with. Raises AccessDenied or InvalidParameterValue."""
        if hello.version != VERSION:
            raise InvalidParameterValue(
                f"This daemon speaks version {VERSION}, not {hello.version}.", "version"
            )
        proof = self._prove(hello) if self._keys else None
        return {"version": VERSION, "account": self._account, "region": self._region, "proof": proof}

    def _prove(self, hello: Hello) -> bytes:
        if hello.key is None or hello.nonce is None or hello.proof is None:
            raise AccessDenied(
                "This daemon asks for an access key: key, nonce and proof are required.", "key"
            )
        secret = self._keys.get(hello.key)
        # An unknown key costs the same time as a wrong secret.
        expected = client_proof(secret or "", self._nonce, hello.nonce, hello.key)
        if not hmac.compare_digest(expected, hello.proof) or secret is None:
            raise AccessDenied(
                "The access key is not known here, or the proof does not fit its secret.", "key"
            )
        self.key = hello.key
        return server_proof(secret, self._nonce, hello.nonce, hello.key)
