"""Google's service, FCM, in its version 1.

A platform application's credential is the JSON of a service account. Of it only the project, the address and
the key are used: where tokens come from is a setting, since whoever makes an application must not say where
the daemon connects to. A message may be written as version 1 has it ({"fcmV1Message": {"message": ...}}), or
as before ({"notification": ..., "data": ...}), which is translated; a plain text is the notification's body.
To whom it goes is the endpoint's token, whatever the message says.
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import Any, Final

import msgspec

from ropewayd.deliveries.answering import Attempt
from ropewayd.deliveries.delivery import REFUSED, RETRY, Delivery
from ropewayd.deliveries.envelope import whole
from ropewayd.deliveries.web import Unreachable, Web

from .access import Access, NoAccess
from .assertion import WrongKey, rs256
from .device import Device, Outcome, option, payload, seconds

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
LIFE: Final = 3600
MAX_TTL: Final = 28 * 86_400
GONE: Final = frozenset(("UNREGISTERED", "SENDER_ID_MISMATCH"))
"""Errors that say that a token is good for nothing any more."""
_PROJECT: Final = re.compile(r"[a-z0-9:.-]{1,100}")
_TARGETS: Final = ("token", "topic", "condition")


class Account(msgspec.Struct, frozen=True):
    """What is used of a service account."""

    project_id: str
    client_email: str
    private_key: str
    private_key_id: str = ""


class Fcm:
    """Sends by the service at `url`, with tokens from `token_url`."""

    def __init__(self, url: str, token_url: str, web: Web) -> None:
        self._url = url.rstrip("/")
        self._token_url = token_url
        self._access = Access(token_url, web)
        self._web = web

    async def push(self, attempt: Attempt, device: Device, delivery: Delivery) -> Outcome:
        """Send one notification."""
        try:
            account = msgspec.json.decode(device.application.credential, type=Account)
        except (ValueError, RecursionError):
            return Outcome(attempt.ends(REFUSED, None, "the application's credential is no service account"))
        if _PROJECT.fullmatch(account.project_id) is None:
            return Outcome(attempt.ends(REFUSED, None, "the service account's project has a strange name"))
        key = hashlib.sha256(device.application.credential.encode()).hexdigest()
        try:
            token = await self._access.token_for(key, lambda: self._form(account))
        except WrongKey as wrong:
            return Outcome(attempt.ends(REFUSED, None, f"the service account's key: {wrong}"))
        except NoAccess as wrong:
            return Outcome(attempt.ends(RETRY, wrong.code, wrong.said))
        url = f"{self._url}/v1/projects/{account.project_id}/messages:send"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        content = msgspec.json.encode({"message": message(device, delivery)})
        try:
            reply = await self._web.post(url, content, headers)
        except Unreachable as wrong:
            return Outcome(attempt.ends(RETRY, None, str(wrong)))
        said = _code(reply.body)
        outcome = reply.outcome
        if reply.status == 401:
            self._access.forget(token)
            outcome = RETRY
        answer = attempt.ends(outcome, reply.status, reply.text, reply.retry_after_ms)
        return Outcome(answer, gone=outcome == REFUSED and said in GONE)

    def _form(self, account: Account) -> dict[str, str]:
        now = int(time.time())
        claims = {
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": self._token_url,
            "iat": now,
            "exp": now + LIFE,
        }
        header = {"kid": account.private_key_id} if account.private_key_id else {}
        assertion = rs256(account.private_key, header, claims)
        return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}

    async def close(self) -> None:
        """End the connections."""
        await self._web.close()


def message(device: Device, delivery: Delivery) -> dict[str, Any]:
    """What the service gets."""
    told = payload(delivery.body)
    made: dict[str, Any]
    if told is None:
        made = {"notification": {"body": whole(delivery.body)}}
    elif isinstance(v1 := told.get("fcmV1Message"), dict) and isinstance(inner := v1.get("message"), dict):
        made = dict(inner)
    else:
        made = _translated(told)
    for target in _TARGETS:
        made.pop(target, None)
    made["token"] = device.token
    life = seconds(option(delivery, "GCM", "TTL"), MAX_TTL)
    if life is not None:
        android = made.get("android")
        made["android"] = {**(android if isinstance(android, dict) else {}), "ttl": f"{life}s"}
    return made


def _translated(told: dict[str, Any]) -> dict[str, Any]:
    """A message of the interface before version 1, as version 1 has it."""
    made: dict[str, Any] = {}
    android: dict[str, Any] = {}
    notification, extra = told.get("notification"), told.get("data")
    if isinstance(notification, dict):
        shown = {name: notification[name] for name in ("title", "body", "image") if name in notification}
        made["notification"] = shown
        rest = {name: value for name, value in notification.items() if name not in shown}
        if rest:
            android["notification"] = {_ANDROID.get(name, name): value for name, value in rest.items()}
    if isinstance(extra, dict):
        made["data"] = {name: _text(value) for name, value in extra.items()}
    if isinstance(life := told.get("time_to_live"), int):
        android["ttl"] = f"{life}s"
    if told.get("priority") in ("high", "normal"):
        android["priority"] = told["priority"].upper()
    for before, after in (("collapse_key", "collapse_key"), ("restricted_package_name",) * 2):
        if isinstance(told.get(before), str):
            android[after] = told[before]
    if android:
        made["android"] = android
    if not made:
        made["data"] = {name: _text(value) for name, value in told.items()}
    return made


_ANDROID: Final = {"android_channel_id": "channel_id"}
"""Names that changed."""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _code(body: bytes) -> str:
    """FCM's own code in an error; empty if there is none."""
    try:
        said = msgspec.json.decode(body)
        for each in said["error"]["details"]:
            if isinstance(code := each.get("errorCode"), str):
                return code
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        pass
    return ""
