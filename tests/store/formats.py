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
from ropewayd.store.protocol import Entry, KeyRange, Record, Slice
from ropewayd.store.sqlite import SqliteStore
from tests.store.damage import Contents, connect
from tests.store.places import MESSAGES, NAMES, OTHERS, TIMES, image

HERE = Path(__file__).parent
STATES = ("closed", "crashed")

CONTENTS = Contents(
    small=[
        Record(NAMES, b"a", 4, b"A"),
        Record(NAMES, b"b\0", 4, b"B" * 300),
        Record(TIMES, b"now", 6, b"\1"),
    ],
    tail=[Entry(4, b"four"), Entry(5, b"five" * 100), Entry(6, b"six"), Entry(7, b"seven")],
    paged=[
        *(Record(MESSAGES, n, 4, b"message %d" % n) for n in (1, 2, 8, 9)),
        Record(MESSAGES, 5, 6, b"again"),
        Record(OTHERS, 2**63 - 1, 6, b"O" * 20_000),
    ],
)
"""What is in each of them. The records of a space are in the order of their keys."""


async def write(path: Path) -> SqliteStore:
    """A store with just that in it, on its way through drops, a trim and a dropped range. It is left open."""
    store = SqliteStore(path, reserve_bytes=0, connector=connect)
    claim = await store.claim("formats")
    for lsn in range(3):
        await store.append(claim, lsn, b"trimmed")
    puts = [record for record in CONTENTS.small + CONTENTS.paged if record.lsn == 4]
    puts += [Record(MESSAGES, n, 4, b"to be dropped") for n in (3, 4, 5, 6, 7)]
    puts += [Record(NAMES, b"c", 4, b"to be dropped")]
    await store.append(claim, 3, b"four", Slice(puts, trim_to=3))
    await store.append(claim, 4, b"five" * 100, Slice(drop_ranges=[KeyRange(MESSAGES, 3, 7)]))
    puts = [record for record in CONTENTS.small + CONTENTS.paged if record.lsn == 6]
    await store.append(claim, 5, b"six", Slice(puts, drops=[(NAMES, b"c")]))
    await store.append(claim, 6, b"seven")
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
