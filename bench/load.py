"""One process of producers or consumers.

    python -m bench.load '{"role": "produce", ...}'       the fields of `Plan`

It connects, prints "ready", starts at a line on its standard input and stops at the next: no new work is
begun, what is outstanding is finished, and one line of JSON says what was done. In between it prints nothing:
its progress is in a file of two counters that it shares with the other processes of the match (`Tally`), so
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
import mmap
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import uvloop

from bench.wire import UnexpectedAnswer, Wire, open_wire

HOLD_SECONDS = 0.001
"""How long producers that are too far ahead pause before they look again."""

MOST_OUTSTANDING = 1024
"""A connection may not have more requests outstanding than Ropeway takes."""

SENT, DELETED = 0, 1
COUNTER_BYTES = 8


@dataclass(frozen=True)
class Plan:
    """What one process is to do."""

    role: str
    """ "produce" or "consume"."""
    kind: str
    """The server's protocol: "bare" or "ropeway"."""
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
    """Where the ids of all messages sent or consumed go at the end: 16 bytes each."""

    def __post_init__(self) -> None:
        assert self.role in {"produce", "consume"}, self.role
        assert 1 <= self.outstanding <= MOST_OUTSTANDING, self.outstanding
        assert min(self.connections, self.batch, self.body) >= 1

    def encoded(self) -> str:
        """As the command line takes it."""
        return json.dumps(asdict(self))


class Tally:
    """Messages sent and messages deleted, in memory shared through a file. Each counter has one writer."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if create:
            path.write_bytes(bytes(2 * COUNTER_BYTES))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 2 * COUNTER_BYTES)
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


class Peer(asyncio.Protocol):
    """What producers and consumers share: slots that are outstanding, and an end."""

    def __init__(self, plan: Plan, wire: Wire, tally: Tally) -> None:
        self._plan = plan
        self._wire = wire
        self._tally = tally
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._outstanding = 0
        self._stopping = False
        self.finished: asyncio.Future[None] = self._loop.create_future()
        self.ids: list[object] = []
        """What was said of each message: an id, or an error."""
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    def start(self) -> None:
        """Makes every slot outstanding."""
        raise NotImplementedError

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
    """Sends the same batch again and again, each slot as soon as its last send is answered."""

    def __init__(self, plan: Plan, wire: Wire, tally: Tally) -> None:
        super().__init__(plan, wire, tally)
        bodies = [random.randbytes(plan.body) for _ in range(plan.batch)]
        self._requests = [wire.send(slot, bodies) for slot in range(1, plan.outstanding + 1)]
        self._held: list[int] = []
        self._lone = plan.connections * plan.outstanding == 1
        self.answered_at: list[float] = []
        """With one outstanding send in all: when each answer came, in seconds."""

    def start(self) -> None:
        self._outstanding = self._plan.outstanding
        self._transport.write(b"".join(self._requests))

    def data_received(self, data: bytes) -> None:
        answers = self._wire.answers(data)
        if self._lone:
            self.answered_at.extend([time.perf_counter()] * len(answers))
        slots = []
        for slot, status, result in answers:
            if status != 0:
                self._fail(UnexpectedAnswer(f"a send was refused: {result}"))
                return
            self.ids += result
            slots.append(slot)
        self.answers += len(slots)
        self._tally.counts[SENT] += len(slots) * self._plan.batch
        self._send(slots)

    def _send(self, slots: Sequence[int]) -> None:
        if self._stopping:
            self._outstanding -= len(slots)
            self._rest()
        elif self._tally.backlog() > self._plan.backlog:
            if not self._held:
                self._loop.call_later(HOLD_SECONDS, self._resume)
            self._held += slots
        else:
            requests = self._requests
            self._transport.write(b"".join([requests[slot - 1] for slot in slots]))

    def _resume(self) -> None:
        slots, self._held = self._held, []
        self._send(slots)


class Consumer(Peer):
    """Receives and deletes, each slot in turn."""

    def __init__(self, plan: Plan, wire: Wire, tally: Tally) -> None:
        super().__init__(plan, wire, tally)
        self._requests = [wire.receive(slot, plan.batch) for slot in range(1, plan.outstanding + 1)]
        self._deleting = [0] * (plan.outstanding + 1)
        """A slot's messages whose delete is outstanding."""
        self.empty = 0

    def start(self) -> None:
        self._outstanding = self._plan.outstanding
        self._transport.write(b"".join(self._requests))

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
                self.ids += ids
                self.answers += 1
                deleting[slot] = len(ids)
                requests.append(wire.delete(slot, handles))
            else:
                self.empty += 1
                if wire.empty_pause:
                    self._loop.call_later(wire.empty_pause, self._try_again, slot)
                else:
                    self._receive(slot, requests)
        self._tally.counts[DELETED] += deleted
        if requests:
            self._transport.write(b"".join(requests))

    def _receive(self, slot: int, requests: list[bytes]) -> None:
        if self._stopping:
            self._outstanding -= 1
            self._rest()
        else:
            requests.append(self._requests[slot - 1])

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
        for _ in range(plan.connections):
            connection, wire = open_wire(plan.kind, plan.port)
            connection.setblocking(False)
            _, peer = await loop.create_connection(partial(kind, plan, wire, tally), sock=connection)
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
    return {
        "messages": write_ids(plan, [message_id for peer in peers for message_id in peer.ids]),
        "requests": sum(peer.answers for peer in peers),
        "empty": sum(peer.empty for peer in peers if isinstance(peer, Consumer)),
        "answered_at": [at for peer in peers if isinstance(peer, Producer) for at in peer.answered_at],
    }


def write_ids(plan: Plan, ids: Sequence[object]) -> int:
    """Leaves the ids where they are wanted. Raises UnexpectedAnswer when an error is among them."""
    accepted = [entry for entry in ids if isinstance(entry, bytes)]
    if len(accepted) < len(ids):
        refused = next(entry for entry in ids if not isinstance(entry, bytes))
        raise UnexpectedAnswer(f"{len(ids) - len(accepted)} messages were refused: {refused}")
    Path(plan.ids).write_bytes(b"".join(accepted))
    return len(accepted)


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
