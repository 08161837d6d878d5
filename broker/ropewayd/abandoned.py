"""Queues of listeners that are gone: ended, with the subscriptions that fill them.

A listener's queue carries the tag LISTENER, and its library gives that another value every 20 seconds.

Rule 1  A queue whose tag has had one value for the whole of a timeout is over. That time is this process's
        own: a start gives every listener the timeout again, whatever the daemon slept through.
Rule 2  Subscriptions end first. What a crash leaves then is a queue that still carries its tag, and is found
        again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from ropewayd.kernel.batch import Awaited
from ropewayd.kernel.kernel import Kernel
from ropewayd.logs import log
from ropewayd.queues import actions as q
from ropewayd.queues.service import Queues
from ropewayd.topics import actions as t
from ropewayd.topics.service import Topics
from ropewayd.vocabulary.action import Action

LISTENER: Final = "ropeway.listener"
_LOOKS: Final = 4
"""In one timeout."""


class Watch:
    """Which queues' tags have not changed for how long. It asks no clock."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._since: dict[str, tuple[str, float]] = {}

    def over(self, tags: Mapping[str, str], now: float) -> list[str]:
        """The ARNs of those that are over, of all whose tags these are now."""
        since = self._since
        self._since = {
            arn: since[arn] if arn in since and since[arn][0] == value else (value, now)
            for arn, value in tags.items()
        }
        return [arn for arn, (_, at) in self._since.items() if now - at >= self._timeout]


class Abandoned:
    """See the module. `timeout` in seconds."""

    def __init__(self, kernel: Kernel, queues: Queues, topics: Topics, timeout: float) -> None:
        self._kernel = kernel
        self._queues = queues
        self._topics = topics
        self._timeout = timeout
        self._watch = Watch(timeout)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._look())

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for arn in self._watch.over(self._queues.tagged(LISTENER), loop.time()):
                for subscription in self._topics.subscriptions_to(arn):
                    await self._ask(t.Unsubscribe(subscription=subscription))
                await self._ask(q.DeleteQueue(queue=arn))
                log.info("the queue of a listener that is gone was deleted", queue=arn)
            await asyncio.sleep(self._timeout / _LOOKS)

    async def _ask(self, action: Action) -> Any:
        reply = Awaited()
        self._kernel.submit(action, reply)
        return await reply.answer
