"""A process that appends until it is killed, and says each lsn that is durable. For test_crash.py."""

from __future__ import annotations

import asyncio
import random
import resource
import sys
from pathlib import Path

from ropewayd.store.protocol import Record, Slice, StoreError
from ropewayd.store.sqlite import SqliteStore
from tests.store.places import MESSAGES, NAMES


def batch(lsn: int) -> bytes:
    """What row `lsn` holds, in every run."""
    rng = random.Random(lsn)
    return b"%d:" % lsn + rng.randbytes(rng.choice([10, 2000, 70_000]))


def given(lsn: int) -> Slice | None:
    """The slice that goes with row `lsn`."""
    if lsn % 5:
        return None
    return Slice(
        [Record(MESSAGES, lsn, lsn, b"message %d" % lsn), Record(NAMES, b"last", lsn, b"%d" % lsn)],
        drops=[(MESSAGES, lsn - 50)] if lsn > 50 else (),
        trim_to=max(0, lsn - 400),
    )


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def main(path: Path, file_limit: int) -> None:
    store = SqliteStore(path, wal_bytes=1 << 20, reserve_bytes=0)
    claim = await store.claim("appender")
    lsn = claim.last_lsn
    say("from", lsn)
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    while True:
        try:
            lsn = await store.append(claim, lsn, batch(lsn + 1), given(lsn + 1))
        except StoreError as error:
            say(type(error).__name__, error)
            await store.close()
            return
        say(lsn)
        if lsn % 50 == 0:
            await store.tidy()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
