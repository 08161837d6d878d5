"""A message that another service keeps in a hidden queue until it is sent. The first one makes the queue."""

from __future__ import annotations

from collections.abc import Callable

from ropewayd.kernel.service import Event
from ropewayd.vocabulary.errors import RopewayError, ServiceUnavailable

from . import hidden
from .events import Content, MessagesSent
from .fanning import Fanning


class Keeping:
    """See the module. `entropy(n)` gives n unguessable bytes. State is read only."""

    def __init__(self, fanning: Fanning, entropy: Callable[[int], bytes]) -> None:
        self._fanning = fanning
        self._entropy = entropy

    def put(
        self, number: int, content: Content, now: int, name: str, made: Callable[[int], Event]
    ) -> tuple[Event, ...] | RopewayError:
        """The events that keep it in the hidden queue of this number. 0: there is none yet; it is to be
        called `name`, and `made` gives the event by which its owner remembers its number."""
        if not number:
            return self._first(content, now, name, made)
        fan = self._fanning.begin(now)
        if fan.add(hidden.called(number), [fan.put(content)]):
            return ServiceUnavailable("No more messages can wait now, by the limits on queues.")
        event = fan.event()
        assert event is not None
        return (event,)

    def _first(
        self, content: Content, now: int, name: str, made: Callable[[int], Event]
    ) -> tuple[Event, ...] | RopewayError:
        number = self._fanning.registry.next_number
        queue = hidden.made(number, name, now)
        if isinstance(queue, RopewayError):
            return queue
        return queue, made(number), MessagesSent(number, 1, now, self._entropy(16), [content.body])
