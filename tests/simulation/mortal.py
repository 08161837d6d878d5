"""Subscribers of a virtual network: they answer, fail, refuse, hang and answer late, as their dice fall.

They stand where a sender does, at the dispatcher's edge, and keep what reached them. What counts as taken is
what was answered as delivered, nothing that hung.
"""

from __future__ import annotations

import asyncio
import random

from ropewayd.deliveries.delivery import DELIVERED, REFUSED, RETRY, Answer, Delivery


class Hook:
    """One web hook. `wanted` is what may reach it, `owed` what has to."""

    def __init__(self, name: str, kind: str | None) -> None:
        self.url = f"http://{name}.example.org/"
        self.letters = f"lost-{name}"
        self.kind = kind
        """What its filter policy lets pass; None has no policy."""
        self.arn = ""
        self.asked: list[str] = []
        """Tokens that it was sent."""
        self.confirming = self.confirmed = self.gone = False
        self.wanted: set[str] = set()
        self.owed: set[str] = set()
        self.taken: set[str] = set()

    def wants(self, kind: str) -> bool:
        return self.kind is None or self.kind == kind


class Network:
    """All web hooks, as one sender."""

    def __init__(self, dice: random.Random, hooks: list[Hook], longest: int) -> None:
        self._dice = dice
        self._hooks = {hook.url: hook for hook in hooks}
        self._longest = longest
        self.faults = True
        self.wrong = ""
        """The first thing that must not have been."""
        self.hung = self.failed = self.late = self.refused = 0

    async def send(self, delivery: Delivery) -> Answer:
        hook = self._hooks[delivery.endpoint]
        if delivery.kind != "Notification":
            hook.asked.append(delivery.token)
            return Answer(DELIVERED, 200, "", 0)
        if not hook.confirming:
            self.wrong = self.wrong or f"{hook.url} got {delivery.body} before it confirmed"
        if delivery.body not in hook.wanted:
            self.wrong = self.wrong or f"{hook.url} got {delivery.body}, which is not for it"
        roll = self._dice.random() if self.faults else 1.0
        if roll < 0.15:
            self.failed += 1
            return Answer(RETRY, 503, "", 0)
        if roll < 0.2:
            self.refused += 1
            return Answer(REFUSED, 404, "", 0)
        if roll < 0.3:
            self.hung += 1
            await asyncio.Event().wait()
        if roll < 0.5:
            self.late += 1
            await asyncio.sleep(self._dice.randint(1, self._longest - 1))
        hook.taken.add(delivery.body)
        return Answer(DELIVERED, 200, "", 0)

    async def close(self) -> None:
        """There is nothing to close."""
