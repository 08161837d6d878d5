"""E-mail: the protocols email and email-json, by a relay, or into the outbox where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .answering import Attempt
from .delivery import DELIVERED, REFUSED, RETRY, Answer, Delivery
from .envelope import envelope
from .letter import NoAddress, address, letter
from .outbox import Outbox
from .seal import Seal

if TYPE_CHECKING:
    from .relay import Relay


class Email:
    """Sends letters from the address `sender`. Raises NoAddress where that is none."""

    def __init__(self, way: Relay | Outbox, sender: str, seal: Seal | None = None) -> None:
        self._seal = seal
        self._way = way
        self._sender = address(sender)

    async def send(self, delivery: Delivery) -> Answer:
        """Send one letter."""
        attempt = Attempt()
        signed = None
        if delivery.protocol == "email-json" and self._seal is not None:
            signed = await self._seal.put(envelope(delivery), delivery)
        try:
            written = letter(delivery, self._sender, signed)
        except NoAddress as wrong:
            return attempt.ends(REFUSED, None, str(wrong))
        if not isinstance(self._way, Outbox):
            return await self._way.send(written, self._sender.addr_spec, delivery.endpoint)
        name = f"{delivery.timestamp}-{delivery.message_id}-{delivery.subscription[-12:]}"
        try:
            kept = await self._way.put(name, bytes(written))
        except OSError as wrong:
            return attempt.ends(RETRY, None, f"the outbox: {wrong.strerror}")
        return attempt.ends(DELIVERED, None, f"in the outbox as {kept}")

    async def close(self) -> None:
        """Nothing stays open between letters."""
