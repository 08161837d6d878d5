"""Redrive policies: what may stand in them, and which messages of a queue are dead letters.

Rule 1  A policy names a queue that is there, of the same type, account and region, and that allows it. This
        is looked at when the policy is set, and never again: while a target is gone, messages stay.
Rule 2  Policies make no circle: no message comes back to a queue by dying.
Rule 3  A message is a dead letter when it would be received once more than the policy allows. It is moved in
        that moment, instead of being handed out, by one event: it is in one queue before, in the other after.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ropewayd.vocabulary.errors import InvalidParameterValue, RopewayError
from ropewayd.vocabulary.names import FIFO_SUFFIX, Scope, read_queue_arn, show_message_id

from . import actions as a
from . import events as e
from .groups import Find
from .message import Message, Sifted, System
from .queue import Queue
from .ready import up_to
from .records import MAX_SEQUENCE
from .registry import Registry


class Redrive:
    """See the module. State is read, never changed."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    # Setting

    def named(self, scope: Scope, given: dict[str, Any]) -> dict[str, Any]:
        """Attributes of a queue of this scope, with ARNs where there were names."""
        policy, allow = given.get("redrive_policy"), given.get("redrive_allow_policy")
        if policy is not None:
            arn = _arn(scope, policy.dead_letter_target_arn)
            given = {**given, "redrive_policy": a.RedrivePolicy(arn, policy.max_receive_count)}
        if allow is not None and allow.source_queue_arns is not None:
            arns = tuple(_arn(scope, each) for each in allow.source_queue_arns)
            allow = a.RedriveAllowPolicy(allow.redrive_permission, arns)
            given = {**given, "redrive_allow_policy": allow}
        return given

    def problem(self, scope: Scope, name: str, given: dict[str, Any]) -> RopewayError | None:
        """What is wrong with these attributes (see `named`) for the queue of this name."""
        allow = given.get("redrive_allow_policy")
        if allow is not None and (allow.redrive_permission == "byQueue") != bool(allow.source_queue_arns):
            return InvalidParameterValue(
                "The attribute redrive_allow_policy is not valid: source_queue_arns are given with byQueue, "
                "and only with it.",
                "attributes.redrive_allow_policy",
            )
        policy = given.get("redrive_policy")
        return None if policy is None else self._target_problem(scope, name, policy.dead_letter_target_arn)

    def _target_problem(self, scope: Scope, name: str, arn: str) -> RopewayError | None:
        def bad(reason: str) -> RopewayError:
            field = "attributes.redrive_policy.dead_letter_target_arn"
            return InvalidParameterValue(f"The attribute redrive_policy is not valid: {reason}.", field)

        place = read_queue_arn(arn)
        if place is None or place[0] != scope:
            return bad(f"the dead-letter queue's ARN is {scope.queue_arn('NAME')}, as of its source")
        if place[1].endswith(FIFO_SUFFIX) != name.endswith(FIFO_SUFFIX):
            return bad("the dead-letter queue of a FIFO queue is a FIFO queue, that of another one is not")
        own = scope.queue_arn(name)
        if arn == own:
            return bad("a queue is not its own dead-letter queue")
        target = self._registry.find(arn)
        if target is None:
            return bad("the dead letter target does not exist")
        if own in self._targets(target):
            return bad(f"the dead letters of {target.name} come here, and none may come back")
        allow = target.attributes.redrive_allow_policy
        if allow is None or allow.redrive_permission == "allowAll":
            return None
        if own not in (allow.source_queue_arns or ()):
            return bad(f"the redrive_allow_policy of {target.name} does not allow it")
        return None

    def _targets(self, queue: Queue | None) -> Iterator[str]:
        """Where its dead letters go, and theirs, and so on."""
        while queue is not None and queue.attributes.redrive_policy is not None:
            arn = queue.attributes.redrive_policy.dead_letter_target_arn
            yield arn
            queue = self._registry.find(arn)

    # Receiving

    def target(self, queue: Queue) -> Queue | None:
        """Its dead-letter queue, if it has one and that is there."""
        policy = queue.attributes.redrive_policy
        if policy is None:
            return None
        return self._registry.find(policy.dead_letter_target_arn)

    def sift(
        self,
        queue: Queue,
        count: int,
        horizon: int,
        most: int,
        through: int = MAX_SEQUENCE,
        *,
        fair: bool = False,
    ) -> Sifted:
        """The next messages, at most `count` to hand out. `most`: how often one can be received; 0: for ever.
        `through`: of a FIFO queue, those up to this sequence. `fair`: quiet tenants first. Ages may be in any
        order here."""
        limits = self._registry.limits
        if queue.groups is not None:
            through = min(through, queue.known_through)
            find = Find(count, through, horizon, most, limits.page_messages, limits.page_bytes)
            return queue.groups.first(find)
        look, ready, known = count, queue.ready, queue.known_through
        while True:
            if fair:
                seen = ready.next(look, known, queue.in_flight, queue.wheel.now)
            else:
                seen = up_to(known, ready.first(look))
            whole = len(seen) < look
            found = Sifted([], [], [], whole)
            size = 0
            for message in seen:
                if message.sent_at <= horizon:
                    found.expired.append(message)
                    if len(found.expired) >= limits.page_messages:
                        found.whole = False
                        return found
                elif most and message.receive_count >= most:
                    if len(found.letters) >= limits.page_messages or size > limits.page_bytes:
                        found.whole = False
                        return found
                    size += message.weight
                    found.letters.append(message)
                else:
                    found.picked.append(message)
                    if len(found.picked) == count:
                        return found
            if whole:
                return found
            look *= 2

    def moved(self, queue: Queue, target: Queue, letters: list[Message], now: int) -> e.MessagesMoved:
        """The event that makes these messages of a queue dead letters."""
        own = queue.arn
        fifo = queue.name.endswith(FIFO_SUFFIX)
        return e.MessagesMoved(
            queue.number,
            [m.sequence for m in letters],
            target.number,
            target.next_sequence,
            now,
            b"".join([m.id for m in letters]),
            [m.body for m in letters],
            # As in AWS: the time in the queue counts on, but in a FIFO queue.
            [now if fifo else m.sent_at for m in letters],
            [m.receive_count for m in letters],
            [m.first_received_at for m in letters],
            [m.attributes for m in letters] if any(m.attributes is not None for m in letters) else None,
            [_system(m, own, fifo) for m in letters],
        )


def _arn(scope: Scope, reference: str) -> str:
    return reference if reference.startswith("arn:") else scope.queue_arn(reference)


def _system(message: Message, own: str, fifo: bool) -> System:
    """Two messages with one deduplication id are both to arrive, so each gets one that is its own."""
    system = message.system or System()
    if fifo:
        return msgspec.structs.replace(system, source=own, deduplication_id=show_message_id(message.id))
    return msgspec.structs.replace(system, source=own)
