"""Processes that end in the middle: killed, or with a disk that fails. What they said is durable is there."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from ropewayd.store.protocol import Entry
from tests.store.appender import batch
from tests.store.damage import Contents, read
from tests.store.places import MESSAGES

ROOT = Path(__file__).parents[2]


def start(path: Path, file_limit: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.appender", str(path), str(file_limit)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def check(found: Contents, said: int) -> int:
    """All that was said to be durable is there, each lsn once; give the last."""
    lsns = [entry.lsn for entry in found.tail]
    last = lsns[-1]
    assert last >= said
    assert lsns == list(range(lsns[0], last + 1))
    assert found.tail == [Entry(lsn, batch(lsn)) for lsn in lsns]
    # A slice is there if and only if its row is.
    with_slice = last - last % 5
    if with_slice:
        assert [record.value for record in found.small] == [b"%d" % with_slice]
        newest = [record.key for record in found.paged if record.space == MESSAGES]
        assert newest == list(range(max(5, with_slice - 45), with_slice + 1, 5))
    return last


def kill_after(process: subprocess.Popen[str], count: int) -> int:
    """Kill the process when it has appended so often; give the last lsn that it said at all."""
    assert process.stdout is not None
    last = 0
    for number, line in enumerate(process.stdout):
        assert line.removeprefix("from ").strip().isdigit(), line
        last = int(line.split()[-1])
        if number == count:
            process.kill()
    process.wait()
    process.stdout.close()
    return last


@pytest.mark.parametrize(
    ("rounds", "most"), [pytest.param(4, 60), pytest.param(60, 400, marks=pytest.mark.proof)]
)
def test_killed_while_it_appends(tmp_path: Path, rounds: int, most: int) -> None:
    rng = random.Random(rounds)
    path = tmp_path / "data"
    last = 0
    for _ in range(rounds):
        said = kill_after(start(path), rng.randrange(5, most))
        assert said >= last
        last = check(read(path), said)


ENDINGS = {
    "returns": "return",
    "raises": "raise SystemExit(3)",
    "forgets": "del store; gc.collect(); await asyncio.sleep(0.05)",
    "forgets in a cycle": "store.cycle = store; del store; gc.collect()",
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_process_that_ends_without_closing_leaves_a_crash_and_no_more(tmp_path: Path, ending: str) -> None:
    code = f"""
import asyncio, gc, sys
from pathlib import Path
from ropewayd.store.sqlite import SqliteStore

async def main():
    store = SqliteStore(Path(sys.argv[1]), reserve_bytes=0)
    claim = await store.claim("x")
    for lsn in range(20):
        await store.append(claim, lsn, bytes(1000))
    {ending}

asyncio.run(main())
"""
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "data")], check=False, timeout=60
    )
    assert process.returncode == (3 if "Exit" in ending else 0)
    assert (tmp_path / "data" / "ropeway.db-wal").stat().st_size > 20_000
    assert [entry.lsn for entry in read(tmp_path / "data").tail] == list(range(1, 21))


def test_a_disk_that_fails_makes_it_unknown_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data"
    process = start(path, file_limit=300_000)
    out, _ = process.communicate()
    *_, last, failure = out.splitlines()
    assert failure.startswith("Unknown The disk failed (SQLITE_IOERR")
    assert process.returncode == 0
    # It left the log as it was, and the next start takes up from there.
    assert (path / "ropeway.db-wal").stat().st_size > 0
    check(read(path), int(last))
