"""Receives that are asked for again (AWS's ReceiveRequestAttemptId), on a FIFO queue.

A consumer that lost an answer asks again with the same attempt, and within five minutes gets the same
messages with the same handles, hidden anew. That holds while the receive still has every one of them: as soon
as one was deleted, given another visibility or is visible again, the attempt is over, and asking again is a
new receive.

Each message in flight knows its attempt, and its small record says it too. What a queue knows of an attempt
is only where to look.
"""

from __future__ import annotations

from collections.abc import Callable

from .message import IN_FLIGHT, Attempt, Message, Said

WINDOW = 300_000
"""Milliseconds for which an attempt can be repeated."""


class Attempts:
    """Those of one queue, oldest first, about."""

    __slots__ = ("_by_id",)

    def __init__(self) -> None:
        self._by_id: dict[str, Attempt] = {}

    def add(self, id_: str, at: int, sequences: list[int]) -> Attempt:
        """A receive happened."""
        known = self._by_id
        for old in list(known):
            if known[old].at + WINDOW > at:
                break
            del known[old]
        known.pop(id_, None)
        attempt = known[id_] = Attempt(id_, at, sequences)
        return attempt

    def apart(self, id_: str, now: int) -> int:
        """The time that tells a receive of now from the one before it with the same id; 0: now does."""
        before = self._by_id.get(id_)
        return 0 if before is None or before.at < now else before.at + 1

    def restore(self, said: Said, sequence: int) -> Attempt:
        """Recovery: the record of a message says that it is in flight by an attempt. An earlier attempt of
        the same id can have messages in flight too; nobody can ask for it again."""
        id_, at, place, count = said
        latest = self._by_id.get(id_)
        if latest is not None and latest.at == at and latest.sequences[place : place + 1] == [0]:
            latest.sequences[place] = sequence
            return latest
        attempt = Attempt(id_, at, [0] * count)
        attempt.sequences[place] = sequence
        if latest is None or latest.at < at:
            self._by_id[id_] = attempt
        return attempt

    def held(
        self, id_: str, now: int, find: Callable[[int], Message | None]
    ) -> tuple[int, list[Message]] | None:
        """When an attempt was, and its messages, if it can be repeated."""
        attempt = self._by_id.get(id_)
        if attempt is None or attempt.at + WINDOW <= now:
            return None
        found: list[Message] = []
        for message in map(find, attempt.sequences):
            if message is None or message.state != IN_FLIGHT or not _by(message.attempt, attempt):
                return None
            found.append(message)
        return attempt.at, found


def _by(one: Attempt | None, attempt: Attempt) -> bool:
    return one is not None and one.id == attempt.id and one.at == attempt.at


def said_of(attempt: Attempt, sequence: int) -> Said:
    """What the small record of one of its messages says of it."""
    return attempt.id, attempt.at, attempt.sequences.index(sequence), len(attempt.sequences)
