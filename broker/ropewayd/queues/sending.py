"""Sending: each entry of a batch is taken, or refused with a reason of its own. State is read only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

from ropewayd.kernel.service import Decision, Outcome
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
    InvalidMessageContents,
    InvalidParameterValue,
    OverLimit,
    RopewayError,
)
from ropewayd.vocabulary.tokens import sound

from . import actions as a
from . import events as e
from .attributes import check_message_attributes
from .backlog import Backlog
from .fifo import entry_problem, tokens_of
from .message import System, size_of, sizes
from .queue import Queue
from .records import MAX_SEQUENCE, sequence_number, sequence_numbers
from .registry import Registry, missing
from .screening import Screen


class Sending:
    """Decides sends. `entropy(n)` gives n unguessable bytes."""

    def __init__(self, registry: Registry, entropy: Callable[[int], bytes]) -> None:
        self._registry = registry
        self._queues, self._find = registry.by_name, registry.find
        self._entropy = entropy
        self._backlog = Backlog.of(registry.limits, registry.by_number)

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {a.SendMessage: self.send}

    def send(self, action: a.SendMessage, now: int) -> Outcome:  # noqa: C901, PLR0912, PLR0915  # one loop, no calls
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        backlog = self._backlog
        if backlog is not None and (refusal := backlog.refusal(queue, len(action.entries), now)) is not None:
            return refusal
        attributes = queue.attributes
        maximum, delay, fifo = attributes.maximum_message_size, attributes.delay, attributes.fifo
        bodies: list[Any] = []
        extras: list[Any] | None = None
        visible_at: list[int] | None = None
        systems: list[System | None] | None = None
        errors: dict[int, RopewayError] | None = None
        screened = fifo
        clean = not fifo or sound(chain.from_iterable(map(tokens_of, action.entries)))
        for index, entry in enumerate(action.entries):
            body, extra = entry.body, entry.attributes
            kind = type(body)
            if extra is None and (kind is bytes or (kind is str and body.isascii())):
                problem = None if 0 < len(body) <= maximum else self._size_problem(len(body), maximum, index)
            else:
                problem = self._problem(entry, maximum, index)
            own, group = entry.delay, entry.group
            if fifo:
                plain = clean and own is None and group is not None and entry.deduplication_id is not None
                if problem is None and not plain:
                    problem = self._option_problem(attributes, entry, index)
                    own = None
            elif own is not None or (group or entry.deduplication_id or entry.token) is not None:
                problem = problem or self._option_problem(attributes, entry, index)
                screened = screened or entry.token is not None
            if problem is not None:
                errors = errors or {}
                errors[index] = problem
                continue
            if extra is not None:
                extras = extras if extras is not None else [None] * len(bodies)
                extras.append(extra)
            elif extras is not None:
                extras.append(None)
            if (own if own is not None else delay) or visible_at is not None:
                visible_at = visible_at if visible_at is not None else [now] * len(bodies)
                visible_at.append(now + (own if own is not None else delay))
            if systems is not None or (not fifo and (group or entry.trace_header) is not None):
                systems = systems if systems is not None else [None] * len(bodies)
                systems.append(_system(entry))
            bodies.append(body)
        screen: Screen | None = None
        digests: bytes | None = None
        if screened:
            taken = action.entries
            if errors is not None:
                taken = [entry for at, entry in enumerate(taken) if at not in errors]
            screen = Screen(queue, taken, now)
            if (needs := screen.needs(self._registry)) is not None:
                return needs
            systems = screen.systems() if fifo else systems
            if screen.repeats:
                bodies, visible_at = screen.fresh(bodies) or [], screen.fresh(visible_at)
                extras, systems = screen.fresh(extras), screen.fresh(systems)
            digests = screen.column()
        count = len(bodies)
        ids = self._entropy(16 * count) if count else b""
        first = queue.next_sequence
        event = e.MessagesSent(queue.number, first, now, ids, bodies, visible_at, extras, systems, digests)
        return self._sent(queue, action, event, errors, screen)

    def _sent(
        self,
        queue: Queue,
        action: a.SendMessage,
        event: e.MessagesSent,
        errors: dict[int, RopewayError] | None,
        screen: Screen | None,
    ) -> Outcome:
        first, ids, count = event.first, event.ids, len(event.bodies)
        if self._backlog is not None:
            refusal = self._backlog.bytes_refusal(queue, sizes(event.bodies, event.attributes))
            if refusal is not None:
                return refusal
        if first + count > MAX_SEQUENCE:
            return OverLimit("This queue has no sequences left: delete it and create it anew.", "queue")
        answer: list[Any] = [ids[at : at + 16] for at in range(0, 16 * count, 16)]
        if queue.groups is not None:
            answer = list(zip(answer, sequence_numbers(queue.number, first, count), strict=True))
        if errors or (screen is not None and screen.repeats):
            answer = _in_order(queue, len(action.entries), answer, errors or {}, screen)
        ahead = None if screen is None else screen.ahead(self._registry)
        return Decision(answer, (event,) if count else (), ahead)

    def _size_problem(self, size: int, maximum: int, index: int) -> RopewayError:
        field = f"entries[{index}].body"
        if not size:
            return InvalidMessageContents(
                f"The field {field} is empty; a body has at least one character.", field
            )
        return InvalidParameterValue(
            f"The message {field} counts {size} bytes with its attributes; this queue takes at most "
            f"{maximum}.",
            field,
        )

    def _option_problem(
        self, attributes: a.QueueAttributes, entry: a.SendEntry, index: int
    ) -> RopewayError | None:
        """What is wrong with what else can be said of a message."""
        longest = attributes.maximum_delay
        if entry.delay is not None and entry.delay > longest:
            field = f"entries[{index}].delay"
            return InvalidParameterValue(
                f"The field {field} is {entry.delay} ms; this queue takes at most its maximum_delay, "
                f"{longest}.",
                field,
            )
        return entry_problem(attributes, entry, index)

    def _problem(self, entry: a.SendEntry, maximum: int, index: int) -> RopewayError | None:
        body = entry.body
        if isinstance(body, RopewayError):
            return body
        field = f"entries[{index}].body"
        if type(body) is not str and type(body) is not bytes:
            return InvalidMessageContents(f"The field {field} is neither text nor bytes.", field)
        if entry.attributes:
            problem = check_message_attributes(entry.attributes, f"entries[{index}].attributes")
            if problem is not None:
                return problem
        size = size_of(body, entry.attributes)
        return None if body and size <= maximum else self._size_problem(size if body else 0, maximum, index)


def _in_order(
    queue: Queue, count: int, fresh: list[Any], errors: dict[int, RopewayError], screen: Screen | None
) -> list[Any]:
    """An answer for each entry: its error, what the message is that it repeats, or what it has become."""
    repeats = screen.repeats if screen is not None else {}
    rest = iter(fresh)
    answer: list[Any] = []
    place = -1  # among those without an error
    for index in range(count):
        if index in errors:
            answer.append(errors[index])
            continue
        place += 1
        repeat = repeats.get(place)
        if repeat is None:
            answer.append(next(rest))
        elif isinstance(repeat, int):
            answer.append(fresh[repeat])
        elif queue.attributes.fifo:
            answer.append((repeat.id, sequence_number(queue.number, repeat.sequence)))
        else:
            answer.append(repeat.id)
    return answer


def _system(entry: a.SendEntry) -> System | None:
    """What goes with a message of a standard queue besides body and attributes, if anything."""
    if entry.trace_header is None and entry.group is None:
        return None
    return System(entry.group, None, entry.trace_header)
