"""Calls of many connections that come in one turn of the loop and want the same of the same queue become one.

Whoever speaks HTTP has one call outstanding on a connection, so that single sends come from many at once. As
one call they cost one decision and one event. Nothing waits for it: what a turn of the loop brought is there,
and whoever serves it a portion at a time says after each that it is to be handed on.

Rule 1  Only actions whose entries have nothing to do with each other are gathered (Action.merges), and none
        of a FIFO queue. They are of different connections, so there is no order among them to be kept.
Rule 2  What is gathered has a limit in bytes, as one call has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from ropewayd.kernel.batch import Reply
from ropewayd.protocols.merging import Merged
from ropewayd.vocabulary.action import MAX_BATCH, Action
from ropewayd.vocabulary.names import FIFO_SUFFIX

MOST_BYTES: Final = 1 << 20
"""Of the requests that become one call."""


class _Group:
    __slots__ = ("action", "entries", "parts", "size")

    def __init__(self, action: Any) -> None:
        self.action = action
        self.entries: list[Any] = getattr(action, action.batch)
        self.parts: list[tuple[Reply, int]] = []
        self.size = 0


class Gathering:
    """See the module. `submit` takes what was gathered."""

    def __init__(self, submit: Callable[[Action, Reply], None]) -> None:
        self._submit = submit
        self._loop = asyncio.get_running_loop()
        self._groups: dict[tuple[type[Action], str], _Group] = {}

    def add(self, action: Any, reply: Reply, size: int) -> None:
        """Take a call whose request has so many bytes, now or with the others of this turn."""
        if not action.merges or action.queue.endswith(FIFO_SUFFIX):
            self._submit(action, reply)
            return
        groups, key = self._groups, (type(action), action.queue)
        entries = getattr(action, action.batch)
        group = groups.get(key)
        if group is not None and (
            len(group.entries) + len(entries) > MAX_BATCH or group.size + size > MOST_BYTES
        ):
            self._hand_on(groups.pop(key))
            group = None
        if group is None:
            if not groups:
                self._loop.call_soon(self.flush)
            group = groups[key] = _Group(action)
        else:
            group.entries += entries
        group.parts.append((reply, len(entries)))
        group.size += size

    def flush(self) -> None:
        """Hand on what was gathered."""
        groups, self._groups = self._groups, {}
        for group in groups.values():
            self._hand_on(group)

    def _hand_on(self, group: _Group) -> None:
        parts = group.parts
        self._submit(group.action, parts[0][0] if len(parts) == 1 else Merged(group.action.batch, parts))
