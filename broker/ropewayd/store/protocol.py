"""What the kernel knows of the disk.

The kernel sees this protocol and does not know whether SQLite, memory or something replicated stands
behind it. One law suite (tests/store/test_laws.py) holds every store to it.

Rule 1  A store knows a journal and records. It knows no queues, and never looks inside a value.
Rule 2  An append is all or nothing, and durable when it returns. A store that cannot tell says Unknown.
Rule 3  Only the newest claim appends. An older one gets Fenced, and nothing of it is written.
Rule 4  Every journal row and every record carries a checksum over (space, key, lsn, bytes). What does not
        match is Corrupt, by name, and is never skipped.
Rule 5  A store has no clock and schedules nothing by itself: `tidy` is called when there is time for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

Key = bytes | int
"""A small space is keyed by bytes (at most 256 of them), a paged space by an integer, 0 to 2**63 - 1."""


GROUP_BITS = 41
"""Keys of a paged space that agree above so many bits are a group: the store counts the rows of each."""


class Space(msgspec.Struct, frozen=True, gc=False):
    """A family of records. `number` (1 to 127) is what the disk knows it by, and never changes its meaning.

    A small space is read whole at recovery; a paged one is read by key or in pages, in key order.
    """

    number: int
    name: str
    paged: bool


class Record(msgspec.Struct, frozen=True, gc=False):
    """One value as of one lsn. `value` is opaque to the store, at most 64 MiB."""

    space: Space
    key: Key
    lsn: int
    value: bytes
    share: int = 0
    """Not 0: `value` is a whole journal row, which says this record and others (see Passage), and this is the
    record's part of its bytes, about. Records of one row that are read together share one `value`."""

    @property
    def size(self) -> int:
        """The bytes that reading it costs."""
        return self.share or len(self.value)


class Passage(msgspec.Struct, frozen=True, gc=False):
    """Records of a paged space that are not written, since the journal row `source` says them.

    The row stays until none of them is left, trimmed or not. `keys` rise, are of one group, and lie within
    65,536; none of them may have a record already, and passages of a space may not overlap.
    """

    space: Space
    keys: Sequence[int]
    lsn: int
    source: int


class KeyRange(msgspec.Struct, frozen=True, gc=False):
    """Every key of a paged space from `first` to `last`, both included."""

    space: Space
    first: int
    last: int


class Slice(msgspec.Struct, frozen=True, gc=False):
    """What rides along with a batch, in the same transaction.

    Order of meaning: `drop_ranges`, then `drops`, then `passages`, then `puts`, so that a put in the same
    slice survives a drop of its key. `drop_ranges` answer at once (no read shows a record of theirs again)
    and cost O(1); `tidy` gives the room back. A drop of a key that is not there is fine. `trim_to`: journal
    rows with an lsn at or below it are no longer needed, but for those of passages; 0 trims nothing. What is
    the `source` of a passage was not trimmed before the slice.
    """

    puts: Sequence[Record] = ()
    drops: Sequence[tuple[Space, Key]] = ()
    drop_ranges: Sequence[KeyRange] = ()
    trim_to: int = 0
    passages: Sequence[Passage] = ()


class Claim(msgspec.Struct, frozen=True, gc=False):
    """The right to append. `epoch` rises with each claim; `last_lsn` is the journal's last row (0: none
    yet)."""

    epoch: int
    last_lsn: int


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One journal row: a batch of events, opaque to the store."""

    lsn: int
    batch: bytes


class Recovered(msgspec.Struct, frozen=True, gc=False):
    """Everything that is read at start: all records of the small spaces, and the journal's tail in order."""

    records: list[Record]
    tail: list[Entry]


class Figures(msgspec.Struct, frozen=True, gc=False):
    """Sizes, for the log, the metrics and the space watch. Bytes."""

    journal_rows: int
    database_bytes: int
    wal_bytes: int
    free_bytes: int
    """What can still be written: the disk's free space, and what the store holds of it for use again."""
    used_bytes: int = 0
    """What the store holds on disk, without what it will use again and without the reserve."""
    last_lsn: int = 0
    record_bytes: int = 0
    """Values of records written since the claim, and ..."""
    batch_bytes: int = 0
    """... of journal rows; ..."""
    log_bytes: int = 0
    """... what was written to the write-ahead log for all of it, about, ..."""
    folded_bytes: int = 0
    """... and to the database, when the log was folded in; 0 where the system does not tell."""


class Copied(msgspec.Struct, frozen=True, gc=False):
    """What a backup holds: records and journal rows that were copied, their bytes, and the last lsn."""

    records: int
    batches: int
    bytes: int
    last_lsn: int


class StoreError(Exception):
    """Base of what a store may answer instead of doing what it was asked."""


class Fenced(StoreError):
    """Another owner has claimed the store since. Nothing was written."""


class Refused(StoreError):
    """Nothing was written, and the claim still stands (the disk is full, say)."""


class Unknown(StoreError):
    """The append may or may not be on disk: stop, claim again, recover."""


class Corrupt(StoreError):
    """What the disk gave back is not what was written. The message names the record or the file."""


class Unplaced(StoreError):
    """A backup cannot be written where it was asked for. The store itself is as it was."""


class Unusable(StoreError):
    """The store's place is missing, is not what it should be, or may not be written. Only `claim` raises
    it."""


class Locked(Unusable):
    """Another process has the store open. The message says which, where that is known. Only `claim` raises
    it."""


class Newer(StoreError):
    """A newer Ropeway wrote this store. Nothing in it was touched."""


class Store(Protocol):
    """See the module's rules. Every method may raise Corrupt or Unknown."""

    async def claim(self, owner: str) -> Claim:
        """Become the only appender. Durable before it returns. `owner` is for people (host, pid)."""

    async def append(self, claim: Claim, expect: int, batch: bytes, slice: Slice | None = None) -> int:
        """Write one journal row as lsn `expect + 1`, and the slice with it; give the new lsn.

        `expect` is the caller's idea of the last lsn; a difference is Fenced. An empty `batch` writes no
        journal row, uses no lsn and gives `expect`: a slice on its own.
        """

    async def recover(self, claim: Claim) -> Recovered:
        """Read what a start needs. Checks that the lsns of the tail follow each other without a gap and end
        at `claim.last_lsn`."""

    async def read(self, claim: Claim, space: Space, keys: Sequence[Key]) -> list[Record]:
        """The records of these keys that exist, in the order of the keys given."""

    async def page(
        self, claim: Claim, space: Space, first: int, last: int, limit: int, max_bytes: int
    ) -> list[Record]:
        """Records of a paged space with first <= key <= last, in key order: at most `limit`, and no more
        after the one with which their sizes reach `max_bytes` (so at least one, if there is one)."""

    async def read_ranges(self, claim: Claim, ranges: Sequence[KeyRange]) -> list[Record]:
        """All records of these ranges, in the order given and in key order. The caller knows that they are
        few."""

    async def tidy(self) -> bool:
        """Do a small piece of housekeeping (about a quiet commit's time). True if there is more to do."""

    async def figures(self) -> Figures:
        """Sizes as of now."""

    async def scrub(self, claim: Claim, max_bytes: int) -> int:
        """Read again what is on disk, for about so many bytes, and hold it against its checksums and counts.
        Gives how many were read; 0 where a round is over, and the next call begins another."""

    async def backup(self, claim: Claim, target: Path) -> Copied:
        """Copy the store as of some moment before this returns into the new directory `target`, while appends
        go on. Whatever an append that ended before this began has done is in it. Raises Unplaced."""

    async def close(self) -> None:
        """Close cleanly: checkpoint, mark as cleanly closed, let go of the lock. Twice is fine."""
