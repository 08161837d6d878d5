"""A mobile application with its endpoints, in memory, and how their ARNs are written and read."""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from typing import Any, Final

from ropewayd.vocabulary.names import ACCOUNT, REGION, Scope, show_message_id

NAME: Final = r"[A-Za-z0-9_.-]{1,256}"
_PLATFORM: Final = r"[A-Z0-9_]{1,32}"
_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_APPLICATION_ARN: Final = re.compile(rf"arn:aws:sns:({REGION}):({ACCOUNT}):app/{_PLATFORM}/{NAME}\Z")
_ENDPOINT_ARN: Final = re.compile(
    rf"arn:aws:sns:({REGION}):({ACCOUNT}):endpoint/({_PLATFORM}/{NAME})/({_UUID})\Z"
)


class Endpoint:
    """One application on one device."""

    __slots__ = ("enabled", "id", "stored", "token", "user_data")

    def __init__(self, id_: bytes, token: str, user_data: str, enabled: bool) -> None:
        self.id = id_
        self.token = token
        self.user_data = user_data
        self.enabled = enabled
        self.stored = 0
        """The lsn of its record on disk."""


class Application:
    """One incarnation."""

    def __init__(
        self, number: int, platform: str, name: str, scope: Scope, at: int, attributes: dict[str, str]
    ) -> None:
        self.number = number
        self.platform = platform
        self.name = name
        self.scope = scope
        self.at = at
        self.attributes = attributes
        """Its secrets are among them: they are for the senders alone."""
        self.endpoints: dict[bytes, Endpoint] = {}
        self.by_token: dict[str, Endpoint] = {}
        self.order: list[bytes] = []
        self.queue = 0
        """The number of the hidden queue of what is published to its endpoints; 0: nothing was yet."""
        self.stored = 0

    @property
    def arn(self) -> str:
        return f"arn:aws:sns:{self.scope.region}:{self.scope.account}:app/{self.platform}/{self.name}"

    def arn_of(self, id_: bytes) -> str:
        """That of its endpoint of this id."""
        region, account = self.scope.region, self.scope.account
        own = show_message_id(id_)
        return f"arn:aws:sns:{region}:{account}:endpoint/{self.platform}/{self.name}/{own}"

    def add(self, endpoint: Endpoint) -> None:
        self.endpoints[endpoint.id] = endpoint
        self.by_token[endpoint.token] = endpoint
        insort(self.order, endpoint.id)

    def change(self, endpoint: Endpoint, token: str, user_data: str, enabled: bool) -> None:
        self._forget_token(endpoint)
        endpoint.token, endpoint.user_data, endpoint.enabled = token, user_data, enabled
        self.by_token[token] = endpoint

    def remove(self, endpoint: Endpoint) -> None:
        del self.endpoints[endpoint.id]
        del self.order[bisect_left(self.order, endpoint.id)]
        self._forget_token(endpoint)

    def _forget_token(self, endpoint: Endpoint) -> None:
        if self.by_token.get(endpoint.token) is endpoint:  # in recovery the next one may be there already
            del self.by_token[endpoint.token]

    def snapshot(self) -> dict[str, Any]:
        """The state as plain objects, to be compared."""
        return {
            "arn": self.arn,
            "at": self.at,
            "attributes": self.attributes,
            "queue": self.queue,
            "endpoints": {
                each.id: (each.token, each.user_data, each.enabled)
                for each in (self.endpoints[id_] for id_ in self.order)
            },
        }


def application_arn_place(arn: str) -> Scope | None:
    """Whose it is; None if it is no application's ARN."""
    found = _APPLICATION_ARN.match(arn)
    return Scope(found[2], found[1]) if found else None


def read_endpoint_arn(arn: str) -> tuple[Scope, str, bytes] | None:
    """Whose it is, its application's ARN, and its id; None if it is no endpoint's ARN."""
    found = _ENDPOINT_ARN.match(arn)
    if found is None:
        return None
    scope = Scope(found[2], found[1])
    own = f"arn:aws:sns:{scope.region}:{scope.account}:app/{found[3]}"
    return scope, own, bytes.fromhex(found[4].replace("-", ""))
