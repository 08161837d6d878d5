"""A claim in a JSON Web Token, signed with a private key: how a sender says to a service who it is.

What signs takes a while to load: who sends to no telephone does not wait for it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec


class WrongKey(ValueError):
    """The key is no private key of the kind that is asked for."""


def es256(key: str, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """A token signed with an EC key of P-256 in PEM. Raises WrongKey."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415  # see the module; so are those below
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415

    private = _load(key)
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise WrongKey("it is not a private key of P-256")
    signed = _signed_part({"alg": "ES256", **header}, claims)
    r, s = utils.decode_dss_signature(private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_base64url(r.to_bytes(32) + s.to_bytes(32))}"


def rs256(key: str, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """A token signed with an RSA key in PEM. Raises WrongKey."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415

    private = _load(key)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise WrongKey("it is not a private key of RSA")
    signed = _signed_part({"alg": "RS256", "typ": "JWT", **header}, claims)
    signature = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_base64url(signature)}"


def _load(key: str) -> object:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        return load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise WrongKey("it is not a private key in PEM") from None


def _signed_part(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    return f"{_base64url(msgspec.json.encode(header))}.{_base64url(msgspec.json.encode(claims))}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
