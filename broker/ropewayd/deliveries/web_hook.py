"""http and https: a message is posted to its subscriber's URL, signed, in the envelope or raw.

What the subscriber answers with 2xx is delivered. 4xx is final, but for the few that say that it is too
early; all else is tried again. Where a URL may lead is said in destination.py.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ropewayd.topics.delivery_policy import DEFAULT_TYPE

from .answering import Attempt
from .delivery import REFUSED, RETRY, Answer, Delivery
from .envelope import envelope, raw_body
from .seal import Seal
from .web import NotAllowed, Unreachable, Web

AGENT: Final = "Amazon Simple Notification Service Agent"
"""What subscribers of AWS's may look for."""


class WebHook:
    """Sends by HTTP."""

    def __init__(self, web: Web, seal: Seal) -> None:
        self._web = web
        self._seal = seal

    async def send(self, delivery: Delivery) -> Answer:
        """Post it."""
        attempt = Attempt()
        try:
            content, headers = await self._worded(delivery)
            reply = await self._web.post(delivery.endpoint, content, headers)
        except Unreachable as wrong:
            outcome = REFUSED if isinstance(wrong, NotAllowed) else RETRY
            return attempt.ends(outcome, None, str(wrong))
        return attempt.ends(reply.outcome, reply.status, reply.text, reply.retry_after_ms)

    async def _worded(self, delivery: Delivery) -> tuple[bytes, dict[str, str]]:
        headers = {
            "User-Agent": AGENT,
            "Content-Type": DEFAULT_TYPE,
            "x-amz-sns-message-type": delivery.kind,
            "x-amz-sns-message-id": delivery.message_id,
            "x-amz-sns-topic-arn": delivery.topic,
        }
        if delivery.kind == "Notification":
            headers["x-amz-sns-subscription-arn"] = delivery.subscription
            headers["Content-Type"] = delivery.settings.get("content_type", DEFAULT_TYPE)
            if delivery.raw:
                headers["x-amz-sns-rawdelivery"] = "true"
                body = raw_body(delivery)
                return body.encode() if isinstance(body, str) else body, headers
        told = await self._seal.put(envelope(delivery), delivery)
        return msgspec.json.format(msgspec.json.encode(told), indent=2), headers

    async def close(self) -> None:
        """End the connections."""
        await self._web.close()
