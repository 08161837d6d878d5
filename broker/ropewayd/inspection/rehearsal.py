"""A start of the daemon's kernel on a store that is only looked at: would it recover, and to what?

It is the real kernel with the real services. Between them and the disk stands a store that reads, and whose
appends go nowhere. No time passes: what is told is the state as of the last commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ropewayd.inspection.opening import Opened
from ropewayd.kernel.batch import Awaited
from ropewayd.kernel.kernel import Kernel, Report
from ropewayd.kernel.service import Service
from ropewayd.kernel.wheel import Wheel
from ropewayd.mobile.service import Mobile
from ropewayd.queues.actions import GetQueueAttributes, ListQueues
from ropewayd.queues.service import Queues
from ropewayd.store.failures import translate
from ropewayd.store.journal import Journal
from ropewayd.store.protocol import (
    Claim,
    Copied,
    Figures,
    Key,
    KeyRange,
    Record,
    Recovered,
    Slice,
    Space,
    Unplaced,
)
from ropewayd.store.records import Records
from ropewayd.texting.service import Texting
from ropewayd.topics.service import Topics
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.clock import SystemClock


class Rehearsed(msgspec.Struct, frozen=True):
    """`queues`: what GetQueueAttributes answers for each, by name; by ARN, if it is not of the
    default account and region, or is hidden."""

    report: Report
    queues: dict[str, dict[str, Any]]


def rehearse(store: Opened) -> Rehearsed:
    """Recover the store, and ask for every queue. Raises Corrupt and Newer as a start would."""
    return asyncio.run(_rehearse(store))


async def _rehearse(store: Opened) -> Rehearsed:
    clock = SystemClock()
    wheel = Wheel(clock.now())
    service = Queues(wheel)
    services: list[Service] = [
        *(service, Topics(wheel, service.fanning)),
        *(Texting(service.fanning), Mobile(service.fanning)),
    ]
    kernel = Kernel(Stage(store), clock, services, wheel)
    report = await kernel.start()
    queues: dict[str, dict[str, Any]] = {}
    for account, region in service.scopes():
        after: str | None = ""
        while after is not None:
            answer = await _ask(kernel, ListQueues(after=after, account=account, region=region))
            for name in answer["queues"]:
                queues[name] = await _ask(kernel, GetQueueAttributes(queue=name))
            after = answer["next"]
    for arn, called in service.hidden().items():
        queues[arn] = await _ask(kernel, GetQueueAttributes(queue=called))
    await kernel.stop()
    return Rehearsed(report, queues)


async def _ask(kernel: Kernel, action: Action) -> Any:
    reply = Awaited()
    kernel.submit(action, reply)
    answer = await reply.answer
    if isinstance(answer, Exception):
        raise answer
    return answer


class Stage:
    """A Store (see store/protocol.py) that reads from `store` and forgets what it is asked to write."""

    def __init__(self, store: Opened) -> None:
        self._state = store.state
        with _reading("opening the tables"):
            self._journal = Journal(store.db, store.state.seed, store.state.trimmed)
            self._records = Records(store.db, store.state.seed)

    async def claim(self, owner: str) -> Claim:
        """See Store.claim."""
        return Claim(self._state.epoch, self._journal.last)

    async def append(self, claim: Claim, expect: int, batch: bytes, slice: Slice | None = None) -> int:
        """Nothing is written."""
        return expect + bool(batch)

    async def recover(self, claim: Claim) -> Recovered:
        """See Store.recover."""
        with _reading("recovering"):
            records = self._records.small(self._state, self._journal.last)
            return Recovered(records, self._journal.tail(self._state.trimmed))

    async def read(self, claim: Claim, space: Space, keys: Sequence[Key]) -> list[Record]:
        """See Store.read."""
        with _reading(f"reading records of {space.name}"):
            return self._records.read(space, keys, self._journal.last)

    async def page(
        self, claim: Claim, space: Space, first: int, last: int, limit: int, max_bytes: int
    ) -> list[Record]:
        """See Store.page."""
        with _reading(f"reading a page of {space.name}"):
            return self._records.page(space, first, last, limit, max_bytes, self._journal.last)

    async def read_ranges(self, claim: Claim, ranges: Sequence[KeyRange]) -> list[Record]:
        """See Store.read_ranges."""
        with _reading("reading ranges of records"):
            return self._records.ranges(ranges, self._journal.last)

    async def tidy(self) -> bool:
        """There is nothing to do."""
        return False

    async def figures(self) -> Figures:
        """Room for everything: nothing is written."""
        return Figures(0, 0, 0, free_bytes=1 << 62)

    async def scrub(self, claim: Claim, max_bytes: int) -> int:
        """There is nothing to read again."""
        return 0

    async def backup(self, claim: Claim, target: Path) -> Copied:
        """Nothing is written."""
        raise Unplaced("A store that is only looked at has no backup.")

    async def close(self) -> None:
        """Whoever opened the store closes it."""


@contextmanager
def _reading(doing: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, doing) from error
