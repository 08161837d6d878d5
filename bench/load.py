"""One process of producers or consumers.

    python -m bench.load '{"role": "produce", ...}'       the fields of `Plan`

It connects, prints "ready", starts at a line on its standard input and stops at the next: no new work is
begun, what is outstanding is finished, and one line of JSON says what was done. In between it prints nothing:
its progress is in a file of counters that it shares with the other processes of the match (`Tally`), so
that whoever measures can read both at one moment.

Producers hold back while more than `backlog` messages are sent and not yet deleted, looking again every
millisecond. Without that, a server that favours sends over receives would be measured with a backlog that
grows as long as the match, and its consumers with whatever the producers left them. Both contestants get the
same treatment.

A producer's cycle is one request, a consumer's two: receive, then delete all that was received.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import mmap
import os
import random
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import uvloop

from bench.histogram import Histogram
from bench.kinds import open_wire
from bench.wire import QUEUE, UnexpectedAnswer, Wire

HOLD_SECONDS = 0.001
"""How long producers that are too far ahead pause before they look again."""

MOST_OUTSTANDING = 1024
"""A connection may not have more requests outstanding than Ropeway takes."""

SENT, DELETED, THROTTLED = 0, 1, 2
COUNTERS = 3
COUNTER_BYTES = 8

RATE = "RequestThrottled"
"""The code of a refusal for a queue's rate."""


@dataclass(frozen=True)
class Plan:
    """What one process is to do."""

    role: str
    """ "produce" or "consume"."""
    kind: str
    """The server's: see kinds.py."""
    port: int
    connections: int
    outstanding: int
    """Requests that each connection keeps outstanding."""
    batch: int
    """Messages a request."""
    body: int
    """Bytes a message."""
    backlog: int
    """Messages, see above."""
    tally: str
    """The path of the counters."""
    ids: str
    """Where the ids of all messages sent or consumed go at the end, 16 bytes each. Empty: nowhere, where
    there are too many to hold, and the `Digest` alone says what they were."""
    queue: str = QUEUE
    messages: int = 0
    """How many are sent or consumed before this process ends by itself; 0: until it is told. Consumers may
    take a little more: what was asked for before they had as many."""
    groups: int = 1
    """Message groups, of a FIFO queue."""
    rate: float = 0.0
    """Messages a second that producers send, whatever is answered when; 0: as fast as answers come."""

    throttled: bool = False
    """Whether sends may be refused for their rate. They are counted, and not sent again."""

    def __post_init__(self) -> None:
        assert self.role in {"produce", "consume"}, self.role
        assert 1 <= self.outstanding <= MOST_OUTSTANDING, self.outstanding
        assert min(self.connections, self.batch, self.body) >= 1

    def encoded(self) -> str:
        """As the command line takes it."""
        return json.dumps(asdict(self))


class Tally:
    """Messages sent, deleted, and refused for their rate, in memory shared through a file. Each counter has
    one writer."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if create:
            path.write_bytes(bytes(COUNTERS * COUNTER_BYTES))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), COUNTERS * COUNTER_BYTES)
        self.counts = memoryview(self._memory).cast("Q")

    def backlog(self) -> int:
        """Messages sent and not yet deleted."""
        return self.counts[SENT] - self.counts[DELETED]

    def close(self) -> None:
        """Lets go of the memory."""
        self.counts.release()
        self._memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Digest:
    """How many ids, and their sum: equal for two heaps of ids that hold the same ones, in whatever order."""

    __slots__ = ("count", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0

    def add(self, ids: Sequence[bytes]) -> None:
        """Counts these."""
        self.count += len(ids)
        self.total = (self.total + sum(map(int.from_bytes, ids))) % 2**128


class Quota:
    """What is left for all connections of a process to begin."""

    __slots__ = ("left",)

    def __init__(self, messages: int) -> None:
        self.left = messages or 2**62


class Peer(asyncio.Protocol):
    """What producers and consumers share: slots that are outstanding, and an end."""

    def __init__(self, plan: Plan, quota: Quota, wire: Wire, tally: Tally) -> None:
        self._plan = plan
        self._quota = quota
        self._wire = wire
        self._tally = tally
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._outstanding = 0
        self._stopping = False
        self.finished: asyncio.Future[None] = self._loop.create_future()
        self.ids: list[object] = []
        """What was said of each message: an id, or an error."""
        self.digest = Digest()
        self.answers = 0
        self.began_at = 0.0
        self.done_at = 0.0
        """When the last message was sent or deleted."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    def start(self) -> None:
        """Makes every slot outstanding."""
        raise NotImplementedError

    def _said(self, ids: Sequence[Any]) -> None:
        """Remembers the ids of messages, or what was said instead."""
        if self._plan.ids:
            self.ids += ids
        else:
            self.digest.add(accepted(ids))

    def stop(self) -> None:
        """Begins nothing more; `finished` is done once nothing is outstanding."""
        self._stopping = True
        self._rest()

    def _rest(self) -> None:
        if self._stopping and self._outstanding == 0 and not self.finished.done():
            self.finished.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)


class Producer(Peer):
    """Sends the same batch again and again, each slot as soon as its last send is answered, or when it is
    due."""

    def __init__(self, plan: Plan, quota: Quota, wire: Wire, tally: Tally) -> None:
        super().__init__(plan, quota, wire, tally)
        bodies = [random.randbytes(plan.body) for _ in range(plan.batch)]
        self._requests = [wire.send(slot, bodies) for slot in range(1, plan.outstanding + 1)]
        self._held: list[int] = []
        self._waiting = False
        self._lone = plan.connections * plan.outstanding == 1
        self._pace = plan.rate / plan.batch / plan.connections
        self._begun = 0
        self._due: list[float] = [0.0] * (plan.outstanding + 1)
        self.took = Histogram()
        """With one outstanding send in all or a rate: from when each was due to its answer."""

    def start(self) -> None:
        self.began_at = time.perf_counter()
        self._outstanding = self._plan.outstanding
        self._send(range(1, self._plan.outstanding + 1))

    def stop(self) -> None:
        slots, self._held = self._held, []
        self._outstanding -= len(slots)
        super().stop()

    def data_received(self, data: bytes) -> None:
        answers = self._wire.answers(data)
        self.done_at = time.perf_counter()
        if self._lone or self._pace:
            for slot, _, _ in answers:
                self.took.add((self.done_at - self._due[slot]) * 1e6)
        slots, refused = [], 0
        for slot, status, result in answers:
            if status == 0:
                self._said(self._wire.sent_ids(result))
            elif self._plan.throttled and result[0] == RATE:
                refused += 1
            else:
                self._fail(UnexpectedAnswer(f"a send was refused: {result}"))
                return
            slots.append(slot)
        self.answers += len(slots)
        self._tally.counts[SENT] += (len(slots) - refused) * self._plan.batch
        self._tally.counts[THROTTLED] += refused * self._plan.batch
        self._send(slots)

    def _send(self, slots: Sequence[int]) -> None:
        if self._stopping:
            self._outstanding -= len(slots)
            self._rest()
            return
        count = min(len(slots), self._allowed())
        if count and (self._lone or self._pace):
            for number, slot in enumerate(slots[:count], self._begun + 1):
                self._due[slot] = self._due_at(number)
        self._begun += count
        self._quota.left -= count * self._plan.batch
        if count:
            requests, renewed = self._requests, self._wire.renewed
            self._transport.write(b"".join([renewed(requests[slot - 1]) for slot in slots[:count]]))
        if self._quota.left <= 0:
            self._held += slots[count:]
            self.stop()
        elif count < len(slots):
            self._held += slots[count:]
            if not self._waiting:
                self._waiting = True
                self._loop.call_later(HOLD_SECONDS, self._resume)

    def _allowed(self) -> int:
        """How many requests may begin now."""
        if self._tally.backlog() > self._plan.backlog:
            return 0
        count = -(-self._quota.left // self._plan.batch)
        if self._pace:
            due = int((time.perf_counter() - self.began_at) * self._pace) - self._begun
            count = min(count, due)
        return max(0, count)

    def _due_at(self, number: int) -> float:
        """When a request should go: with a rate at the tick that it falls in, whether or not there is a slot
        for it by then, so that a server that halts is seen by all that were due meanwhile."""
        if not self._pace:
            return time.perf_counter()
        return self.began_at + math.ceil(number / self._pace / HOLD_SECONDS) * HOLD_SECONDS

    def _resume(self) -> None:
        self._waiting = False
        slots, self._held = self._held, []
        self._send(slots)


class Consumer(Peer):
    """Receives and deletes, each slot in turn."""

    def __init__(self, plan: Plan, quota: Quota, wire: Wire, tally: Tally) -> None:
        super().__init__(plan, quota, wire, tally)
        self._requests = [wire.receive(slot, plan.batch) for slot in range(1, plan.outstanding + 1)]
        self._deleting = [0] * (plan.outstanding + 1)
        """A slot's messages whose delete is outstanding."""
        self.empty = 0

    def start(self) -> None:
        self.began_at = time.perf_counter()
        self._outstanding = self._plan.outstanding
        self._transport.write(b"".join(map(self._wire.renewed, self._requests)))

    def data_received(self, data: bytes) -> None:
        wire, deleting = self._wire, self._deleting
        requests: list[bytes] = []
        deleted = 0
        for slot, status, result in wire.answers(data):
            if status != 0:
                self._fail(UnexpectedAnswer(f"a receive or delete was refused: {result}"))
                return
            if deleting[slot]:
                if result and any(result):
                    self._fail(UnexpectedAnswer(f"a delete was refused: {result}"))
                    return
                deleted += deleting[slot]
                deleting[slot] = 0
                self._receive(slot, requests)
            elif result:
                ids, handles = wire.ids_and_handles(result)
                self._said(ids)
                self._quota.left -= len(ids)
                self.answers += 1
                deleting[slot] = len(ids)
                requests.append(wire.renewed(wire.delete(slot, handles)))
            else:
                self.empty += 1
                if wire.empty_pause:
                    self._loop.call_later(wire.empty_pause, self._try_again, slot)
                else:
                    self._receive(slot, requests)
        if deleted:
            self._tally.counts[DELETED] += deleted
            self.done_at = time.perf_counter()
        if requests:
            self._transport.write(b"".join(requests))

    def _receive(self, slot: int, requests: list[bytes]) -> None:
        if self._stopping or self._quota.left <= 0:
            self._stopping = True
            self._outstanding -= 1
            self._rest()
        else:
            requests.append(self._wire.renewed(self._requests[slot - 1]))

    def _try_again(self, slot: int) -> None:
        requests: list[bytes] = []
        self._receive(slot, requests)
        self._transport.write(b"".join(requests))


async def a_line() -> None:
    """Waits for a line on standard input. Its end counts as one: no load outlives whoever started it."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[None] = loop.create_future()

    def read() -> None:
        while os.read(0, 1) not in {b"\n", b""}:  # byte by byte: a buffer could swallow the next line
            pass
        loop.remove_reader(0)
        arrived.set_result(None)

    loop.add_reader(0, read)
    await arrived


async def work(plan: Plan) -> dict[str, Any]:
    """Carries a plan out, between the two lines."""
    loop = asyncio.get_running_loop()
    kind: type[Peer] = Producer if plan.role == "produce" else Consumer
    with Tally(Path(plan.tally)) as tally:
        peers: list[Peer] = []
        quota = Quota(plan.messages)
        for _ in range(plan.connections):
            connection, wire = open_wire(plan.kind, plan.port, plan.queue, plan.groups)
            connection.setblocking(False)
            _, peer = await loop.create_connection(partial(kind, plan, quota, wire, tally), sock=connection)
            peers.append(peer)
        print("ready", flush=True)
        await a_line()
        for peer in peers:
            peer.start()
        failed = asyncio.wait([peer.finished for peer in peers], return_when=asyncio.FIRST_EXCEPTION)
        ends = [asyncio.ensure_future(a_line()), asyncio.ensure_future(failed)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for peer in peers:
            peer.stop()
        await asyncio.gather(*(peer.finished for peer in peers))
    if plan.ids:
        every = accepted([message_id for peer in peers for message_id in peer.ids])
        write_ids(Path(plan.ids), every)
        messages = len(every)
    else:
        messages = sum(peer.digest.count for peer in peers)
    return {
        "messages": messages,
        "digest": sum(peer.digest.total for peer in peers) % 2**128,
        "began_at": min(peer.began_at for peer in peers),
        "done_at": max(peer.done_at for peer in peers),
        "requests": sum(peer.answers for peer in peers),
        "empty": sum(peer.empty for peer in peers if isinstance(peer, Consumer)),
        "took": merged(peer.took for peer in peers if isinstance(peer, Producer)).counts,
    }


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All of them in one."""
    every = Histogram()
    for each in histograms:
        every.merge(each)
    return every


def accepted(ids: Sequence[object]) -> list[bytes]:
    """The same, all ids. Raises UnexpectedAnswer when an error is among them."""
    good = [entry for entry in ids if isinstance(entry, bytes)]
    if len(good) < len(ids):
        refused = next(entry for entry in ids if not isinstance(entry, bytes))
        raise UnexpectedAnswer(f"{len(ids) - len(good)} messages were refused: {refused}")
    return good


def write_ids(path: Path, ids: Sequence[bytes]) -> None:
    """Leaves the ids where they are wanted."""
    path.write_bytes(b"".join(ids))


def main() -> int:
    """The command line of `python -m bench.load`."""
    # Nothing here makes cycles worth collecting, and a pause of the load is a pause of the match.
    gc.disable()
    try:
        print(json.dumps(uvloop.run(work(Plan(**json.loads(sys.argv[1]))))), flush=True)
    except (UnexpectedAnswer, OSError) as error:
        print(f"the load stopped: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
