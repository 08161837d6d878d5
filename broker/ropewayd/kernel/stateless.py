"""A service without state: it decides, and has nothing to say to all else that a service is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ropewayd.store.protocol import Key, Record, Slice, Space
from ropewayd.vocabulary.action import Action

from .service import Event, SliceBuilder, Touch


class Stateless:
    """See the module. What inherits has a name and deciders."""

    spaces: Sequence[Space] = ()

    def appliers(self) -> Mapping[type[Event], Callable[[Any, int], Touch]]:
        return {}

    def feeds(self, event: Event) -> Iterable[object]:
        return ()

    def due(self, payloads: list[Any], now: int) -> Iterable[Action]:
        return ()

    def load(self, records: Iterable[Record]) -> None:
        """It has no records."""

    def named(self, events: Iterable[Event]) -> Iterable[tuple[Space, Key]]:
        return ()

    def recovered(self, now: int) -> None:
        """It has no state."""

    def opening(self) -> Iterable[Action]:
        return ()

    def spill(self, touch: Touch, into: SliceBuilder) -> None:
        """It has no touches."""

    def weight(self, touch: Touch) -> int:
        return 0

    def spilled(self, slice: Slice) -> None:
        """It lets go of nothing."""

    def snapshot(self) -> Any:
        return None
