"""What an account publishes to numbers, as it waits in the account's hidden queue, which is made for the
first of it. State is read only."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ropewayd.kernel.service import Event
from ropewayd.queues import hidden
from ropewayd.queues.events import Content, MessagesSent
from ropewayd.queues.fanning import Fanning
from ropewayd.topics.notification import shown_time
from ropewayd.vocabulary.errors import OverLimit, RopewayError, ServiceUnavailable
from ropewayd.vocabulary.names import Scope, show_message_id

from . import events as e
from .phones import Phones


class Line:
    """See the module. `entropy(n)` gives n unguessable bytes."""

    def __init__(self, phones: Phones, fanning: Fanning, entropy: Callable[[int], bytes]) -> None:
        self._phones = phones
        self._fanning = fanning
        self._entropy = entropy

    def put(
        self,
        scope: Scope,
        number: str,
        text: str,
        attributes: Mapping[str, tuple[str, Any]] | None,
        now: int,
        *,
        verifies: bool = False,
    ) -> tuple[bytes, tuple[Event, ...]] | RopewayError:
        """The id of a text message that is to be sent, and the events that keep it until then. `verifies`: it
        goes to a number that the sandbox has yet to verify."""
        id_ = self._entropy(16)
        waiting: dict[str, Any] = {
            "MessageId": show_message_id(id_),
            "PhoneNumber": number,
            "Message": text,
            "Timestamp": shown_time(now),
        }
        if attributes:
            waiting["MessageAttributes"] = {
                name: {"Type": kind, "Value": _text(value)} for name, (kind, value) in attributes.items()
            }
        if verifies:
            waiting["Verifies"] = True
        content = msgspec.json.encode(waiting).decode()
        account = self._phones.accounts.get(scope)
        if account is None or not account.queue:
            return self._first(scope, content, now, id_)
        fan = self._fanning.begin(now)
        if fan.add(hidden.called(account.queue), [fan.put(Content(content, None, None))]):
            return ServiceUnavailable("No more messages can wait now, by the limits on queues.")
        event = fan.event()
        assert event is not None
        return id_, (event,)

    def _first(
        self, scope: Scope, content: str, now: int, id_: bytes
    ) -> tuple[bytes, tuple[Event, ...]] | OverLimit:
        number = self._fanning.registry.next_number
        queue = hidden.made(number, f"texts {scope.account} {scope.region}", now)
        if isinstance(queue, OverLimit):
            return queue
        made = e.TextQueueMade(*scope, number)
        return id_, (queue, made, MessagesSent(number, 1, now, self._entropy(16), [content]))


def _text(value: str | bytes) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
