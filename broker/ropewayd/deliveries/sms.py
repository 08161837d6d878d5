"""The protocol sms: text messages, handed to a gateway by HTTP, or kept in the outbox where there is none.

A message to a number that has opted out, or that the sandbox does not know, and one that cannot be one, costs
more than it may or would go beyond a limit of the month is refused. Who has opted out, and what the account
has set, is asked before each message; where a gateway says that a number has, its answer says so too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from ropewayd.texting.text import NoText

from .answering import Attempt
from .delivery import DELIVERED, REFUSED, RETRY, Answer, Delivery
from .spending import EVERYBODY, MILLION, Spending
from .text_message import TextMessage, text_message
from .web import Unreachable, Web

if TYPE_CHECKING:
    from ropewayd.texting.actions import SmsAttributes
    from ropewayd.texting.phones import Phones
    from ropewayd.vocabulary.names import Scope

    from .outbox import Outbox
    from .template import Template


class SmsRules(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for text messages of all accounts, where one has set nothing else. Money is in whatever the
    gateway is paid in; a limit of 0 is none."""

    sender: str = ""
    kind: str = "Promotional"
    price: float = 0.0
    """Of a part."""
    monthly_limit: float = 0.0
    """Of all accounts together."""
    opted_out_answers: tuple[str, ...] = ()
    """What a gateway's refusal holds, in small letters, where the number has opted out."""


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
    """Sends text messages. `phones` says what each account has set, and who gets none."""

    def __init__(self, way: Gateway | Outbox, rules: SmsRules, phones: Phones, spending: Spending) -> None:
        self._way = way
        self._rules = rules
        self._phones = phones
        self._spending = spending

    async def send(self, delivery: Delivery) -> Answer:
        """Send one message."""
        attempt, rules = Attempt(), self._rules
        own = self._phones.attributes(delivery.scope)
        try:
            message = text_message(
                delivery, own.default_sender_id or rules.sender, own.default_sms_type or rules.kind
            )
        except NoText as wrong:
            return attempt.ends(REFUSED, None, str(wrong))
        if self._phones.is_opted_out(delivery.scope, message.to):
            return attempt.ends(REFUSED, None, "the number has opted out")
        if not delivery.verifies and not self._phones.is_reachable(delivery.scope, message.to):
            return attempt.ends(REFUSED, None, "the number is not verified, and the account in the sandbox")
        price = rules.price * message.parts
        if message.max_price is not None and price > message.max_price:
            return attempt.ends(REFUSED, None, f"it would cost {price:g}, more than its maximum price")
        limits = _limits(rules, own, delivery.scope)
        if not limits:
            return await self._hand_over(attempt, message)
        cost = round(price * MILLION)
        try:
            beyond = await self._spending.reserve(cost, limits)
        except (OSError, ValueError) as wrong:
            return attempt.ends(RETRY, None, f"what was spent cannot be read: {wrong}")
        if beyond is not None:
            return attempt.ends(REFUSED, None, f"the month's limit of {beyond / MILLION:g} is reached")
        answer = None
        try:
            answer = await self._hand_over(attempt, message)
        finally:
            sent = answer is not None and answer.outcome == DELIVERED
            try:
                await self._spending.settle(cost, limits, sent=sent)
            except OSError as wrong:
                # It was sent, and is counted for as long as the daemon runs.
                answer = attempt.ends(DELIVERED, None, f"sent, but what was spent is not kept: {wrong}")
        return answer

    async def _hand_over(self, attempt: Attempt, message: TextMessage) -> Answer:
        if isinstance(self._way, Gateway):
            answer = await self._way.send(attempt, message)
            said = answer.excerpt.casefold()
            told = answer.outcome == REFUSED and any(each in said for each in self._rules.opted_out_answers)
            return msgspec.structs.replace(answer, opted_out=True) if told else answer
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


def _limits(rules: SmsRules, own: SmsAttributes, scope: Scope) -> dict[str, int]:
    """The limits of the month that a message of this account is held against, by whose they are."""
    limits = {}
    if rules.monthly_limit:
        limits[EVERYBODY] = round(rules.monthly_limit * MILLION)
    if own.monthly_spend_limit is not None:
        limits[f"{scope.account} {scope.region}"] = int(own.monthly_spend_limit) * MILLION
    return limits
