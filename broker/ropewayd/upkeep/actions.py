"""The actions of whoever runs the daemon. None of them changes state."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import AccessDenied, RopewayError


class ShowStore(Action):
    """The store in figures: what it holds, and what was written since the daemon started."""

    code: ClassVar[int] = 100
    answer: ClassVar[str] = (
        "A map of integers. What is there: `last_lsn`, `journal_rows` and `journal_bytes` (of the tail, which"
        " a restart replays), `database_bytes`, `wal_bytes`, `used_bytes` (on disk, without what will be used"
        " again), `free_bytes` (that can still be written), `queues`, `messages`, `messages_in_memory`,"
        " `messages_on_disk` (alone) and `memory_bytes`. What was written: `batch_bytes` (of journal rows),"
        " `record_bytes` (of messages and all else that was spilled), `log_bytes` (to the write-ahead log,"
        " about) and `folded_bytes` (to the database; 0 where the system does not tell)."
    )


class BackupStore(Action):
    """Copy the store into a new directory on the daemon's machine, while it is served. The answer comes when
    the copy is whole and synced; it holds all that was acknowledged before the call, and what else was by one
    moment before the answer. Only a caller on the same machine may ask."""

    code: ClassVar[int] = 101
    answer: ClassVar[str] = (
        "A map of what was copied: `target`, `records`, `batches` (rows of the journal), `bytes` of both, and"
        " `last_lsn`, the last commit that is in it."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (AccessDenied,)
    local: ClassVar[bool] = True

    target: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=4096,
            description="The absolute path of a directory that is not there yet; its parent is.",
        ),
    ]
