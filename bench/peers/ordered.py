"""What servers have in common that answer in the order in which they were asked, and say no id.

A request knows its slot, and how many answers of the server's make one of ours: ten messages are ten commands
there, which go out as one write. `renewed` is told of each request as it goes out, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from bench.wire import Answer, UnexpectedAnswer

Read = Callable[[list[Any]], Any]
"""Makes the result of a request of what the server said to its commands."""


class Request(bytes):
    """What goes out."""

    slot: int
    answers: int
    """How many are awaited."""
    read: Read

    @classmethod
    def of(cls, slot: int, commands: Sequence[bytes], read: Read) -> Self:
        """Of these commands."""
        request = cls(b"".join(commands))
        request.slot, request.answers, request.read = slot, len(commands), read
        return request


class InOrder:
    """See the module."""

    empty_pause = 0.002
    """As the bare loop's: a receive that waited would hold up all that were asked after it."""

    def __init__(self) -> None:
        self._asked: deque[Request] = deque()
        self._said: list[Any] = []

    def renewed(self, request: bytes) -> bytes:
        """See Wire."""
        assert isinstance(request, Request)
        self._asked.append(request)
        return request

    def matched(self, said: Iterable[Any]) -> list[Answer]:
        """The requests that these answers of the server complete."""
        done: list[Answer] = []
        for each in said:
            if isinstance(each, Exception):
                raise UnexpectedAnswer(f"the server refused: {each}")
            self._said.append(each)
            if len(self._said) == self._asked[0].answers:
                request = self._asked.popleft()
                done.append((request.slot, 0, request.read(self._said)))
                self._said = []
        return done

    def sent_ids(self, result: Sequence[Any]) -> Sequence[Any]:
        """See Wire."""
        return result

    def ids_and_handles(self, messages: Sequence[Any]) -> tuple[list[bytes], list[Any]]:
        """See Wire. A message is its id, and what deletes it."""
        return [message[0] for message in messages], [message[1] for message in messages]


def all_well(_: list[Any]) -> None:
    """The result of a delete."""
