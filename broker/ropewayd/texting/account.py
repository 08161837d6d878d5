"""What is kept of telephone numbers for one account in one region: what it has set, which numbers get nothing
of it, and its sandbox. Events change it; `stored` is the lsn as of which the disk has a part of it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec

from ropewayd.vocabulary.names import Scope


class OptOut(msgspec.Struct, gc=False):
    """Of one number. `at`: since when."""

    at: int
    stored: int = 0


class SandboxNumber(msgspec.Struct, gc=False):
    """As the event SandboxNumberChanged says it."""

    password: str
    at: int
    wrong: int
    verified: bool
    stored: int = 0


T = TypeVar("T", OptOut, SandboxNumber)


class Numbers(Generic[T]):
    """Numbers in order, and what is known of each."""

    __slots__ = ("_known", "order")

    def __init__(self) -> None:
        self._known: dict[str, T] = {}
        self.order: list[str] = []

    def __len__(self) -> int:
        return len(self.order)

    def __contains__(self, number: str) -> bool:
        return number in self._known

    def get(self, number: str) -> T | None:
        """What is known of it."""
        return self._known.get(number)

    def put(self, number: str, known: T) -> None:
        """This is known of it now."""
        if number not in self._known:
            insort(self.order, number)
        self._known[number] = known

    def remove(self, number: str) -> None:
        """It is not one of them any more, if it was."""
        if self._known.pop(number, None) is not None:
            del self.order[bisect_left(self.order, number)]

    def items(self) -> Iterable[tuple[str, T]]:
        """All, in order."""
        return ((number, self._known[number]) for number in self.order)


class Account:
    """See the module. `queue`: the number of the hidden queue of what it publishes to numbers, or 0."""

    __slots__ = ("attributes", "opted_out", "queue", "sandbox", "scope", "stored")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.attributes: dict[str, str] = {}
        self.queue = 0
        self.stored = 0
        self.opted_out: Numbers[OptOut] = Numbers()
        self.sandbox: Numbers[SandboxNumber] = Numbers()

    @property
    def has_own(self) -> bool:
        """Whether there is something to keep of it besides its numbers."""
        return bool(self.attributes or self.queue)

    def __bool__(self) -> bool:
        """Whether there is anything to keep of it."""
        return self.has_own or bool(self.opted_out.order or self.sandbox.order)

    def set(self, attributes: dict[str, str | None]) -> None:
        """These have new values, or none."""
        every = {**self.attributes, **attributes}
        self.attributes = {name: value for name, value in every.items() if value is not None}

    def snapshot(self) -> dict[str, Any]:
        """The state as plain objects, to be compared."""
        return {
            "attributes": dict(sorted(self.attributes.items())),
            "queue": self.queue,
            "opted_out": {number: each.at for number, each in self.opted_out.items()},
            "sandbox": {
                number: (each.password, each.at, each.wrong, each.verified)
                for number, each in self.sandbox.items()
            },
        }
