"""The protocol sms: text messages, handed to a gateway by HTTP, or kept in the outbox where there is none.

A number that has opted out, a message that cannot be one, costs more than it may or would go beyond the
month's limit is refused. Who has opted out, and what the account has set, is asked before each message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from .answering import Attempt
from .delivery import DELIVERED, REFUSED, RETRY, Answer, Delivery
from .spending import MILLION, Spending
from .text_message import NoText, TextMessage, text_message
from .web import Unreachable, Web

if TYPE_CHECKING:
    from .outbox import Outbox
    from .template import Template


class SmsRules(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for text messages. Money is in whatever the gateway is paid in; a limit of 0 is none."""

    sender: str = ""
    kind: str = "Promotional"
    price: float = 0.0
    """Of a part."""
    monthly_limit: float = 0.0


class Gateway:
    """A server that text messages are posted to, in the form of a template."""

    def __init__(self, url: str, template: Template, headers: Mapping[str, str], web: Web) -> None:
        self._url = url
        self._template = template
        self._headers = {**headers, "Content-Type": template.content_type}
        self._web = web

    async def send(self, attempt: Attempt, message: TextMessage) -> Answer:
        try:
            reply = await self._web.post(self._url, self._template.filled(message), self._headers)
        except Unreachable as wrong:
            return attempt.ends(RETRY, None, str(wrong))
        return attempt.ends(reply.outcome, reply.status, reply.text, reply.retry_after_ms)

    async def close(self) -> None:
        await self._web.close()


class Sms:
    """Sends text messages. `rules` says what holds now, `opted_out` whether a number gets none."""

    def __init__(
        self,
        way: Gateway | Outbox,
        rules: Callable[[], SmsRules],
        opted_out: Callable[[str], bool],
        spending: Spending,
    ) -> None:
        self._way = way
        self._rules = rules
        self._opted_out = opted_out
        self._spending = spending

    async def send(self, delivery: Delivery) -> Answer:
        """Send one message."""
        attempt, rules = Attempt(), self._rules()
        try:
            message = text_message(delivery, rules.sender, rules.kind)
        except NoText as wrong:
            return attempt.ends(REFUSED, None, str(wrong))
        if self._opted_out(message.to):
            return attempt.ends(REFUSED, None, "the number has opted out")
        price = rules.price * message.parts
        if message.max_price is not None and price > message.max_price:
            return attempt.ends(REFUSED, None, f"it would cost {price:g}, more than its maximum price")
        if not rules.monthly_limit:
            return await self._hand_over(attempt, message)
        cost = round(price * MILLION)
        try:
            if not await self._spending.reserve(cost, round(rules.monthly_limit * MILLION)):
                return attempt.ends(REFUSED, None, f"the month's limit of {rules.monthly_limit:g} is reached")
        except (OSError, ValueError) as wrong:
            return attempt.ends(RETRY, None, f"what was spent cannot be read: {wrong}")
        answer = None
        try:
            answer = await self._hand_over(attempt, message)
        finally:
            try:
                await self._spending.settle(cost, sent=answer is not None and answer.outcome == DELIVERED)
            except OSError as wrong:
                # It was sent, and is counted for as long as the daemon runs.
                answer = attempt.ends(DELIVERED, None, f"sent, but what was spent is not kept: {wrong}")
        return answer

    async def _hand_over(self, attempt: Attempt, message: TextMessage) -> Answer:
        if isinstance(self._way, Gateway):
            return await self._way.send(attempt, message)
        shown = {"id": message.id, "to": message.to, "sender": message.sender}
        shown |= {"type": message.kind, "text": message.text}
        try:
            kept = await self._way.put(
                f"{message.timestamp}-{message.id}", msgspec.json.encode(shown) + b"\n"
            )
        except OSError as wrong:
            return attempt.ends(RETRY, None, f"the outbox: {wrong.strerror}")
        return attempt.ends(DELIVERED, None, f"in the outbox as {kept}")

    async def close(self) -> None:
        """End the connections."""
        if isinstance(self._way, Gateway):
            await self._way.close()
