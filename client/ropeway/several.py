"""A receive from one of several queues. What it brings is of one queue, and belongs to that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ropeway.errors import ProtocolError
from ropeway.message import Message
from ropeway.queue import LONGEST_WAIT, Poll
from ropeway.wire import Action

if TYPE_CHECKING:
    from ropeway.queue import Queue


class PollOfSeveral(Poll):
    """See the module. Messages that come when nobody waits any more are given back to their queue."""

    __slots__ = ("_queues",)

    def __init__(
        self,
        queues: Sequence[Queue],
        weights: Sequence[int] | None,
        max_messages: int,
        wait: float | None,
        visibility_timeout: float | None,
    ) -> None:
        super().__init__(queues[0], max_messages, wait, visibility_timeout)
        self.action = Action.ReceiveFromQueues
        self._queues = queues
        del self._params["queue"]
        self._params["queues"] = [queue.name for queue in queues]
        if weights is not None:
            self._params["weights"] = list(weights)

    def take(self, result: object) -> None:
        match result:
            case {"queue": int() as index, "messages": tuple() as found} if 0 <= index < len(self._queues):
                queue = self._queues[index]
                messages = [Message(queue, each if isinstance(each, tuple) else ()) for each in found]
            case {"queue": None, "messages": ()}:
                messages = []
            case _:
                raise ProtocolError("the daemon's answer to ReceiveFromQueues has the wrong shape")
        if not self.future.done():
            self.future.set_result(messages)
        else:
            give_back(messages)


def give_back(messages: list[Message]) -> None:
    """Release messages of one queue without waiting for the answer."""
    if messages:
        messages[0].queue.give_back(messages)


async def receive(poll: PollOfSeveral, wait: float | None) -> list[Message]:
    """Ask, and wait for the messages. If that is cancelled, what comes all the same is given back."""
    link = poll.link
    link.submit(poll, (LONGEST_WAIT if wait is None else wait) + link.timeout)
    try:
        return await poll.future
    except asyncio.CancelledError:
        poll.future.cancel()
        if not poll.future.cancelled() and poll.future.exception() is None:
            give_back(poll.future.result())
        link.forget(poll)
        raise
