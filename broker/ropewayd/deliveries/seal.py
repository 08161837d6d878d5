"""The signature in an envelope, with what says how to check it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .delivery import Delivery
from .signing import Signer


class Seal:
    """Signs envelopes. `address`: what URLs to the daemon begin with, empty where there is none."""

    def __init__(self, signer: Signer, address: Callable[[], str]) -> None:
        self._signer = signer
        self._address = address

    async def put(
        self, told: dict[str, Any], delivery: Delivery, version: str | None = None
    ) -> dict[str, Any]:
        """The envelope with its signature, by the topic's version unless another is given."""
        version = version or delivery.settings.get("signature_version") or "1"
        attributes = told.pop("MessageAttributes", None)
        unsubscribe = told.pop("UnsubscribeURL", None)
        told["SignatureVersion"] = version
        told["Signature"] = await self._signer.sign(told, version)
        if self._address():
            told["SigningCertURL"] = self._address() + await self._signer.path()
        if unsubscribe is not None:
            told["UnsubscribeURL"] = unsubscribe
        if attributes is not None:
            told["MessageAttributes"] = attributes
        return told
