"""Apple's service, APNs: HTTP/2, and a token that is signed with the team's key.

A platform application has the key (.p8) as its credential and its id as its principal, and the team and the
bundle as ApplePlatformTeamID and ApplePlatformBundleID. A message that is no JSON object with "aps" is shown
as it is. The id of the notification is the message's, so that one that comes twice is shown once.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from typing import TYPE_CHECKING, Final

import msgspec

from ropewayd.deliveries.answering import Attempt
from ropewayd.deliveries.delivery import DELIVERED, REFUSED, RETRY, Answer, Delivery
from ropewayd.deliveries.envelope import whole
from ropewayd.deliveries.web import MAX_ANSWER, Reply, Unreachable

from .assertion import WrongKey, es256
from .device import Application, Device, Outcome, option, payload, seconds

if TYPE_CHECKING:
    import ssl

    import httpx

MAX_PAYLOAD: Final = 4096
LIFE: Final = 40 * 60
"""Seconds for which a token of ours is used: Apple refuses one of an hour, and many in 20 minutes."""
MAX_TTL: Final = 30 * 86_400
GONE: Final = frozenset(("BadDeviceToken", "Unregistered", "DeviceTokenNotForTopic", "ExpiredToken"))
"""Reasons that a token is good for nothing any more."""
_TOKEN: Final = re.compile(r"[0-9A-Fa-f]{8,400}")
_HEADER: Final = re.compile(r"[\x21-\x7e]{1,64}")


class Http2:
    """A client of HTTP/2 alone, bounded as Web is."""

    def __init__(self, timeout: float, connections: int, context: ssl.SSLContext | None = None) -> None:
        self._timeout = timeout
        self._connections = connections
        self._context = context
        self._client: httpx.AsyncClient | None = None

    async def post(self, url: str, content: bytes, headers: dict[str, str]) -> Reply:
        """Ask. Raises Unreachable."""
        import httpx  # noqa: PLC0415 - it takes a while to load: who asks nothing does not wait for it

        if self._client is None:
            self._client = httpx.AsyncClient(
                http1=False,
                http2=True,
                verify=True if self._context is None else self._context,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx.Timeout(self._timeout),
                limits=httpx.Limits(max_connections=self._connections),
            )
        sent = {"user-agent": "Ropeway", "accept-encoding": "identity", **headers}
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream("POST", url, content=content, headers=sent) as response,
            ):
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        break
                return Reply(response.status_code, dict(response.headers), bytes(body[:MAX_ANSWER]))
        except TimeoutError:
            raise Unreachable("the server took too long") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as wrong:
            raise Unreachable(f"{type(wrong).__name__}: {wrong}") from None

    async def close(self) -> None:
        """End the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


class Apns:
    """Sends by the service at `url`; `sandbox` is where applications of APNS_SANDBOX are sent to."""

    def __init__(self, url: str, sandbox: str, http: Http2) -> None:
        self._urls = {"APNS": url.rstrip("/"), "APNS_SANDBOX": sandbox.rstrip("/")}
        self._http = http
        self._tokens: dict[str, tuple[str, float]] = {}

    async def push(self, attempt: Attempt, device: Device, delivery: Delivery) -> Outcome:
        """Send one notification."""
        application = device.application
        if _TOKEN.fullmatch(device.token) is None:
            return Outcome(attempt.ends(REFUSED, None, "the token is not one of APNs"), gone=True)
        content = body(delivery)
        if len(content) > MAX_PAYLOAD:
            return Outcome(attempt.ends(REFUSED, None, f"it is longer than APNs' {MAX_PAYLOAD} bytes"))
        try:
            token = self._token(application)
        except WrongKey as wrong:
            return Outcome(attempt.ends(REFUSED, None, f"the application's credential: {wrong}"))
        sent = headers(application, delivery) | {"authorization": f"bearer {token}"}
        url = f"{self._urls[application.platform]}/3/device/{device.token}"
        try:
            reply = await self._http.post(url, content, sent)
        except Unreachable as wrong:
            return Outcome(attempt.ends(RETRY, None, str(wrong)))
        reason = _reason(reply)
        if reply.status == 403:
            # It is the team's key that is not taken; it can be set anew, and nothing is lost until then.
            self._tokens.clear()
        outcome = {200: DELIVERED, 403: RETRY}.get(reply.status, reply.outcome)
        return Outcome(_answer(attempt, outcome, reply, reason), gone=outcome == REFUSED and reason in GONE)

    def _token(self, application: Application) -> str:
        """A token for the team, the same for a while. Raises WrongKey."""
        team = application.attributes.get("ApplePlatformTeamID", "")
        key = hashlib.sha256(
            f"{team}\0{application.principal}\0{application.credential}".encode()
        ).hexdigest()
        token, until = self._tokens.get(key, ("", 0.0))
        if time.monotonic() >= until:
            claims = {"iss": team, "iat": int(time.time())}
            token = es256(application.credential, {"kid": application.principal}, claims)
            self._tokens[key] = (token, time.monotonic() + LIFE)
        return token

    async def close(self) -> None:
        """End the connections."""
        await self._http.close()


def body(delivery: Delivery) -> bytes:
    """What a device gets."""
    told = payload(delivery.body)
    if told is None or "aps" not in told:
        return msgspec.json.encode({"aps": {"alert": whole(delivery.body)}})
    return delivery.body.encode()


def headers(application: Application, delivery: Delivery) -> dict[str, str]:
    """What the service is told of it, by the message's attributes and by what it holds."""
    told = {
        "apns-id": delivery.message_id,
        "apns-topic": option(delivery, "APNS", "TOPIC")
        or application.attributes.get("ApplePlatformBundleID", ""),
        "apns-push-type": option(delivery, "APNS", "PUSH_TYPE") or _kind(delivery),
        "apns-priority": option(delivery, "APNS", "PRIORITY") or "",
        "apns-collapse-id": option(delivery, "APNS", "COLLAPSE_ID") or "",
    }
    life = seconds(option(delivery, application.platform, "TTL"), MAX_TTL)
    if life is not None:
        told["apns-expiration"] = str(int(time.time()) + life if life else 0)
    return {name: value for name, value in told.items() if _HEADER.fullmatch(value)}


def _kind(delivery: Delivery) -> str:
    """alert, or background for what shows nothing."""
    told = payload(delivery.body)
    aps = told.get("aps") if told is not None else None
    silent = (
        isinstance(aps, dict) and "content-available" in aps and not {"alert", "badge", "sound"} & set(aps)
    )
    return "background" if silent else "alert"


def _reason(reply: Reply) -> str:
    try:
        said = msgspec.json.decode(reply.body)
    except (ValueError, RecursionError):
        return ""
    reason = said.get("reason") if isinstance(said, dict) else None
    return reason if isinstance(reason, str) else ""


def _answer(attempt: Attempt, outcome: str, reply: Reply, reason: str) -> Answer:
    return attempt.ends(outcome, reply.status, reason or reply.text, reply.retry_after_ms)
