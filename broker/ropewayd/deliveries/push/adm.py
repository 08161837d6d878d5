"""Amazon's service, ADM: a platform application's principal and credential are the client's id and secret.

A message that is no JSON object with "data" is one piece of data, called default.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import msgspec

from ropewayd.deliveries.answering import Attempt
from ropewayd.deliveries.delivery import REFUSED, RETRY, Delivery
from ropewayd.deliveries.envelope import whole
from ropewayd.deliveries.web import Unreachable, Web

from .access import Access, NoAccess
from .device import Device, Outcome, option, payload, seconds

MAX_TTL: Final = 31 * 86_400
GONE: Final = frozenset(("Unregistered", "InvalidRegistrationId"))
MESSAGE: Final = "com.amazon.device.messaging.ADMMessage@1.0"
RESULT: Final = "com.amazon.device.messaging.ADMSendResult@1.0"


class Adm:
    """Sends by the service at `url`, with tokens from `token_url`."""

    def __init__(self, url: str, token_url: str, web: Web) -> None:
        self._url = url.rstrip("/")
        self._access = Access(token_url, web)
        self._web = web

    async def push(self, attempt: Attempt, device: Device, delivery: Delivery) -> Outcome:
        """Send one notification."""
        asked = {
            "grant_type": "client_credentials",
            "scope": "messaging:push",
            "client_id": device.application.principal,
            "client_secret": device.application.credential,
        }
        url = f"{self._url}/messaging/registrations/{quote(device.token, safe='')}/messages"
        try:
            token = await self._access.token(asked)
            headers = {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "X-Amzn-Type-Version": MESSAGE,
                "X-Amzn-Accept-Type": RESULT,
            }
            reply = await self._web.post(url, msgspec.json.encode(message(delivery)), headers)
        except NoAccess as wrong:
            return Outcome(attempt.ends(RETRY, wrong.code, wrong.said))
        except Unreachable as wrong:
            return Outcome(attempt.ends(RETRY, None, str(wrong)))
        outcome = reply.outcome
        if reply.status == 401:
            self._access.forget(token)
            outcome = RETRY
        said = payload(reply.text)
        gone = outcome == REFUSED and said is not None and said.get("reason") in GONE
        return Outcome(attempt.ends(outcome, reply.status, reply.text, reply.retry_after_ms), gone)

    async def close(self) -> None:
        """End the connections."""
        await self._web.close()


def message(delivery: Delivery) -> dict[str, Any]:
    """What the service gets."""
    told = payload(delivery.body)
    made: dict[str, Any]
    if told is not None and isinstance(told.get("data"), dict):
        made = dict(told)
    else:
        made = {"data": {"default": whole(delivery.body)}}
    life = seconds(option(delivery, "ADM", "TTL"), MAX_TTL)
    if life:
        made["expiresAfter"] = life
    return made
