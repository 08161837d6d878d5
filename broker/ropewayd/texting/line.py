"""What an account publishes to numbers, as it waits in the account's hidden queue, which is made for the
first of it. State is read only."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from ropewayd.kernel.service import Event
from ropewayd.queues.events import Content
from ropewayd.queues.fanning import Fanning
from ropewayd.queues.keeping import Keeping
from ropewayd.topics.notification import shown_time
from ropewayd.vocabulary.errors import RopewayError
from ropewayd.vocabulary.names import Scope, show_message_id

from . import events as e
from .phones import Phones


class Line:
    """See the module. `entropy(n)` gives n unguessable bytes."""

    def __init__(self, phones: Phones, fanning: Fanning, entropy: Callable[[int], bytes]) -> None:
        self._phones = phones
        self._keeping = Keeping(fanning, entropy)
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
        content = Content(msgspec.json.encode(waiting).decode(), None, None)
        account = self._phones.accounts.get(scope)
        queue = 0 if account is None else account.queue
        name = f"texts {scope.account} {scope.region}"
        kept = self._keeping.put(queue, content, now, name, partial(e.TextQueueMade, *scope))
        return kept if isinstance(kept, RopewayError) else (id_, kept)


def _text(value: str | bytes) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
