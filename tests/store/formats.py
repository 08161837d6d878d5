"""A small store in the current format, for the collection of old ones: python -m tests.store.formats.

It writes tests/store/format-N.tar.xz, N being the format's number. What is there for a released format is
never written again.
"""

from __future__ import annotations

import asyncio
import shutil
import tarfile
import tempfile
from pathlib import Path

from ropewayd.store import tables
from ropewayd.store.protocol import Entry, KeyRange, Passage, Record, Slice
from ropewayd.store.sqlite import SqliteStore
from tests.store.damage import Contents, connect
from tests.store.places import MESSAGES, NAMES, OTHERS, TIMES, image

HERE = Path(__file__).parent
STATES = ("closed", "crashed")

_RECORDS = [
    *(Record(MESSAGES, n, 4, b"message %d" % n) for n in (1, 2, 8, 9)),
    Record(MESSAGES, 5, 6, b"again"),
    Record(OTHERS, 2**63 - 1, 6, b"O" * 20_000),
]
_SAID = [
    *(Record(MESSAGES, n, 4, b"trimmed", 1) for n in (20, 21, 25)),
    *(Record(MESSAGES, n, 7, b"seven", 2) for n in (30, 31)),
]
"""By passages: of a row that is trimmed, and of one that is not."""

_FIRST = Contents(
    small=[
        Record(NAMES, b"a", 4, b"A"),
        Record(NAMES, b"b\0", 4, b"B" * 300),
        Record(TIMES, b"now", 6, b"\1"),
    ],
    tail=[Entry(4, b"four"), Entry(5, b"five" * 100), Entry(6, b"six"), Entry(7, b"seven")],
    paged=_RECORDS,
)

CONTENTS = {1: _FIRST, 2: _FIRST, 3: Contents(_FIRST.small, _FIRST.tail, _RECORDS + _SAID)}
"""What is in those of each format."""


async def write(path: Path) -> SqliteStore:
    """A store with just that in it, on its way through drops, a trim, dropped ranges and passages. It is left
    open."""
    store = SqliteStore(path, reserve_bytes=0, connector=connect)
    claim = await store.claim("formats")
    for lsn in range(3):
        await store.append(claim, lsn, b"trimmed")
    records = _FIRST.small + _RECORDS
    puts = [record for record in records if record.lsn == 4]
    puts += [Record(MESSAGES, n, 4, b"to be dropped") for n in (3, 4, 5, 6, 7)]
    puts += [Record(NAMES, b"c", 4, b"to be dropped")]
    passages = [Passage(MESSAGES, range(20, 26), 4, 2), Passage(OTHERS, [20, 22], 4, 3)]
    await store.append(claim, 3, b"four", Slice(puts, trim_to=3, passages=passages))
    drops = [KeyRange(MESSAGES, 3, 7), KeyRange(OTHERS, 0, 99)]
    await store.append(claim, 4, b"five" * 100, Slice(drop_ranges=drops))
    puts = [record for record in records if record.lsn == 6]
    gone = [(MESSAGES, 22), (MESSAGES, 23), (MESSAGES, 24)]
    await store.append(claim, 5, b"six", Slice(puts, drops=[(NAMES, b"c"), *gone]))
    await store.append(claim, 6, b"seven", Slice(passages=[Passage(MESSAGES, [30, 31], 7, 7)]))
    return store


async def main() -> None:
    root = Path(tempfile.mkdtemp())
    store = await write(root / "closed")
    image(root / "closed", root / "crashed")
    await store.close()
    (root / "closed" / "lock").unlink()
    with tarfile.open(HERE / f"format-{tables.FORMAT}.tar.xz", "w:xz") as archive:
        for state in STATES:
            archive.add(root / state, state)
    shutil.rmtree(root)


if __name__ == "__main__":
    asyncio.run(main())
