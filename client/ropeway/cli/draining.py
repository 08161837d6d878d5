"""`ropeway export --drain`: messages are received, written, and deleted when they are on disk.

Rule 1: a batch is on disk before any of it is deleted, so that an interruption loses nothing. Rule 2: a
message that was written and not deleted comes again, is known by its id, and is deleted without being written
again. So what is in the file is there once, however often the command was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import ropeway
from ropeway.cli.interruption import to_its_end
from ropeway.cli.output import Json
from ropeway.cli.progress import Bar
from ropeway.cli.records import received_record_of
from ropeway.cli.values import counted

PAGE = 1000
"""Messages that are received at one time."""
HIDDEN = 120.0
"""Seconds for which they are hidden: as long as it may take to write and to delete them."""


async def drain(queue: ropeway.Queue, written: set[str], write: Callable[[bytes], None], bar: Bar) -> int:
    """Take what can be received until there is nothing. `write` puts lines on disk; `written`: the ids of
    messages that are there already. Gives how many were deleted."""
    count = 0
    while messages := await queue.receive(PAGE, wait=0, visibility_timeout=HIDDEN):
        await to_its_end(_take(queue, messages, written, write))
        count += len(messages)
        bar.at(count, counted(count, "message"))
    return count


async def _take(
    queue: ropeway.Queue,
    messages: Sequence[ropeway.Message],
    written: set[str],
    write: Callable[[bytes], None],
) -> None:
    fresh = [each for each in messages if each.id not in written]
    records: list[dict[str, Json]] = [received_record_of(each) for each in fresh]
    try:
        write("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records).encode())
    except BaseException:
        await queue.release_many(messages)
        raise
    written.update(each.id for each in fresh)
    await queue.delete_many(messages)
