"""Microsoft's service, WNS: an application's principal and credential are the package's id and secret.

The token of a device is a URL. Whoever makes an endpoint says it, so it is used only where its host is one of
Microsoft's, or of those that the settings name, and by https: else the daemon could be made to connect
anywhere, and its access token to go there. A plain text is shown as a toast.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from ropewayd.deliveries.answering import Attempt
from ropewayd.deliveries.delivery import REFUSED, RETRY, Delivery
from ropewayd.deliveries.envelope import whole
from ropewayd.deliveries.web import Unreachable, Web

from .access import Access, NoAccess
from .device import Device, Outcome, option, seconds

MAX_TTL: Final = 30 * 86_400
GONE: Final = frozenset((404, 410))
THROTTLED: Final = 406
TYPES: Final = {"wns/toast": "text/xml", "wns/tile": "text/xml", "wns/badge": "text/xml",
                "wns/raw": "application/octet-stream"}  # fmt: skip
OPTIONS: Final = {
    "CachePolicy": "X-WNS-Cache-Policy",
    "Group": "X-WNS-Group",
    "Match": "X-WNS-Match",
    "SuppressPopup": "X-WNS-SuppressPopup",
    "Tag": "X-WNS-Tag",
}


class Wns:
    """Sends to channels at `hosts`, below any of them too, with tokens from `token_url`."""

    def __init__(self, hosts: tuple[str, ...], token_url: str, web: Web) -> None:
        self._hosts = tuple(each.lower() for each in hosts)
        self._access = Access(token_url, web)
        self._web = web

    def allows(self, channel: str) -> bool:
        """Whether a channel is one to connect to."""
        try:
            parts = urlsplit(channel)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            return False
        plain = channel.isascii() and channel.isprintable() and " " not in channel and "\\" not in channel
        if not plain or parts.username is not None or parts.password is not None:
            return False
        if parts.netloc.lower() in self._hosts:  # written with its port: one that the settings name
            return parts.scheme in ("https", "http")
        mine = any(host == each or host.endswith("." + each) for each in self._hosts)
        return mine and parts.scheme == "https" and port in (None, 443)

    async def push(self, attempt: Attempt, device: Device, delivery: Delivery) -> Outcome:
        """Send one notification."""
        if not self.allows(device.token):
            return Outcome(attempt.ends(REFUSED, None, "the token is not a channel of WNS"), gone=True)
        asked = {
            "grant_type": "client_credentials",
            "scope": "notify.windows.com",
            "client_id": device.application.principal,
            "client_secret": device.application.credential,
        }
        told, content = notification(delivery)
        try:
            token = await self._access.token(asked)
            reply = await self._web.post(device.token, content, told | {"Authorization": f"Bearer {token}"})
        except NoAccess as wrong:
            return Outcome(attempt.ends(RETRY, wrong.code, wrong.said))
        except Unreachable as wrong:
            return Outcome(attempt.ends(RETRY, None, str(wrong)))
        outcome = RETRY if reply.status in (401, THROTTLED) else reply.outcome
        if reply.status == 401:
            self._access.forget(token)
        said = reply.headers.get("x-wns-error-description") or reply.headers.get("x-wns-status") or reply.text
        answer = attempt.ends(outcome, reply.status, said, reply.retry_after_ms)
        return Outcome(answer, gone=reply.status in GONE)

    async def close(self) -> None:
        """End the connections."""
        await self._web.close()


def notification(delivery: Delivery) -> tuple[dict[str, str], bytes]:
    """What the service gets: headers and content."""
    text = whole(delivery.body)
    asked = option(delivery, "WNS", "Type")
    if asked not in TYPES:
        asked = None
    if asked is None or (asked == "wns/toast" and not text.lstrip().startswith("<")):
        asked = "wns/toast"
        if not text.lstrip().startswith("<"):
            text = (
                '<toast><visual><binding template="ToastText01"><text id="1">'
                f"{escape(text)}</text></binding></visual></toast>"
            )
    headers = {"X-WNS-Type": asked, "Content-Type": TYPES[asked], "X-WNS-RequestForStatus": "true"}
    for name, header in OPTIONS.items():
        value = option(delivery, "WNS", name)
        if value and value.isascii() and value.isprintable() and len(value) <= 64:
            headers[header] = value
    life = seconds(option(delivery, "WNS", "TTL"), MAX_TTL)
    if life is not None:
        headers["X-WNS-TTL"] = str(life)
    return headers, text.encode()
