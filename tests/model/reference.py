"""Queues as they are meant to be, for clarity alone: every message in a list, every question answered by
looking at all of them.

The model is told what a daemon answered, and says whether that can be; where more than one answer is right (a
receive may begin with any open group of a FIFO queue), it follows the daemon. Times are milliseconds.

What AWS leaves to chance and Ropeway promises is checked as Ropeway promises it: a standard queue gives its
visible messages in the order of sending, and a receive gives as many as there are, up to what was asked for.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from tests.model.rates import Buckets

VISIBLE, IN_FLIGHT, DELAYED = "visible", "in_flight", "delayed"
MINUTE, TICK = 60_000, 1_000
"""For so long what is in flight is counted; and how late a message may be seen to wake."""
WINDOW = 300_000
"""For so long a deduplication id is remembered."""
ARN = "arn:aws:sqs:us-east-1:000000000000:"


class Wrong(AssertionError):
    """A daemon's answer that cannot be."""


def must(true: object, sentence: str) -> None:
    if not true:
        raise Wrong(sentence)


@dataclass(eq=False)
class Message:
    """One message in one queue. When it moves it is another one."""

    home: Queue | None
    id: bytes
    body: str
    sent_at: int
    group: str | None
    kind: str
    visible_at: int
    receive_count: int = 0
    first_received_at: int = 0
    source: str | None = None
    held_by: bytes | None = None
    """The handle of the receive that holds it, while nobody has changed its visibility since."""

    def awake(self, now: int) -> bool:
        """Whether it can be received, as far as its own time goes."""
        return self.kind == VISIBLE or now >= self.visible_at

    def hide(self, now: int, timeout: int) -> None:
        for flight in self.home.flights if self.home is not None else ():
            if flight.message is self:
                flight.until = min(flight.until, now)
        self.kind = IN_FLIGHT if timeout else VISIBLE
        self.visible_at = now + timeout
        if timeout and self.group and self.home is not None:
            self.home.flights.append(Flight(self, now, self.visible_at))


@dataclass(eq=False)
class Flight:
    """A message was held from then on, until then at most."""

    message: Message
    since: int
    until: int


@dataclass(eq=False)
class Handle:
    """A receipt handle: of which receive of which message, out of which queue."""

    queue: Queue
    message: Message
    count: int


@dataclass(eq=False)
class Accepted:
    """A message that was accepted: what it is recognised by, and in which group if that counts."""

    key: str
    group: str | None
    id: bytes
    at: int


@dataclass(eq=False)
class Attempt:
    """A receive that can be asked for again: what it gave, as (message, handle)."""

    at: int
    given: list[tuple[Message, bytes]]


@dataclass(eq=False)
class Queue:
    """One incarnation."""

    name: str
    attributes: dict[str, Any]
    messages: list[Message] = field(default_factory=list)
    task: str | None = None
    """The last move task that empties it: where to; "" is where each message came from."""
    moved: int = 0
    """By that task."""
    remembered: list[Accepted] = field(default_factory=list)
    """What was accepted with something to recognise it by."""
    attempts: dict[str, Attempt] = field(default_factory=dict)
    """Of a FIFO queue: the last receive of each attempt id."""
    buckets: Buckets = field(default_factory=Buckets)
    flights: list[Flight] = field(default_factory=list)
    """Of messages with a group."""

    @property
    def fifo(self) -> bool:
        return self.name.endswith(".fifo")

    def past(self, message: Message, now: int) -> bool:
        """Whether its retention is over. One that is invisible is there until it wakes."""
        return message.awake(now) and now >= message.sent_at + self.attributes["retention_period"]

    def lanes(self, now: int) -> list[list[Message]]:
        """What can be received, in order: all, or of each group what nothing invisible stands before."""
        here = [m for m in self.messages if not self.past(m, now)]
        if not self.fifo:
            return [[m for m in here if m.awake(now)]]
        lanes = []
        for group in dict.fromkeys(m.group for m in here):
            lane: list[Message] = []
            for message in (m for m in here if m.group == group):
                if not message.awake(now):
                    break
                lane.append(message)
            lanes.append(lane)
        return lanes

    def leave(self, message: Message) -> None:
        self.messages.remove(message)
        message.home = None


class Reference:
    """All queues. See the module."""

    def __init__(self, *, whole: bool) -> None:
        """`whole`: the daemon has all messages in memory, so that no answer is cut short by its disk."""
        self.whole = whole
        self.queues: dict[str, Queue] = {}
        self.handles: dict[bytes, Handle] = {}
        self.ids: set[bytes] = set()
        self.died = 0
        self.moves = 0
        """How often messages have moved."""
        """Dead letters since the last receive."""

    # Queues

    def created(self, name: str, attributes: dict[str, Any]) -> None:
        if name not in self.queues:
            self.queues[name] = Queue(name, attributes)

    def deleted_queue(self, name: str) -> None:
        self.purged(name)
        del self.queues[name]

    def purged(self, name: str) -> None:
        self.queues[name].remembered.clear()
        for message in list(self.queues[name].messages):
            self.queues[name].leave(message)

    def target(self, queue: Queue) -> Queue | None:
        """Its dead-letter queue, if it has one and that is there."""
        policy = queue.attributes.get("redrive_policy")
        return None if policy is None else self.queues.get(policy["dead_letter_target_arn"].removeprefix(ARN))

    def dies(self, queue: Queue, message: Message) -> bool:
        """Whether a receive makes a dead letter of it."""
        if self.target(queue) is None:
            return False
        return bool(message.receive_count >= queue.attributes["redrive_policy"]["max_receive_count"])

    def counted(self, name: str, told: dict[str, Any], now: int) -> None:
        """What is past its retention is counted until somebody looks, so it may be there or not."""
        queue = self.queues[name]
        least, ghosts = dict.fromkeys((VISIBLE, IN_FLIGHT, DELAYED), 0), 0
        for message in queue.messages:
            if queue.past(message, now):
                ghosts += 1
            else:
                least[VISIBLE if message.awake(now) else message.kind] += 1
        for kind, number in least.items():
            most = number + (ghosts if kind == VISIBLE else 0)
            must(number <= told[kind] <= most, f"{name}: {kind} is {number} to {most}, not {told[kind]}")

    # Messages

    def sent(self, name: str, entries: list[Any], ids: list[bytes], now: int) -> None:
        queue = self.queues[name]
        for entry, id_ in zip(entries, ids, strict=True):
            if self._again(queue, entry, id_, now):
                continue
            must(id_ not in self.ids, "an id is used once")
            self.ids.add(id_)
            own = None if queue.fifo else entry.delay
            delay = queue.attributes["delay"] if own is None else own
            kind = DELAYED if delay else VISIBLE
            queue.messages.append(Message(queue, id_, entry.body, now, entry.group, kind, now + delay))

    def _again(self, queue: Queue, entry: Any, id_: bytes, now: int) -> bool:
        """Whether it was accepted less than five minutes ago: then it has the id of that time. What was
        accepted keeps the scope that it was accepted in."""
        key = (entry.deduplication_id or entry.body) if queue.fifo else entry.token
        if key is None:
            return False
        known = [a for a in queue.remembered if a.key == key and a.group in {None, entry.group}]
        firm = {a.id for a in known if now < a.at + WINDOW}
        if firm:
            must(id_ in firm, f"{key!r} was sent before, as one of {firm}, and now is {id_!r}")
        for accepted in known:
            if accepted.id == id_:
                must(now <= accepted.at + WINDOW, f"{key!r} was sent before, but long ago")
                return True
        by_group = queue.fifo and queue.attributes["deduplication_scope"] == "messageGroup"
        queue.remembered.append(Accepted(key, entry.group if by_group else None, id_, now))
        return False

    # Attributes

    def changed(self, name: str, given: dict[str, Any], now: int) -> None:
        """A new delay counts for what is delayed already on a FIFO queue alone. What else is new counts at
        once for all."""
        queue = self.queues[name]
        if queue.fifo and given.get("delay", queue.attributes["delay"]) != queue.attributes["delay"]:
            for message in queue.messages:
                if message.kind == DELAYED and not message.awake(now):
                    message.visible_at = message.sent_at + given["delay"]
        queue.attributes |= given

    def past(self, name: str, now: int) -> list[Message]:
        """Those whose retention is over."""
        queue = self.queues.get(name)
        return [] if queue is None else [m for m in queue.messages if queue.past(m, now)]

    def expired(self, name: str, past: list[Message], there: set[bytes], now: int) -> None:
        """Retention has changed, and these messages are there; of those that were past it, others can have
        gone before."""
        queue = self.queues[name]
        for message in [m for m in queue.messages if m.id not in there and not queue.past(m, now)]:
            must(message in past, f"{message.body!r} is gone, and was kept for too short a time")
            queue.leave(message)

    # Receives

    def repeats(self, name: str, attempt: str | None, now: int) -> Attempt | None:
        """What this receive was asked for before, if its messages are still as it left them."""
        queue = self.queues[name]
        known = queue.attempts.get(attempt or "")
        if known is None or now >= known.at + WINDOW:
            return None
        for message, handle in known.given:
            untouched = message.home is queue and message.held_by == handle and not message.awake(now)
            if not untouched:
                return None
        return known

    def repeated(self, known: Attempt, timeout: int, answer: list[Any], now: int) -> None:
        """The same messages and handles, hidden anew."""
        told = [(given[0], given[1], given[2], given[4]) for given in answer]
        expected = [(m.id, handle, m.body, m.receive_count) for m, handle in known.given]
        must(told == expected, f"asked again, it gives {told}, not {expected}")
        for message, _ in known.given:
            message.hide(now, timeout)

    def received(
        self, name: str, count: int, timeout: int, answer: list[Any], now: int, attempt: str | None = None
    ) -> None:
        """The moves that it brought about were told before."""
        queue = self.queues[name]
        must(len(answer) <= count, "no more than were asked for")
        lanes = [[m for m in lane if not self.dies(queue, m)] for lane in queue.lanes(now)]
        by_id = {m.id: (lane, m) for lane in lanes for m in lane}
        taken: list[Message] = []
        for given in answer:
            must(given[0] in by_id, f"{given[2]!r} can be received")
            taken.append(by_id[given[0]][1])
        noisy, busy = self._noisy(queue, now), self._busy(queue, now)
        if queue.fifo or not (noisy or busy):
            self._in_order(lanes, taken, cut=len(taken) == count)
        elif noisy:
            self._fair(noisy, busy, lanes, taken)
        many = self.died and not self.whole  # so many dead letters that it had enough to do
        self.died = 0
        if len(taken) < count and (self.whole or not (taken or many)):
            left = [m.body for lane in lanes for m in lane if m not in taken]
            must(not left, f"asked for {count}, given {len(taken)}, and {left} can be received")
            letters = [m.body for lane in queue.lanes(now) for m in lane if self.dies(queue, m)]
            must(not letters, f"{letters} are dead letters, and still there")
        for given, message in zip(answer, taken, strict=True):
            self._hand_out(queue, message, given, timeout, now)
        if queue.fifo and attempt is not None and answer and timeout:
            given_out = [(message, given[1]) for given, message in zip(answer, taken, strict=True)]
            queue.attempts[attempt] = Attempt(now, given_out)

    def _noisy(self, queue: Queue, now: int) -> set[str | None]:
        """The groups with more than a tenth of what is in flight, and at least 30."""
        flying = [m.group for m in queue.messages if m.kind == IN_FLIGHT and not m.awake(now)]
        return {g for g in flying if g and flying.count(g) >= 30 and 10 * flying.count(g) > len(flying)}

    def _busy(self, queue: Queue, now: int) -> set[str | None]:
        """The groups that may have had more than their share of the time, and be noisy for that: a restart
        forgets it. Each had half a minute or more of the last two minutes."""
        queue.flights = [each for each in queue.flights if each.until > now - 2 * MINUTE]
        took: dict[str | None, int] = {}
        for each in queue.flights:
            group, began = each.message.group, max(each.since, now - 2 * MINUTE)
            took[group] = took.get(group, 0) + min(each.until + TICK, now) - began
        return {group for group, total in took.items() if total >= MINUTE // 2}

    def _fair(
        self,
        noisy: set[str | None],
        busy: set[str | None],
        lanes: list[list[Message]],
        taken: list[Message],
    ) -> None:
        """A noisy group gets only what no quiet one wants."""
        quiet = [m.body for lane in lanes for m in lane if m.group not in noisy | busy and m not in taken]
        unfair = self.whole and quiet and any(m.group in noisy for m in taken)
        must(not unfair, f"{noisy} are noisy, and {quiet} wait")

    def _in_order(self, lanes: list[list[Message]], taken: list[Message], *, cut: bool) -> None:
        """Of each lane its first ones, one lane after the other, and each as far as it goes but the last."""
        rest, left = list(taken), list(lanes)
        while rest:
            lane = next((lane for lane in left if rest[0] in lane), None)
            must(lane is not None, f"{rest[0].body!r} is of a group that came before")
            assert lane is not None
            run = list(itertools.takewhile(lane.__contains__, rest))
            must(run == lane[: len(run)], f"in order {[m.body for m in lane]}, not {[m.body for m in run]}")
            rest = rest[len(run) :]
            far = len(run) == len(lane) or not self.whole or (cut and not rest)
            must(far, "a group is given as far as it goes before the next")
            left.remove(lane)

    def _hand_out(self, queue: Queue, message: Message, given: Any, timeout: int, now: int) -> None:
        _, handle, body, sent_at, count, first, attributes, *more = given
        message.receive_count += 1
        message.first_received_at = message.first_received_at or now
        expected = (message.body, message.sent_at, message.receive_count, message.first_received_at, None)
        told = (body, sent_at, count, first, attributes)
        must(told == expected, f"told {told}, not {expected}")
        system = more[0] if more else {}
        must(system.get("source") == message.source, f"it comes from {message.source}, not {system}")
        must(system.get("group") == message.group, f"its group is {message.group}, not {system}")
        must(handle not in self.handles, "each receive has handles of its own")
        self.handles[handle] = Handle(queue, message, message.receive_count)
        message.hide(now, timeout)
        message.held_by = handle

    def settles(self, name: str, handle: bytes, now: int) -> tuple[set[str], Message | None]:
        """What can be said to a delete or a change of visibility by this handle ("done", "gone", "expired",
        "invalid"), and the message that it is about."""
        queue, held = self.queues[name], self.handles[handle]
        if held.queue is not queue:
            return {"invalid"}, None
        message = held.message
        if message.home is not queue:
            return {"gone"}, None
        past = {"gone"} if queue.past(message, now) else set()
        if queue.fifo and (message.awake(now) or message.receive_count != held.count):
            return {"expired"} | past, None
        return {"done"} | past, message

    # Moves

    def moved(self, event: Any, source: str, destination: str, now: int) -> None:
        """A daemon moved messages: dead letters, or those of a move task."""
        self.moves += 1
        here, there = self.queues[source], self.queues[destination]
        ids = [event.ids[at : at + 16] for at in range(0, len(event.ids), 16)]
        lanes = here.lanes(now)
        systems = event.systems or [None] * len(ids)
        for id_, body, system in zip(ids, event.bodies, systems, strict=True):
            group = system.group if system is not None else None
            alike = [m for lane in lanes for m in lane if (m.body, m.group) == (body, group)]
            message = next((m for m in alike if event.task or m.id == id_), None)
            must(message is not None, f"{body!r} is not there to be moved")
            assert message is not None
            lane = next(lane for lane in lanes if message in lane)
            if here.fifo:
                before = lane[: lane.index(message)]
                alive = [m.body for m in before if event.task or not self.dies(here, m)]
                must(not alive or not event.task, f"{alive} stand before {body!r} in its group")
            lane.remove(message)
            here.leave(message)
            if event.task:
                there.messages.append(self._renewed(here, there, message, id_, now))
            else:
                self.died += 1
                must(self.dies(here, message), f"{body!r} is no dead letter")
                must(there is self.target(here), f"the dead-letter queue is not {destination}")
                there.messages.append(
                    Message(
                        there,
                        id_,
                        body,
                        now if here.fifo else message.sent_at,
                        message.group,
                        VISIBLE,
                        now,
                        message.receive_count,
                        message.first_received_at,
                        ARN + source,
                    )
                )

    def _renewed(self, here: Queue, there: Queue, message: Message, id_: bytes, now: int) -> Message:
        """What a move task makes of a message."""
        must(here.task is not None, "there is a task that moves")
        to = here.task or (message.source or "").removeprefix(ARN)
        must(there.name == to, f"it goes to {to}, not {there.name}")
        must(id_ not in self.ids, "an id is used once")
        self.ids.add(id_)
        here.moved += 1
        return Message(there, id_, message.body, now, message.group, VISIBLE, now)
