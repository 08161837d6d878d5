"""The simulation must catch bugs: here are some, planted in the daemon or its disk, and each is found."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from ropewayd.kernel.batch import Reply
from ropewayd.kernel.kernel import Kernel
from ropewayd.kernel.service import Decision, SliceBuilder
from ropewayd.kernel.tail import Tail
from ropewayd.kernel.wheel import Timer, Wheel
from ropewayd.queues import actions as a
from ropewayd.queues.message import WaitingRecord
from ropewayd.queues.records import MESSAGES, WAITING, QueueRecord
from ropewayd.queues.records import QUEUES as SPACE_OF_QUEUES
from ropewayd.queues.service import Queues
from ropewayd.store.memory import Disk
from ropewayd.store.protocol import Claim, Corrupt, KeyRange, Record, Slice
from ropewayd.vocabulary.action import Action
from tests.simulation.life import Life, LifeStore, Watched
from tests.simulation.line import Violation
from tests.simulation.world import World, simulate

SEEDS = 60


class AnswersBeforeTheCommit(World):
    def make_kernel(self, life: Life) -> Kernel:
        class Hasty(Kernel):
            def _answer(self, reply: Reply, answer: Any) -> None:
                reply.deliver(reply.prepare(answer))

        return Hasty(life.store, life.clock, [Watched(life.queues, life)], life.wheel, self.settings)


class AnswersReadsBeforeTheCommit(World):
    """A read shows what a restart can take back."""

    def make_kernel(self, life: Life) -> Kernel:
        class Hasty(Kernel):
            def _answer(self, reply: Reply, answer: Any) -> None:
                if isinstance(answer, dict) and "in_flight" in answer:
                    reply.deliver(reply.prepare(answer))
                else:
                    super()._answer(reply, answer)

        return Hasty(life.store, life.clock, [Watched(life.queues, life)], life.wheel, self.settings)


class LosesADeadlineInARestart(World):
    def make_queues(self, wheel: Wheel) -> Queues:
        queues = super().make_queues(wheel)
        load = queues._spilling.load

        def forgetful(records: Iterable[Record]) -> None:
            load([record for record in records if record.space != WAITING])

        queues._spilling.load = forgetful  # type: ignore[method-assign]
        return queues


class TrimsWhatNoRecordSays(World):
    def make_kernel(self, life: Life) -> Kernel:
        kernel = super().make_kernel(life)

        class Careless(Tail):
            def spill(self, into: SliceBuilder, max_bytes: int, down_to: int) -> int:
                if self._parts and self._parts[0].lsn % 7 == 0:
                    self._parts[0].touches.clear()
                return super().spill(into, max_bytes, down_to)

        kernel._tail = Careless()
        return kernel


class ForgetsAQueueAtTheEndOfASlice(World):
    def make_kernel(self, life: Life) -> Kernel:
        class Forgetful(Kernel):
            def _slice(self, lsn: int, down_to: int) -> Slice | None:
                slice = super()._slice(lsn, down_to)
                return None if slice is not None and not slice.trim_to else slice

        return Forgetful(life.store, life.clock, [Watched(life.queues, life)], life.wheel, self.settings)


class DropsNoRows(World):
    """A deleted message whose row stays comes back."""

    def make_store(self, life: Life) -> LifeStore:
        class Keeping(LifeStore):
            async def append(
                self, claim: Claim, expect: int, batch: bytes, slice: Slice | None = None
            ) -> int:
                if slice is not None:
                    slice = Slice(
                        slice.puts,
                        [d for d in slice.drops if d[0] != MESSAGES],
                        slice.drop_ranges,
                        slice.trim_to,
                    )
                return await super().append(claim, expect, batch, slice)

        return Keeping(life)


class PurgesTooLittle(World):
    """A slice leaves some rows that were purged, and a floor to match."""

    def make_store(self, life: Life) -> LifeStore:
        class Sloppy(LifeStore):
            async def append(
                self, claim: Claim, expect: int, batch: bytes, slice: Slice | None = None
            ) -> int:
                if slice is not None:
                    ranges = [KeyRange(r.space, r.first, max(r.first, r.last - 3)) for r in slice.drop_ranges]
                    slice = Slice([lower(put) for put in slice.puts], slice.drops, ranges, slice.trim_to)
                return await super().append(claim, expect, batch, slice)

        def lower(record: Record) -> Record:
            if record.space != SPACE_OF_QUEUES or record.key[:1] != b"q":  # type: ignore[index]
                return record
            value = msgspec.msgpack.decode(record.value, type=QueueRecord)
            value = msgspec.structs.replace(value, floor=max(0, value.floor - 3))
            return Record(record.space, record.key, record.lsn, msgspec.msgpack.encode(value))

        return Sloppy(life)


class TearsATransaction(World):
    """A crash leaves the slice of a commit without its journal row."""

    def make_store(self, life: Life) -> LifeStore:
        class Torn(LifeStore):
            async def append(
                self, claim: Claim, expect: int, batch: bytes, slice: Slice | None = None
            ) -> int:
                try:
                    return await super().append(claim, expect, batch, slice)
                except asyncio.CancelledError:
                    if slice is not None and batch and expect == self._disk.last:
                        Disk.write(self._disk, expect, b"", slice)
                    raise

        return Torn(life)


class NeverReachesTheDisk(World):
    """A disk that lies: what it last acknowledged is gone after a restart."""

    def make_store(self, life: Life) -> LifeStore:
        class Lying(LifeStore):
            async def claim(self, owner: str) -> Claim:
                disk = life.world.disk
                if disk.last in disk.journal:
                    disk.events -= len(msgspec.msgpack.decode(disk.journal.pop(disk.last))[2])
                    disk.last -= 1
                    disk.history.pop()
                return await super().claim(owner)

        return Lying(life)


class TakesAnOldClaim(World):
    def make_store(self, life: Life) -> LifeStore:
        class Unfenced(LifeStore):
            def _require_newest(self, claim: Claim, expect: int) -> None:
                super()._require_newest(Claim(self._disk.epoch, claim.last_lsn), expect)

        return Unfenced(life)


class WakesTooEarly(World):
    def make_kernel(self, life: Life) -> Kernel:
        class Early(Wheel):
            def add(self, deadline: int, owner: object, payload: object) -> Timer:
                return super().add(deadline - 300 if isinstance(payload, tuple) else deadline, owner, payload)

        life.queues = Queues(Early(life.clock.now()), self.limits, self.entropy)
        registry = life.queues._registry
        life.wheel = registry.wheel
        deciders = dict(life.queues.deciders())
        decide = deciders[a.Wake]
        deciders[a.Wake] = lambda action, now: decide(action, now + 300)
        life.queues.deciders = lambda: deciders  # type: ignore[method-assign]
        return super().make_kernel(life)


class NeverWakes(World):
    def make_kernel(self, life: Life) -> Kernel:
        kernel = super().make_kernel(life)
        life.queues.due = lambda payloads, now: ()  # type: ignore[method-assign]
        return kernel


class DoesNotFeedThoseWhoWait(World):
    def make_queues(self, wheel: Wheel) -> Queues:
        queues = super().make_queues(wheel)
        queues.feeds = lambda event: ()  # type: ignore[method-assign]
        return queues


class FeedsThoseWhoLeft(World):
    def make_kernel(self, life: Life) -> Kernel:
        kernel = super().make_kernel(life)
        kernel._polls.forget = lambda reply: None  # type: ignore[method-assign]
        return kernel


class ForgetsHowOften(World):
    """The count of receives is not restored from the small records."""

    def make_queues(self, wheel: Wheel) -> Queues:
        queues = super().make_queues(wheel)
        load = queues._spilling.load

        def forgetful(records: Iterable[Record]) -> None:
            changed = []
            for record in records:
                value = record.value
                if record.space == WAITING:
                    waiting = msgspec.msgpack.decode(value, type=WaitingRecord)
                    value = msgspec.msgpack.encode(msgspec.structs.replace(waiting, receive_count=0))
                changed.append(Record(record.space, record.key, record.lsn, value))
            load(changed)

        queues._spilling.load = forgetful  # type: ignore[method-assign]
        return queues


class EndsAMessageTwice(World):
    """As it once was: a message that two leases name expires twice, and counts twice."""

    def make_queues(self, wheel: Wheel) -> Queues:
        queues = super().make_queues(wheel)
        ended = queues._ended

        def twice(event: Any, lsn: int) -> Any:
            touch = ended(event, lsn)
            queue = queues._registry.by_number.get(event.number)
            if queue is not None and len(event.sequences) > 3:
                queue.live -= 1
            return touch

        queues._ended = twice  # type: ignore[method-assign]
        return queues


class KeepsTheDeadLetter(World):
    """It is in its dead-letter queue, and still where it was."""

    def make_queues(self, wheel: Wheel) -> Queues:
        queues = super().make_queues(wheel)
        moved = queues._moved

        def kept(event: Any, lsn: int) -> Any:
            return moved(msgspec.structs.replace(event, sequences=event.sequences[:-1]), lsn)

        queues._moved = kept  # type: ignore[method-assign]
        return queues


class LosesTheDeadLetter(World):
    """A restart finds it in neither queue: the tail's event does not count for the dead-letter queue."""

    def make_queues(self, wheel: Wheel) -> Queues:
        queues = super().make_queues(wheel)
        moved = queues._moved

        def forgetful(event: Any, lsn: int) -> Any:
            return moved(msgspec.structs.replace(event, destination=-1) if queues._replaying else event, lsn)

        queues._moved = forgetful  # type: ignore[method-assign]
        return queues


class LosesTags(World):
    """Those that only the tail knows are gone after a restart."""

    def make_queues(self, wheel: Wheel) -> Queues:
        queues = super().make_queues(wheel)
        tagged = queues._tagged

        def forgetful(event: Any, lsn: int) -> Any:
            return tagged(msgspec.structs.replace(event, tags={}) if queues._replaying else event, lsn)

        queues._tagged = forgetful  # type: ignore[method-assign]
        return queues


class Says(World):
    """Another answer than was decided, to one kind of action."""

    kind: type[Action]

    def make_queues(self, wheel: Wheel) -> Queues:
        queues = super().make_queues(wheel)
        deciders = dict(queues.deciders())
        decide = deciders[self.kind]

        def decided(action: Any, now: int) -> Any:
            outcome = decide(action, now)
            if isinstance(outcome, Decision) and outcome.answer["messages"]:
                self.twist(action, outcome.answer)
            return outcome

        deciders[self.kind] = decided
        queues.deciders = lambda: deciders  # type: ignore[method-assign]
        return queues

    def twist(self, action: Any, answer: dict[str, Any]) -> None:
        raise NotImplementedError


class NamesAnotherQueue(Says):
    kind = a.ReceiveFromQueues

    def twist(self, action: Any, answer: dict[str, Any]) -> None:
        answer["queue"] = (answer["queue"] + 1) % len(action.queues)


class PeeksAtOneTooMany(Says):
    kind = a.PeekMessages

    def twist(self, action: Any, answer: dict[str, Any]) -> None:
        answer["messages"].append(answer["messages"][0])


class KeepsNoTime(World):
    """The carried clock starts at the wall's, whatever the journal says."""

    def make_kernel(self, life: Life) -> Kernel:
        life.clock.carry_from = lambda last: None  # type: ignore[method-assign]
        return super().make_kernel(life)


BUGS = [
    AnswersBeforeTheCommit,
    AnswersReadsBeforeTheCommit,
    LosesADeadlineInARestart,
    TrimsWhatNoRecordSays,
    ForgetsAQueueAtTheEndOfASlice,
    DropsNoRows,
    PurgesTooLittle,
    TearsATransaction,
    NeverReachesTheDisk,
    TakesAnOldClaim,
    WakesTooEarly,
    NeverWakes,
    DoesNotFeedThoseWhoWait,
    FeedsThoseWhoLeft,
    ForgetsHowOften,
    EndsAMessageTwice,
    KeepsTheDeadLetter,
    LosesTheDeadLetter,
    LosesTags,
    NamesAnotherQueue,
    PeeksAtOneTooMany,
    KeepsNoTime,
]


SHY = {TearsATransaction, LosesTags}
"""They show in state long before they show to a client."""

TRIALS = [(bug, True) for bug in BUGS] + [(bug, False) for bug in BUGS if bug not in SHY]


@pytest.mark.parametrize(
    ("bug", "inside"),
    TRIALS,
    ids=[f"{bug.__name__}-{'state' if inside else 'answers'}" for bug, inside in TRIALS],
)
def test_a_planted_bug_is_found(bug: type[World], inside: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a look at the state, and by what clients see alone."""
    monkeypatch.setattr(World, "looks_inside", inside)
    for seed in range(SEEDS):
        try:
            simulate(seed, bug)
        except (Violation, Corrupt) as found:
            sys.stdout.write(f"seed {seed}: {found}")  # shown by -rP
            return
    pytest.fail(f"{bug.__name__} is not found in {SEEDS} histories")
