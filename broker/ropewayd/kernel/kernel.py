"""Run an action: decide, apply, journal, and answer when it is durable.

Rule 1  An answer leaves when every event applied before it was computed is on disk (I1). With nothing pending
        it leaves at once.
Rule 2  What arrives while a commit runs is the next batch. There is no timer: a lone call commits alone, at
        once.
Rule 3  An append that fails ends this kernel: memory is ahead of the disk (I4). So does an assertion that
        does not hold. Nothing that the append held is acknowledged, waiting calls get ServiceUnavailable, and
        `failed` says why.
Rule 4  On the way of a call there is no task, future or coroutine of its own: a call is a function call, its
        answer a callback after the commit.

The kernel knows no service by name. It does no I/O but through its store, and never looks at the time but
through its clock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterator, Sequence
from time import monotonic
from typing import Any, TypeVar, Union

import msgspec

from ropewayd.store.protocol import Claim, Entry, Newer, Record, Slice, Space, Store
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.clock import Clock
from ropewayd.vocabulary.errors import InvalidAction, OverLimit, RopewayError, ServiceUnavailable

from .alarm import Alarm
from .batch import NOBODY, VERSION, Batch, Reply
from .meter import Meter
from .poll import Poll, Polls
from .room import Room
from .service import Decision, Errand, Event, Gates, Needs, Service, SliceBuilder, Wait, Waiting
from .settings import KernelSettings
from .tail import Tail
from .wheel import Wheel

KERNEL = Space(1, "kernel", paged=False)
"""The kernel's own records: the last time."""

_T = TypeVar("_T")
_TIME = b"time"
_IDLE = "idle"
_LOOK = "look"
_SCRUB = "scrub"
_SCRUB_BYTES = 256 << 10
"""What is read again at a time."""
_LOOK_BYTES = 1 << 20
"""Written between two looks at how much room the disk has."""
_LOOK_AGAIN = 1000
"""Milliseconds between two looks while it is short of room."""


class Report(msgspec.Struct, frozen=True):
    """What a start found. `milliseconds` is None until the caller, who has a clock for it, says so."""

    records: int
    tail_batches: int
    tail_events: int
    tail_bytes: int
    last_lsn: int


class Kernel:
    """See the module. Used from one event loop, after `start`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        services: Sequence[Service],
        wheel: Wheel,
        settings: KernelSettings | None = None,
        owner: str = "ropewayd",
        gates: Gates | None = None,
    ) -> None:
        self.clock = clock
        self.wheel = wheel
        self.failed: asyncio.Future[BaseException] | None = None
        self.meter = Meter()
        self._settings = settings or KernelSettings()
        self._store = store
        self._owner = owner
        self._services = tuple(services)
        self._deciders = {kind: decide for each in services for kind, decide in each.deciders().items()}
        self._appliers = {kind: (each, apply) for each in services for kind, apply in each.appliers().items()}
        self._feeders = {kind: each.feeds for each in services for kind in each.appliers()}
        self._gates: Gates = gates or {}
        self._claim = Claim(0, 0)
        self._committed = 0
        self._open = Batch(1)
        self._closed: list[Batch] = []
        self._commit: asyncio.Task[None] | None = None
        self._tail = Tail()
        self._polls = Polls(wheel)
        self._hungry: deque[object] = deque()
        self._feeding = False
        self._parked: dict[object, list[tuple[Action, Reply, int | None]]] = {}
        self._reads: set[asyncio.Task[None]] = set()
        self._errands: set[asyncio.Task[None]] = set()
        self._slowed: deque[tuple[Action, Reply]] = deque()
        self._unavailable: ServiceUnavailable | None = ServiceUnavailable("The daemon is starting.")
        self._idle_lsn = -1
        self._idle_armed = False
        self._tidied = False
        self._alarm: Alarm | None = None
        self._room = Room(
            self._settings.low_space_bytes,
            self._settings.enough_space_bytes,
            self._settings.max_store_bytes,
        )
        self._unseen = 0
        self._looking = False

    # Calls

    def submit(self, action: Action, reply: Reply = NOBODY) -> None:
        """Run one action. The answer, or a RopewayError, goes to `reply`, once, possibly before this
        returns."""
        if self._unavailable is not None:
            reply.deliver(reply.prepare(self._unavailable))
            return
        # Whether this principal may, and whether it may now, is asked here, before the service is.
        try:
            gate = self._gates.get(type(action))
            if gate is not None and (refusal := gate(action, self.clock.now())) is not None:
                self._answer(reply, refusal)
            elif action.grows and self._room.refusal is not None:
                self._answer(reply, self._room.refusal)
            elif action.grows and (self._slowed or self._tail.size >= self._settings.tail_bytes):
                self._slow(action, reply)
            else:
                self._run(action, reply)
        except Exception as error:
            self._fail(error)
            raise

    def feed(self, key: object) -> None:
        """Something has happened outside the journal that calls wait for by this key."""
        if self._unavailable is not None or not self._polls:
            return
        try:
            self._hungry.append(key)
            self._feed_all()
        except Exception as error:
            self._fail(error)
            raise

    def abandon(self, reply: Reply) -> None:
        """Whoever waited with this reply is gone. What is only good for an answer (Action.fleeting) is not
        done any more; all else is, and nobody is told."""
        self._polls.forget(reply)
        for line in self._parked.values():
            line[:] = [
                (action, NOBODY if theirs is reply else theirs, until)
                for action, theirs, until in line
                if theirs is not reply or not action.fleeting
            ]

    def hurry(self, reply: Reply) -> None:
        """Whoever waits with this reply has enough to take: its long poll ends now with what it has, and what
        else is only good for an answer is put off."""
        for poll in self._polls.expired([reply]):
            self._answer(poll.reply, poll.answer)
        for line in self._parked.values():
            for call in [call for call in line if call[1] is reply and call[0].fleeting]:
                line.remove(call)
                self._answer(reply, ServiceUnavailable("Too many answers on this connection are not taken."))

    def _run(self, action: Action, reply: Reply, until: int | None = None) -> None:
        """`until`: it has waited already, and to this time at most."""
        decide = self._deciders.get(type(action))
        if decide is None:
            self._answer(reply, InvalidAction(f"There is no action {type(action).__name__} here."))
            return
        outcome = decide(action, self.clock.now())
        kind = type(outcome)
        if kind is Decision:
            self._apply_all(outcome.events)  # type: ignore[union-attr]  # kind says so, without an isinstance
            self._answer(reply, outcome.answer)  # type: ignore[union-attr]  # likewise
            if outcome.ahead is not None:  # type: ignore[union-attr]  # likewise
                self._fetch(outcome.ahead)  # type: ignore[union-attr]  # likewise
        elif isinstance(outcome, Wait):
            self._wait(action, reply, outcome, until)
        elif isinstance(outcome, Needs):
            self._park(action, reply, outcome, until)
        elif isinstance(outcome, Errand):
            self._send_out(outcome, reply)
        else:
            assert isinstance(outcome, RopewayError)
            self._answer(reply, outcome)

    def _apply_all(self, events: tuple[Event, ...]) -> None:
        """What one action does is in one batch: a crash leaves all of it or nothing."""
        if len(self._open.events) >= self._settings.max_batch_bytes:
            self._close()
        for event in events:
            self._apply(event)
        self._feed_all()

    def _apply(self, event: Event) -> None:
        batch = self._open
        service, apply = self._appliers[type(event)]
        touch = apply(event, batch.lsn)
        batch.add(event)
        if touch is not None:
            batch.touches.append((service, touch))
        if self._commit is None:
            self._commit = asyncio.get_running_loop().create_task(self._commit_all())
        if self._polls:
            self._hungry.extend(self._feeders[type(event)](event))

    def _answer(self, reply: Reply, answer: Any) -> None:
        prepared = reply.prepare(answer)
        if self._open.count:
            self._open.answers.append((reply, prepared))
        elif self._closed:
            self._closed[-1].answers.append((reply, prepared))
        else:
            reply.deliver(prepared)

    def _slow(self, action: Action, reply: Reply) -> None:
        """The tail is at its limit: what would make it grow waits until it is not, in order."""
        self._slowed.append((action, reply))
        if self._commit is None:
            self._commit = asyncio.get_running_loop().create_task(self._tidy())

    def _hasten(self) -> None:
        while self._slowed and self._tail.size < self._settings.tail_bytes:
            self._run(*self._slowed.popleft())

    @property
    def committing(self) -> bool:
        """Whether something happened that is not on disk yet."""
        return bool(self._open.count or self._closed)

    @property
    def gated(self) -> bool:
        """Whether some actions may not happen as often as one likes."""
        return bool(self._gates)

    @property
    def polls(self) -> int:
        """Long polls that wait."""
        return len(self._polls)

    @property
    def tail_bytes(self) -> int:
        """What a restart would have to replay."""
        return self._tail.size

    # Long polls

    def _wait(self, action: Action, reply: Reply, wait: Wait, until: int | None) -> None:
        self._apply_all(wait.events)
        if self._unavailable is not None:  # it was read for while the daemon began to stop
            self._answer(reply, wait.answer)
            return
        if len(self._polls) >= self._settings.max_polls:
            limit = self._settings.max_polls
            self._answer(reply, OverLimit(f"There are {limit} long polls waiting, and that is the limit."))
            return
        poll = Poll(action, reply, wait.key, wait.answer, others=wait.others)
        self._polls.add(poll, wait.until if until is None else until)
        self.alarm()

    def _feed_all(self) -> None:
        """Serve those who wait for what has happened, when all events of a decision have. What serving one
        brings about can serve others, after it."""
        if self._feeding:
            return
        self._feeding = True
        while self._hungry:
            self._feed(self._hungry.popleft())
        self._feeding = False

    def _feed(self, key: object) -> None:
        """Serve those who wait for this key, first come first served, in the batch that feeds them."""
        while (poll := self._polls.first(key)) is not None:
            outcome = self._deciders[type(poll.action)](poll.action, self.clock.now())
            if isinstance(outcome, Wait):
                self._apply_all(outcome.events)
                return
            self._polls.remove(poll)
            if isinstance(outcome, Needs):
                until = None if poll.timer is None else poll.timer.deadline
                self._park(poll.action, poll.reply, outcome, until)
            elif isinstance(outcome, Decision):
                self._apply_all(outcome.events)
                self._answer(poll.reply, outcome.answer)
            else:
                self._answer(poll.reply, outcome)

    # What is on disk

    def _park(self, action: Action, reply: Reply, needs: Needs, until: int | None) -> None:
        if needs.events:
            self._apply_all(needs.events)
        self._fetch(needs).append((action, reply, until))

    def _fetch(self, needs: Needs) -> list[tuple[Action, Reply, int | None]]:
        """Begin to read, unless that is on its way; gives the line of those who wait for it."""
        line = self._parked.get(needs.key)
        if line is not None:
            return line
        line = self._parked[needs.key] = []
        if needs.begin is not None:
            needs.begin()
        self._spawn(self._read(needs))
        return line

    def _spawn(self, reading: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(reading)
        self._reads.add(task)
        task.add_done_callback(self._reads.discard)

    async def _read(self, needs: Needs) -> None:
        try:
            if needs.keys:
                records = await self._store.read(self._claim, needs.space, needs.keys)
            elif needs.ranges:
                records = await self._store.read_ranges(self._claim, needs.ranges)
            elif not needs.limit:
                records = []
                await asyncio.sleep(0)
            else:
                records = await self._store.page(
                    self._claim, needs.space, needs.first, needs.last, needs.limit, needs.max_bytes
                )
            needs.fill(records)
            for call in self._parked.pop(needs.key, ()):
                self._run(*call)
        except Exception as error:  # noqa: BLE001  # Rule 3: whatever it is, it ends the kernel
            self._fail(error)

    # Errands

    def _send_out(self, errand: Errand, reply: Reply) -> None:
        task = asyncio.get_running_loop().create_task(self._run_errand(errand, reply))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _run_errand(self, errand: Errand, reply: Reply) -> None:
        try:
            answer = await errand.run(self._store, self._claim)
        except asyncio.CancelledError:
            answer = self._unavailable
        except Exception as error:  # noqa: BLE001  # Rule 3: whatever it is, it ends the kernel
            self._fail(error)
            answer = self._unavailable
        self._answer(reply, answer)

    # Commits

    def _close(self) -> None:
        """Close the open batch. The slice that goes with it says the state as of this very step."""
        batch = self._open
        # A slice costs a transaction of its own kind, so it waits until it is worth one.
        half = self._settings.tail_bytes // 2
        if self._tail.weight > half + half // 16:
            batch.slice = self._slice(batch.lsn, half)
        self._closed.append(batch)
        self._open = Batch(batch.lsn + 1)

    def _slice(self, lsn: int, down_to: int) -> Slice | None:
        tail = self._tail
        if tail.weight <= down_to:
            return None
        into = SliceBuilder(lsn)
        grow = 1 + min(4, 4 * tail.weight // self._settings.tail_bytes)
        trim_to = tail.spill(into, self._settings.slice_bytes * grow, down_to)
        if trim_to:
            into.put(KERNEL, _TIME, msgspec.msgpack.encode(self.clock.now()))
        return into.cut(trim_to) if into or trim_to else None

    async def _commit_all(self) -> None:
        try:
            while self._open.count or self._closed:
                if not self._closed:
                    self._close()
                batch = self._closed[0]
                row = batch.encode(self.clock.now())
                began = monotonic()
                await self._store.append(self._claim, batch.lsn - 1, row, batch.slice)
                self.meter.commit(began, batch.count, len(row))
                del self._closed[0]
                self._committed = batch.lsn
                self._tail.append(batch.lsn, len(row), batch.touches)
                for reply, prepared in batch.answers:
                    reply.deliver(prepared)
                self._let_go(batch.slice)
                self._hasten()
                self._unseen += len(row)
                if self._unseen >= _LOOK_BYTES:
                    await self._look()
                self.alarm()  # under a steady load this loop goes on and on
            self._commit = asyncio.get_running_loop().create_task(self._tidy()) if self._slowed else None
            self._settle()
        except Exception as error:  # noqa: BLE001  # Rule 3: whatever it is, it ends the kernel
            self._fail(error)

    async def _look(self) -> None:
        """How much room the disk has. Where it is short, look again by and by, though nothing is written."""
        self._unseen = 0
        figures = await self._store.figures()
        self._room.see(figures.free_bytes, figures.used_bytes)
        if self._room.refusal is not None and not self._looking:
            self._looking = True
            self.wheel.add(self.clock.now() + _LOOK_AGAIN, _LOOK, None)
            self.alarm()

    async def _look_again(self) -> None:
        try:
            self._looking = False
            await self._look()
        except Exception as error:  # noqa: BLE001  # Rule 3: whatever it is, it ends the kernel
            self._fail(error)

    async def _scrub(self) -> None:
        """Read a part of what is on disk again, and set the next part's time by how large all of it is."""
        try:
            read = await self._store.scrub(self._claim, _SCRUB_BYTES)
            everything = max(_SCRUB_BYTES, (await self._store.figures()).used_bytes)
            self._scrub_later(min(1.0, (read or _SCRUB_BYTES) / everything))
        except Exception as error:  # noqa: BLE001  # Rule 3: whatever it is, it ends the kernel
            self._fail(error)

    def _scrub_later(self, part: float) -> None:
        if self._settings.scrub_round and self._unavailable is None:
            pause = max(1, round(self._settings.scrub_round * part))
            self.wheel.add(self.clock.now() + pause, _SCRUB, None)
            self.alarm()

    def _let_go(self, slice: Slice | None) -> None:
        if slice is not None:
            for service in self._services:
                service.spilled(slice)

    # Time

    def ring_by_itself(self) -> None:
        """From now on the event loop's own timer calls `tick`. A simulation calls it instead."""
        self._alarm = Alarm(self.clock, self.tick)
        self.alarm()

    def alarm(self) -> None:
        """Something was added to the wheel from outside a call: see to it that it is looked at in time."""
        if self._alarm is not None:
            self._alarm.set(self.wheel.next())

    def next_deadline(self) -> int | None:
        """When `tick` has something to do next, in carried milliseconds."""
        return self.wheel.next()

    def tick(self) -> None:
        """Fire what is due."""
        if self._unavailable is not None:
            return
        try:
            self._fire(self.clock.now())
            self._settle()
        except Exception as error:
            self._fail(error)
            raise

    def _fire(self, now: int) -> None:
        by_owner: dict[object, list[Any]] = {}
        for timer in self.wheel.advance(now):
            by_owner.setdefault(timer.owner, []).append(timer.payload)
        for owner, payloads in by_owner.items():
            if owner is self._polls:
                for poll in self._polls.expired(payloads):
                    self.meter.vain_polls[poll.key] += 1
                    self._answer(poll.reply, poll.answer)
            elif owner is _IDLE:
                self._idle()
            elif owner is _LOOK:
                self._spawn(self._look_again())
            elif owner is _SCRUB:
                self._spawn(self._scrub())
            else:
                # A service's timer is an action too; anything else (a connection's) acts by itself.
                assert isinstance(owner, Waiting)
                for action in owner.due(payloads, now) or ():
                    self._run(action, NOBODY)

    def _settle(self) -> None:
        """Between bursts: see to it that what is left of the tail is spilled when nobody needs the disk."""
        if not self._idle_armed and (len(self._tail) or not self._tidied):
            self._idle_armed = True
            self._idle_lsn = self._committed
            self.wheel.add(self.clock.now() + self._settings.idle_spill_after, _IDLE, None)
        self.alarm()

    def _idle(self) -> None:
        self._idle_armed = False
        if self._commit is None and self._committed == self._idle_lsn:
            self._commit = asyncio.get_running_loop().create_task(self._tidy())
        else:
            self._tidied = False

    async def _tidy(self) -> None:
        """Spill and trim in small steps while nothing else happens; the first call that comes goes
        between."""
        try:
            # A slice says the state as of its lsn: there is one only while the disk has every event.
            while self._unavailable is None and not self._open.count and not self._closed:
                slice = self._slice(self._committed, 0)
                if slice is not None:
                    # A batch without events holds the place, so that answers keep their order behind it.
                    self._closed.append(Batch(self._committed))
                    await self._store.append(self._claim, self._committed, b"", slice)
                    batch = self._closed.pop(0)
                    for reply, prepared in batch.answers:
                        reply.deliver(prepared)
                    self._let_go(slice)
                    self._hasten()
                elif not await self._store.tidy():
                    self._tidied = True
                    break
        except Exception as error:  # noqa: BLE001  # Rule 3: whatever it is, it ends the kernel
            self._fail(error)
            return
        await self._commit_all()

    # Start and stop

    async def start(self) -> Report:
        """Claim the store and recover: small records, the records that the tail names, the tail.

        Raises StoreError. After it, `submit` works.
        """
        self.failed = asyncio.get_running_loop().create_future()
        self._claim = await self._store.claim(self._owner)
        recovered = await self._store.recover(self._claim)
        decoder = self._row_decoder()
        batches = [
            (entry.lsn, len(entry.batch), *_decode(decoder, entry)[1:]) for entry in _let_go(recovered.tail)
        ]
        last = max([0, *(at for _, _, at, _ in batches), *self._own_time(recovered.records)])
        self.clock.carry_from(last)
        self.wheel.advance(self.clock.now())
        counts = len(recovered.records), len(batches), sum(len(events) for _, _, _, events in batches)
        await self._load(recovered.records, [event for _, _, _, events in batches for event in events])
        for lsn, size, _, events in _let_go(batches):
            touches = []
            for event in events:
                service, apply = self._appliers[type(event)]
                touches.append((service, apply(event, lsn)))
            self._tail.append(lsn, size, [t for t in touches if t[1] is not None])
        self._committed = self._claim.last_lsn
        self._open = Batch(self._committed + 1)
        for each in self._services:
            each.recovered(self.clock.now())
        await self._look()
        self._unavailable = None
        self._scrub_later(0.01)
        for each in self._services:
            for action in each.opening():
                self.submit(action)
        self._settle()
        return Report(
            records=counts[0],
            tail_batches=counts[1],
            tail_events=counts[2],
            tail_bytes=self._tail.size,
            last_lsn=self._committed,
        )

    async def _load(self, records: list[Record], events: list[Event]) -> None:
        shares = [[r for r in records if r.space in service.spaces] for service in self._services]
        records.clear()
        for service, share in zip(self._services, shares, strict=True):
            service.load(_let_go(share))
            by_space: dict[Space, list[Any]] = {}
            for space, key in service.named([e for e in events if self._appliers[type(e)][0] is service]):
                by_space.setdefault(space, []).append(key)
            for space, keys in by_space.items():
                for at in range(0, len(keys), 256):
                    service.load(await self._store.read(self._claim, space, keys[at : at + 256]))

    def _own_time(self, records: list[Record]) -> list[int]:
        return [
            msgspec.msgpack.decode(r.value, type=int) for r in records if r.space == KERNEL and r.key == _TIME
        ]

    def _row_decoder(self) -> msgspec.msgpack.Decoder[tuple[int, int, list[Any]]]:
        kinds = tuple(self._appliers)
        events: Any = list[Union[kinds]]  # type: ignore[valid-type]  # noqa: UP007  # known at run time
        return msgspec.msgpack.Decoder(tuple[int, int, events])

    async def stop(self) -> None:
        """Take no more calls, answer the long polls with what they have, and finish what is on its way."""
        if self._unavailable is None:
            self._unavailable = ServiceUnavailable("The daemon is stopping.")
            for poll in self._polls.clear():
                self._answer(poll.reply, poll.answer)
            for _, reply in self._slowed:
                self._answer(reply, self._unavailable)
            self._slowed.clear()
            if self._alarm is not None:
                self._alarm.stop()
        for errand in self._errands:
            errand.cancel()
        # A read can lead to a commit, and to another read.
        while under_way := [each for each in self._tasks() if not each.done()]:
            await asyncio.wait(under_way)

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [each for each in (self._commit, *self._reads, *self._errands) if each is not None]

    def _fail(self, error: BaseException) -> None:
        """Rule 3."""
        gone = self._unavailable = ServiceUnavailable("The daemon stops: its store failed.")
        waiting = [reply for batch in [*self._closed, self._open] for reply, _ in batch.answers]
        waiting += [poll.reply for poll in self._polls.clear()]
        waiting += [reply for line in self._parked.values() for _, reply, _ in line]
        waiting += [reply for _, reply in self._slowed]
        self._closed.clear()
        self._parked.clear()
        self._slowed.clear()
        self._open = Batch(self._open.lsn)
        self._commit = None
        for errand in self._errands:
            errand.cancel()
        for reply in waiting:
            reply.deliver(reply.prepare(gone))
        if self.failed is not None and not self.failed.done():
            self.failed.set_result(error)


def _let_go(items: list[_T]) -> Iterator[_T]:
    """Each in turn, and kept no longer: what is made of the next one can lie where it was."""
    items.reverse()
    while items:
        yield items.pop()


def _decode(
    decoder: msgspec.msgpack.Decoder[tuple[int, int, list[Any]]], entry: Entry
) -> tuple[int, int, list[Any]]:
    """(version, time, events). The row's checksum held, so what cannot be read is another version's."""
    try:
        row = decoder.decode(entry.batch)
    except msgspec.DecodeError as error:
        raise Newer(
            f"journal row {entry.lsn} holds an event that this version does not know: {error}"
        ) from None
    if row[0] != VERSION:
        raise Newer(f"journal row {entry.lsn} has form {row[0]}, and this version reads {VERSION}")
    return row
