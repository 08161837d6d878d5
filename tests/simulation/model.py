"""The queues as they must be, one call after the other, and of every answer whether it is right.

What it leaves open is the moment within which a timer fires (`SLACK`): a message whose time is up is allowed
to be visible, and must be a little later; one past its retention is never handed out, and must be gone a
little later. What clients ask besides of a queue stands in marks.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from ropewayd.queues import actions as a
from ropewayd.queues.settings import QueueLimits
from ropewayd.vocabulary.errors import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidMessageContents,
    InvalidParameterValue,
    OverLimit,
    QueueDoesNotExist,
    QueueNameExists,
    ReceiptHandleIsInvalid,
    ResourceNotFoundException,
    RopewayError,
    UnsupportedOperation,
)
from tests.simulation import marks
from tests.simulation.line import (
    DELAYED,
    EXPIRY_SLACK,
    FIFO_ONLY,
    IN_FLIGHT,
    SETTABLE,
    SLACK,
    VISIBLE,
    Held,
    Line,
    Moves,
    Op,
    Violation,
    arn,
    named,
    plain,
    require,
)


class Model:
    """The queues, one call after the other. `take` checks an answer and does what it says."""

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self.queues: dict[str, Line] = {}
        self.handles: dict[bytes, tuple[int, Any, int, int]] = {}  # incarnation, body, moves, received at
        self.ids: set[bytes] = set()
        self._table: dict[Any, Callable[[Op], None]] = {
            a.CreateQueue: self._create,
            a.DeleteQueue: self._delete_queue,
            a.ListQueues: self._list,
            a.GetQueueAttributes: self._get,
            a.SetQueueAttributes: self._set,
            a.PurgeQueue: self._purge,
            a.SendMessage: self._send,
            a.ReceiveMessage: self._receive,
            a.DeleteMessage: self._delete,
            a.ChangeMessageVisibility: self._change,
            Moves: self._move,
            a.StartMessageMoveTask: self._start_move,
            a.CancelMessageMoveTask: self._of_moves,
            a.ListMessageMoveTasks: self._of_moves,
            a.ReceiveFromQueues: self._receive_from,
            **dict.fromkeys(marks.KINDS, self._marks),
        }

    def copy(self) -> Model:
        twin = Model(self._limits)
        twin.queues = {name: queue.copy() for name, queue in self.queues.items()}
        twin.handles, twin.ids = dict(self.handles), set(self.ids)
        return twin

    def take(self, op: Op) -> None:
        self._table[type(op.action)](op)

    def _find(self, op: Op) -> Line | None:
        """The queue, without what retention must have taken by now. None: it is not, as told."""
        queue = self.queues.get(op.action.queue)
        if queue is None:
            require(isinstance(op.answer, QueueDoesNotExist), op, "there is no such queue")
            return None
        require(not isinstance(op.answer, QueueDoesNotExist), op, "the queue exists")
        assert op.decided_at is not None
        if op.decided_at >= queue.look_at and not queue.mixed:
            self._let_expire(queue, op)
        return queue

    def _let_expire(self, queue: Line, op: Op) -> None:
        now = op.decided_at
        assert now is not None
        retention = queue.attributes["retention_period"]
        at_least = max(op.life_began, queue.retention_set_at)
        oldest = now
        for body, held in list(queue.messages.items()):
            if now >= max(held.sent_at + retention, held.visible_at, at_least) + EXPIRY_SLACK:
                del queue.messages[body]
            elif held.sent_at < oldest:
                oldest = held.sent_at
        queue.look_at = oldest + retention + EXPIRY_SLACK

    def _expires_at(self, queue: Line, held: Held) -> int:
        return int(held.sent_at + queue.attributes["retention_period"])

    def _may_have_expired(self, queue: Line, held: Held, now: int) -> bool:
        return held.doubtful or now >= max(self._expires_at(queue, held), held.visible_at)

    def _surely_visible(self, queue: Line, held: Held, op: Op) -> bool:
        now = op.decided_at if op.decided_at is not None else op.asked_at
        assert now is not None
        return now >= max(held.visible_at, op.life_began) + SLACK and not self._may_have_expired(
            queue, held, now
        )

    def check_nothing_to_give(self, op: Op) -> None:
        """A receive waits, or gives nothing."""
        queue = self.queues.get(op.action.queue)
        require(queue is not None, op, "a receive waits at a queue that does not exist")
        assert queue is not None
        limit = self._limits.max_in_flight
        if len(queue.messages) >= limit and self._in_flight(queue, op)[1] >= limit:
            return  # it waits for room in flight
        for held in queue.messages.values():
            visible = self._surely_visible(queue, held, op)
            require(not visible, op, f"a receive finds nothing, but {held} is visible")

    def _dies(self, queue: Line, held: Held) -> bool:
        """Whether a receive makes a dead letter of it."""
        policy = queue.attributes["redrive_policy"]
        return (
            policy is not None
            and named(policy["dead_letter_target_arn"]) in self.queues
            and held.receive_count >= policy["max_receive_count"]
        )

    def _move(self, op: Op) -> None:
        now, moves = op.decided_at, op.action
        assert now is not None
        source, destination = self.queues.get(moves.source), self.queues.get(moves.destination)
        require(source is not None and destination is not None, op, "messages move from a queue to a queue")
        assert source is not None
        assert destination is not None
        for id_, body in moves.messages:
            held = source.messages.pop(body, None)
            require(held is not None, op, f"{body!r} is not there to be moved")
            assert held is not None
            require(moves.task or held.id == id_, op, "a dead letter keeps its id")
            require(moves.task or self._dies(source, held), op, f"{held} is no dead letter")
            require(now >= held.visible_at, op, f"{held} is {held.kind} until {held.visible_at}")
            require(now < self._expires_at(source, held), op, f"{held} is past its retention")
            held.kind, held.visible_at, held.doubtful = VISIBLE, now, False
            held.moves += 1
            if moves.task:
                self._renew(op, source, held, id_)
            else:
                held.source = arn(moves.source)
            require(body not in destination.messages, op, "a message is in one queue")
            destination.messages[body] = held
        destination.mixed = True

    def _renew(self, op: Op, source: Line, held: Held, id_: bytes) -> None:
        """A move task makes a new message of it."""
        require(source.task is not None, op, "there is a task that moves")
        assert source.task is not None
        [to] = source.task
        to = named(held.source or "") if to is None else to
        require(op.action.destination == to, op, f"it goes to {to}")
        require(id_ not in self.ids, op, "a message id is used once")
        self.ids.add(id_)
        assert op.decided_at is not None
        held.id, held.sent_at, held.source = id_, op.decided_at, None
        held.receive_count = held.first_received_at = 0

    def _start_move(self, op: Op) -> None:
        queue, action = self.queues.get(op.action.source), op.action
        targets = [line.attributes["redrive_policy"] for line in self.queues.values()]
        named_here = any(each and named(each["dead_letter_target_arn"]) == action.source for each in targets)
        if queue is None or (named_here and action.destination not in {None, *self.queues}):
            require(isinstance(op.answer, ResourceNotFoundException), op, "a queue is missing")
        elif not named_here or action.destination == action.source:
            require(isinstance(op.answer, InvalidParameterValue), op, "nobody's dead letters come here")
        elif not isinstance(op.answer, UnsupportedOperation) or queue.task is None:
            require(isinstance(op.answer, dict), op, "the task can be started")
            queue.task = (action.destination,)

    def _of_moves(self, op: Op) -> None:
        """Any answer will do: what matters is where the messages are."""

    # Queues

    def _bad_attributes(self, given: dict[str, Any]) -> type[RopewayError] | None:
        for name in given:
            if name not in SETTABLE:
                return InvalidAttributeName
        try:
            msgspec.convert(given, a.QueueAttributes)
        except msgspec.ValidationError:
            return InvalidAttributeValue
        return None

    def _bad_redrive(self, name: str, given: dict[str, Any]) -> bool:
        """Whether the dead-letter queue is not there, not allowed, or in a circle."""
        if not given.get("redrive_policy"):
            return False
        seen = [name]
        policy: Any = given["redrive_policy"]
        while policy:
            seen.append(named(policy["dead_letter_target_arn"]))
            target = self.queues.get(seen[-1])
            policy = target.attributes["redrive_policy"] if target is not None and seen[-1] != name else None
        first = self.queues.get(seen[1])
        allow = (first.attributes["redrive_allow_policy"] if first is not None else None) or {}
        allowed = allow.get("source_queue_arns") or ()
        denied = allow.get("redrive_permission", "allowAll") != "allowAll" and arn(name) not in allowed
        return first is None or name in seen[1:] or denied

    def _create(self, op: Op) -> None:
        name, given = op.action.queue, op.action.attributes
        bad = self._bad_attributes(given)
        if bad is not None:
            require(isinstance(op.answer, bad), op, f"these attributes are {bad.__name__}")
            return
        queue = self.queues.get(name)
        if queue is not None:
            differs = any(plain(queue.attributes[k]) != plain(v) for k, v in given.items())
            if differs:
                require(isinstance(op.answer, QueueNameExists), op, "the queue exists and differs")
                return
        elif self._bad_redrive(name, given):
            require(isinstance(op.answer, InvalidParameterValue), op, "this is no redrive policy")
            return
        require(isinstance(op.answer, dict), op, "this queue can be created")
        require(op.answer["created"] == (queue is None), op, "created or found, that is the question")
        if queue is None:
            assert op.decided_at is not None
            require(not self._bad_redrive(name, given), op, "this is no redrive policy")
            attributes = msgspec.to_builtins(msgspec.convert(given, a.QueueAttributes))
            self.queues[name] = Line(op.number, attributes, op.decided_at, op.decided_at, {})

    def _delete_queue(self, op: Op) -> None:
        if self._find(op) is not None:
            require(op.answer == {}, op, "the queue can be deleted")
            del self.queues[op.action.queue]

    def _list(self, op: Op) -> None:
        action = op.action
        names = [
            name
            for name in sorted(self.queues)
            if name.startswith(action.prefix) and (action.after is None or name > action.after)
        ]
        found = names[: action.limit]
        more = found[-1] if len(names) > len(found) else None
        require(op.answer == {"queues": found, "next": more}, op, f"the queues are {found}, next {more}")

    def _set(self, op: Op) -> None:
        queue = self._find(op)
        if queue is None:
            return
        bad = self._bad_attributes(op.action.attributes)
        if bad is not None:
            require(isinstance(op.answer, bad), op, f"these attributes are {bad.__name__}")
            return
        if self._bad_redrive(op.action.queue, op.action.attributes):
            require(isinstance(op.answer, InvalidParameterValue), op, "this is no redrive policy")
            return
        require(op.answer == {}, op, "the attributes can be set")
        assert op.decided_at is not None
        if any(json.dumps(queue.attributes[k]) != json.dumps(v) for k, v in op.action.attributes.items()):
            for held in queue.messages.values():
                held.doubtful = self._may_have_expired(queue, held, op.decided_at)
            queue.attributes.update(op.action.attributes)
            queue.retention_set_at = op.decided_at
            queue.look_at = 0
            queue.modified_at = op.decided_at

    def _get(self, op: Op) -> None:
        queue = self._find(op)
        if queue is None:
            return
        require(isinstance(op.answer, dict), op, "the attributes can be told")
        for name in SETTABLE:
            if name in FIFO_ONLY and not queue.attributes["fifo"]:
                require(name not in op.answer, op, f"{name} is told of FIFO queues alone")
                continue
            if name == "policy":
                marks.check_policy(op, queue)
                continue
            same = plain(op.answer.get(name)) == plain(queue.attributes[name])
            require(same, op, f"{name} is {queue.attributes[name]}")
        require(op.answer["created_at"] == queue.created_at, op, f"created at {queue.created_at}")
        require(op.answer["modified_at"] == queue.modified_at, op, f"modified at {queue.modified_at}")
        least = dict.fromkeys((VISIBLE, IN_FLIGHT, DELAYED), 0)
        most = dict(least)
        sure = 0
        assert op.decided_at is not None
        for held in queue.messages.values():
            exists = not self._may_have_expired(queue, held, op.decided_at)
            sure += exists
            kinds = self._kinds(held, op)
            for kind in kinds:
                most[kind] += 1
            if exists and len(kinds) == 1:
                least[next(iter(kinds))] += 1
        for kind, low in least.items():
            require(low <= op.answer[kind] <= most[kind], op, f"{kind} is {low} to {most[kind]}")
        total = sum(op.answer[kind] for kind in least)
        require(
            sure <= total <= len(queue.messages), op, f"there are {sure} to {len(queue.messages)} messages"
        )

    def _kinds(self, held: Held, op: Op) -> set[str]:
        now = op.decided_at if op.decided_at is not None else op.asked_at
        assert now is not None
        if held.kind == VISIBLE:
            return {VISIBLE}
        if now < held.visible_at:
            return {held.kind}
        if now >= max(held.visible_at, op.life_began) + SLACK:
            return {VISIBLE}
        return {VISIBLE, held.kind}

    def _marks(self, op: Op) -> None:
        queue = self._find(op)
        if queue is not None:
            marks.check(op, queue)

    def _purge(self, op: Op) -> None:
        queue = self._find(op)
        if queue is not None:
            require(op.answer == {}, op, "the queue can be purged")
            queue.messages.clear()

    # Messages

    def _results(self, op: Op, count: int) -> list[Any]:
        require(isinstance(op.answer, list) and len(op.answer) == count, op, f"there are {count} results")
        return list(op.answer)

    def _send(self, op: Op) -> None:
        queue = self._find(op)
        if queue is None:
            return
        now = op.decided_at
        assert now is not None
        for entry, result in zip(op.action.entries, self._results(op, len(op.action.entries)), strict=True):
            size = counted(entry)
            if not entry.body:
                require(isinstance(result, InvalidMessageContents), op, "an empty body is refused")
                continue
            if size > queue.attributes["maximum_message_size"]:
                require(isinstance(result, InvalidParameterValue), op, f"{size} bytes are too many")
                continue
            require(isinstance(result, bytes) and len(result) == 16, op, "a message id is 16 bytes")
            require(result not in self.ids, op, "a message id is used once")
            self.ids.add(result)
            delay = queue.attributes["delay"] if entry.delay is None else entry.delay
            kind = DELAYED if delay else VISIBLE
            queue.messages[entry.body] = Held(result, entry.body, entry.attributes, now, kind, now + delay)

    def _receive(self, op: Op) -> None:
        queue = self._find(op)
        if queue is None:
            return
        if isinstance(op.answer, OverLimit):
            _, most = self._in_flight(queue, op)
            require(most >= self._limits.max_in_flight, op, f"only {most} messages are in flight")
            return
        require(isinstance(op.answer, list), op, "a receive gives messages")
        require(len(op.answer) <= op.action.max_messages, op, "no more than were asked for")
        if op.answer and len(queue.messages) > self._limits.max_in_flight:
            beyond = self._in_flight(queue, op)[0] + len(op.answer) - self._limits.max_in_flight
            require(beyond <= 0, op, f"{beyond} more messages are in flight than the limit")
        if not op.answer:
            wait = queue.attributes["receive_wait_time"] if op.action.wait is None else op.action.wait
            early = not wait or op.asked_at is not None or op.moved
            require(early, op, f"a long poll of {wait} ms does not wait")
            if len(op.moved) < self._limits.page_messages and not op.moved_much:
                self.check_nothing_to_give(op)
            return
        timeout = op.action.visibility_timeout
        if timeout is None:
            timeout = queue.attributes["visibility_timeout"]
        bodies = [body for _, _, body, *_ in op.answer]
        require(len(set(bodies)) == len(bodies), op, "a message comes once in an answer")
        size = sum(map(len, bodies))
        fits = size <= self._limits.max_answer_bytes or len(bodies) == 1
        require(fits, op, f"an answer holds {size} bytes of bodies, which is too much")
        for given in op.answer:
            self._hand_out(op, queue, given, timeout)

    def _receive_from(self, op: Op) -> None:
        """It is a receive from one of the queues, or from none, for all may be empty."""
        names = op.action.queues
        if isinstance(op.answer, RopewayError):
            missing = isinstance(op.answer, QueueDoesNotExist)
            require(missing == any(name not in self.queues for name in names), op, "each queue is there")
            require(missing or isinstance(op.answer, OverLimit), op, "the queues can be received from")
            return
        require(all(name in self.queues for name in names), op, "one of the queues is not there")
        if op.answer["queue"] is None:
            require(op.answer["messages"] == [], op, "messages are of a queue")
            return
        timeout, most = op.action.visibility_timeout, op.action.max_messages
        queue = names[op.answer["queue"]]
        one = Op(op.number, op.client, a.ReceiveMessage(queue, most, 0, timeout))
        one.answer, one.decided_at, one.life_began = op.answer["messages"], op.decided_at, op.life_began
        require(one.answer, op, "of a queue without messages nothing is told")
        self._receive(one)

    def _in_flight(self, queue: Line, op: Op) -> tuple[int, int]:
        """How many are in flight: at least, and at most."""
        now = op.decided_at if op.decided_at is not None else op.asked_at
        assert now is not None
        least = most = 0
        for held in queue.messages.values():
            kinds = self._kinds(held, op)
            most += IN_FLIGHT in kinds
            least += kinds == {IN_FLIGHT} and not self._may_have_expired(queue, held, now)
        return least, most

    def _hand_out(self, op: Op, queue: Line, given: Any, timeout: int) -> None:
        now = op.decided_at
        assert now is not None
        id_, handle, body, sent_at, receive_count, first_received_at, attributes, *more = given
        held = queue.messages.get(body)
        if held is None:
            raise Violation(
                f"a message that was deleted, purged, expired, never sent or never durable: {body!r}\n"
                f"  call: {op!r}"
            )
        require(now >= held.visible_at, op, f"{held} is {held.kind} until {held.visible_at}, and it is {now}")
        require(now < self._expires_at(queue, held), op, f"{held} is past its retention at {now}")
        require(not self._dies(queue, held), op, f"{held} is a dead letter")
        require((more[0] if more else {}).get("source") == held.source, op, f"it comes from {held.source}")
        held.doubtful = False
        held.receive_count += 1
        held.first_received_at = held.first_received_at or now
        must = (
            held.id,
            held.body,
            held.sent_at,
            held.receive_count,
            held.first_received_at,
            plain(held.attributes),
        )
        told = (id_, body, sent_at, receive_count, first_received_at, plain(attributes))
        require(told == must and type(body) is type(held.body), op, f"told {told}, but it is {must}")
        require(handle not in self.handles, op, "each receive gives a handle of its own")
        self.handles[handle] = (queue.incarnation, body, held.moves, now)
        held.kind = IN_FLIGHT if timeout else VISIBLE
        held.visible_at = now + timeout

    def _delete(self, op: Op) -> None:
        queue = self._find(op)
        if queue is None:
            return
        for handle, result in zip(op.action.handles, self._results(op, len(op.action.handles)), strict=True):
            incarnation, body, moves, _ = self.handles.get(handle, (None, None, 0, 0))
            if incarnation != queue.incarnation:
                require(isinstance(result, ReceiptHandleIsInvalid), op, "not a handle of this queue")
                continue
            require(result is None, op, "a genuine handle deletes")
            if body in queue.messages and queue.messages[body].moves == moves:
                del queue.messages[body]

    def _change(self, op: Op) -> None:
        queue = self._find(op)
        if queue is None:
            return
        now = op.decided_at
        assert now is not None
        entries = op.action.entries
        for entry, result in zip(entries, self._results(op, len(entries)), strict=True):
            incarnation, body, moves, received_at = self.handles.get(entry.handle, (None, None, 0, 0))
            if incarnation != queue.incarnation:
                require(isinstance(result, ReceiptHandleIsInvalid), op, "not a handle of this queue")
                continue
            held = queue.messages.get(body)
            gone = held is None or held.moves != moves
            if held is None or gone or now + entry.visibility_timeout > received_at + a.MAX_VISIBILITY:
                require(isinstance(result, InvalidParameterValue), op, "gone, or beyond 12 hours")
                continue
            if self._may_have_expired(queue, held, now) and isinstance(result, InvalidParameterValue):
                del queue.messages[body]  # so retention has taken it
                continue
            require(result is None, op, f"the visibility of {held} can be changed")
            held.kind = IN_FLIGHT if entry.visibility_timeout else VISIBLE
            held.visible_at = now + entry.visibility_timeout


def counted(entry: a.SendEntry) -> int:
    """Bytes that count against the maximum, by AWS's rule."""

    def size(value: Any) -> int:
        return len(value) if isinstance(value, bytes) else len(value.encode())

    return size(entry.body) + sum(
        size(name) + size(kind) + size(value) for name, (kind, value) in (entry.attributes or {}).items()
    )
