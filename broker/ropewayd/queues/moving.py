"""Messages that come from another queue: what their arrival does to the one where they are from now on."""

from __future__ import annotations

from collections.abc import Sequence

from .events import MessagesMoved
from .fairness import tenant
from .message import OVERHEAD, Message, size_of, sizes
from .queue import Queue


def arrived(queue: Queue, event: MessagesMoved, lsn: int) -> tuple[int, Sequence[int]] | None:
    """They stand at the end of the queue, visible. The touch is of this queue alone."""
    first, count = event.first, len(event.bodies)
    if lsn > queue.stored:
        queue.follow(first, count)
        queue.live += count
        queue.bytes += sizes(event.bodies, event.attributes)
        queue.changed = lsn
        queue.mixed = queue.mixed or min(event.sent_at) < event.at
    touched = range(first, first + count)
    fresh: Sequence[int] = touched
    if queue.replaying:
        fresh = queue.missing(touched)
    for sequence in fresh:
        _put(queue, event, sequence)
    if queue.groups is None and queue.tenants is None:
        queue.divide(tenant(queue.messages[sequence]) for sequence in fresh)
    if fresh:
        expires_at = min(event.sent_at) + queue.attributes.retention_period
        if queue.expiry is None or expires_at < queue.expiry.deadline:
            queue.expire_at(expires_at)
    return (queue.number, touched) if fresh or lsn > queue.stored else None


def _put(queue: Queue, event: MessagesMoved, sequence: int) -> None:
    at = sequence - event.first
    body = event.bodies[at]
    attributes = event.attributes[at] if event.attributes is not None else None
    size = size_of(body, attributes)
    message = Message(
        sequence,
        event.ids[16 * at : 16 * at + 16],
        body,
        attributes,
        event.sent_at[at],
        size,
        event.receive_counts[at],
        event.first_received_at[at],
        system=event.systems[at] if event.systems is not None else None,
    )
    queue.messages[sequence] = message
    if queue.groups is None:
        queue.ready.add(message)
    else:
        queue.groups.add(message)
    queue.memory.used += size + OVERHEAD
