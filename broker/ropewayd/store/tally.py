"""How many rows a paged space has, and which: a count and sums for each group of keys.

A flipped bit in SQLite's own structure can hide rows: what is left is right, but not all. So the store keeps
a tally of each group (the keys of a paged space that agree above their lowest GROUP_BITS), in the table
`small` under a number that no space has. Whoever reads a group to its end can tell whether all is there.

Rule 1  A tally counts the rows of the table, also those of dropped ranges that are still to be deleted.
Rule 2  It changes in the transaction that changes the rows, by what the table really held before.
Rule 3  A group without rows has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from struct import error as StructError  # noqa: N812  # it is a class
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ropewayd.store.checksum import checksum, matches
from ropewayd.store.protocol import GROUP_BITS, Corrupt

if TYPE_CHECKING:
    from ropewayd.store.tables import PagedTable, State

OWN: Final = 0
"""What stands for the space of the tallies' rows in `small`."""

_KEY: Final = Struct(">BQ")
_VALUE: Final = Struct(">QQQ")
_MASK: Final = (1 << GROUP_BITS) - 1
_MODULUS: Final = 1 << 62


class Tally(msgspec.Struct, gc=False):
    """`sum` is that of the rows' checksums, `keys` that of their keys within the group, modulo 2**62. As a
    change, `rows` can be negative."""

    rows: int = 0
    sum: int = 0
    keys: int = 0

    def count(self, key: int, check: int, rows: int) -> None:
        """A row came (1) or went (-1)."""
        self.rows += rows
        self.sum = (self.sum + rows * check) % _MODULUS
        self.keys = (self.keys + rows * (key & _MASK)) % _MODULUS

    def missing(self, found: Tally) -> str | None:
        """What a reader that found so much is to say; None if it is all there."""
        if self == found:
            return None
        hidden = self.rows - found.rows
        if hidden == 1:
            return f"1 of {self.rows} rows is hidden, that of key {(self.keys - found.keys) % _MODULUS}"
        if hidden > 0:
            return f"{hidden} of {self.rows} rows are hidden"
        if hidden < 0:
            return f"{-hidden} rows are too many beside {self.rows}"
        return f"the {self.rows} rows are not those that were written"


def group_of(key: int) -> int:
    """The group that a key belongs to."""
    return key >> GROUP_BITS


def in_group(group: int, key: int) -> int:
    """The key of that group with these lowest bits."""
    return group << GROUP_BITS | key


class Watch:
    """Somebody reads a group in the order of its keys, and has come to `upto`. `tally` is of what was read,
    as it is now."""

    __slots__ = ("group", "number", "tally", "upto")

    def __init__(self, number: int, group: int) -> None:
        self.number = number
        self.group = group
        self.upto = -1
        self.tally = Tally()


class Changes:
    """What a piece of work changes in the tallies of one paged space. `watch` is told too."""

    __slots__ = ("by_group", "number", "watch")

    def __init__(self, number: int, watch: Watch | None = None) -> None:
        self.number = number
        self.watch = watch if watch is not None and watch.number == number else None
        self.by_group: dict[int, Tally] = {}

    def count(self, key: int, check: int, rows: int) -> None:
        """A row came (1) or went (-1)."""
        group = key >> GROUP_BITS
        tally = self.by_group.get(group)
        if tally is None:
            tally = self.by_group[group] = Tally()
        tally.count(key, check, rows)
        watch = self.watch
        if watch is not None and watch.group == group and key <= watch.upto:
            watch.tally.count(key, check, rows)

    def count_all(self, found: Sequence[tuple[int, int]], rows: int) -> None:
        """`count` for many, given as (key, checksum) in order of keys: mostly they are of one group."""
        if not found:
            return
        group = found[0][0] >> GROUP_BITS
        if self.watch is not None or found[-1][0] >> GROUP_BITS != group:
            for key, check in found:
                self.count(key, check, rows)
            return
        tally = self.by_group.setdefault(group, Tally())
        keys, checks = zip(*found, strict=True)
        tally.rows += rows * len(found)
        tally.sum = (tally.sum + rows * sum(checks)) % _MODULUS
        tally.keys = (tally.keys + rows * (sum(keys) - len(found) * (group << GROUP_BITS))) % _MODULUS

    def count_run(self, db: Any, table: PagedTable, run: tuple[int, int], rows: int) -> None:
        """`count` for all rows between these keys, first and last. Raises Corrupt.

        SQLite adds them up, and the interpreter is free for others meanwhile.
        """
        first, last = run
        group = first >> GROUP_BITS
        if self.watch is not None or last >> GROUP_BITS != group:
            for key, check in db.execute(table.between, run).fetchall():
                self.count(key, check, rows)
            return
        count, checks, keys = db.execute(table.counted, (_MASK, *run)).fetchone()
        if type(checks) is not int:
            raise Corrupt(f"A record of space {self.number} is damaged: its checksum is no number.")
        tally = self.by_group.setdefault(group, Tally())
        tally.rows += rows * count
        tally.sum = (tally.sum + rows * checks) % _MODULUS
        tally.keys = (tally.keys + rows * keys) % _MODULUS

    def write(self, db: Any, seed: int, state: State) -> None:
        """Bring the tallies on disk up to date. Raises Corrupt where they cannot be right."""
        for group, change in self.by_group.items():
            key = _KEY.pack(self.number, group)
            old = _read(db, seed, key)
            if old is None:
                new = change
            else:
                check, tally = old
                state.count(check, -1)
                new = Tally(
                    tally.rows + change.rows,
                    (tally.sum + change.sum) % _MODULUS,
                    (tally.keys + change.keys) % _MODULUS,
                )
            if new.rows < 0 or (not new.rows and new != Tally()):
                raise Corrupt(f"Group {group} of space {self.number} does not have the rows that it counts.")
            if new.rows:
                value = _VALUE.pack(new.rows, new.sum, new.keys)
                check = checksum(seed, OWN, key, 0, value)
                db.execute("INSERT OR REPLACE INTO small VALUES (0, ?, 0, ?, ?)", (key, check, value))
                state.count(check, 1)
            elif old is not None:
                db.execute("DELETE FROM small WHERE space = 0 AND key = ?", (key,))


def read(db: Any, seed: int, number: int, group: int) -> Tally:
    """That of a group of a space. Raises Corrupt."""
    found = _read(db, seed, _KEY.pack(number, group))
    return Tally() if found is None else found[1]


def _read(db: Any, seed: int, key: bytes) -> tuple[int, Tally] | None:
    row = db.execute("SELECT lsn, checksum, value FROM small WHERE space = 0 AND key = ?", (key,)).fetchone()
    if row is None:
        return None
    lsn, check, value = row
    if not matches(seed, OWN, key, lsn, value, check):
        raise Corrupt(f"{show(key)} is damaged: its checksum does not match.")
    return check, Tally(*_VALUE.unpack(value))


def groups(db: Any, number: int, after: int, before: int | None) -> list[int]:
    """Groups of a space, between these two, that have a tally; the first of them."""
    last = _KEY.pack(number, (1 << 64) - 1 if before is None else before)
    query = "SELECT key FROM small WHERE space = 0 AND key >= ? AND key < ? LIMIT 1"
    return [_KEY.unpack(key)[1] for (key,) in db.execute(query, (_KEY.pack(number, after + 1), last))]


def parse(key: bytes, value: bytes) -> tuple[int, int, Tally]:
    """A row's (space, group, tally). Raises struct.error for what is none."""
    number, group = _KEY.unpack(key)
    return number, group, Tally(*_VALUE.unpack(value))


def show(key: bytes) -> str:
    """A tally's name, for people."""
    try:
        number, group = _KEY.unpack(key)
    except StructError:
        return f"The tally {key.hex()}"
    return f"The tally of group {group} of space {number}"


def found(db: Any, seed: int, state: State) -> None:
    """Count all rows anew, for a store that has no tallies yet."""
    for number, paged in db.execute("SELECT number, paged FROM spaces").fetchall():
        if paged:
            changes = Changes(number)
            for key, check in db.execute(f"SELECT key, checksum FROM space_{int(number)}"):  # noqa: S608  # a number
                changes.count(key, check, 1)
            changes.write(db, seed, state)
