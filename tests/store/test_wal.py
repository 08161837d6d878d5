"""The walk through SQLite's log: it counts what SQLite counts, and tells damage from torn writes."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewayd.store.protocol import Corrupt
from ropewayd.store.wal import Log, Order, cut_off, own_parts, powers, scan, simple

PAGE = 4096
FRAME = 24 + PAGE


class Writer:
    """A database that never folds its log in by itself."""

    def __init__(self, root: Path) -> None:
        self.path = root / "a.db"
        self.log = root / "a.db-wal"
        self.db = sqlite3.connect(self.path, isolation_level=None)
        for pragma in (f"page_size = {PAGE}", "journal_mode = WAL", "wal_autocheckpoint = 0"):
            self.db.execute(f"PRAGMA {pragma}").fetchall()
        self.db.execute("CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b)")

    def commit(self, size: int) -> None:
        self.db.execute("INSERT INTO t (b) VALUES (?)", (random.Random(size).randbytes(size),))

    def checkpoint(self) -> int:
        _, frames, _ = self.db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        assert isinstance(frames, int)
        return frames


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(tmp_path)
    yield writer
    writer.db.close()


def ends(log: Path) -> list[int]:
    """The frames that end a commit, numbered from 1, by their headers alone."""
    content = log.read_bytes()
    heads = [content[at : at + 16] for at in range(32, len(content) - FRAME + 1, FRAME)]
    return [n for n, head in enumerate(heads, 1) if head[8:16] == content[16:24] and any(head[4:8])]


def harm(log: Path, frame: int, offset: int = 100, value: int = 1) -> None:
    content = bytearray(log.read_bytes())
    content[32 + (frame - 1) * FRAME + offset] ^= value
    log.write_bytes(content)


@given(seed=st.integers(), count=st.integers(1, 300), order=st.sampled_from(["big", "little"]))
def test_many_lanes_give_what_word_by_word_gives(seed: int, count: int, order: Order) -> None:
    size = 24 + 8 * 64
    chunk = random.Random(seed).randbytes(count * size)
    for n, part in enumerate(own_parts(chunk, count, order)):
        frame = chunk[n * size : (n + 1) * size]
        assert part == simple(frame[:8] + frame[24:], order)


@given(before=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), pairs=st.integers(0, 50))
def test_what_came_before_counts_by_powers(before: tuple[int, int], pairs: int) -> None:
    a, b, c = powers(pairs)
    expected = (a * before[0] + b * before[1]) % 2**32, (b * before[0] + c * before[1]) % 2**32
    assert simple(bytes(8 * pairs), "little", before) == expected


def test_no_log(tmp_path: Path) -> None:
    assert scan(tmp_path / "none") == Log()
    for content in (b"", b"x" * 31, bytes(5000)):
        (tmp_path / "log").write_bytes(content)
        assert scan(tmp_path / "log") == Log()


def test_it_counts_what_sqlite_counts(writer: Writer) -> None:
    for generation in range(3):
        for size in range(generation, 20_000, 1500 * (generation + 1)):
            writer.commit(size)
        log = scan(writer.log)
        assert log.there
        assert log.page_size == PAGE
        assert log.frames == writer.checkpoint()
        assert log.first_page[:100] == writer.path.read_bytes()[:100]


def test_a_log_whose_content_is_all_in_the_database_is_whole(writer: Writer) -> None:
    writer.commit(100_000)
    frames = writer.checkpoint()
    assert scan(writer.log).frames == frames
    writer.commit(10)
    assert scan(writer.log).frames == writer.checkpoint() < frames


@pytest.mark.parametrize("sizes", [(9000, 100, 9000, 9000), (10, 10, 10, 10)], ids=["many frames", "one"])
def test_damage_before_the_last_commit_is_corrupt(writer: Writer, sizes: tuple[int, ...]) -> None:
    for size in sizes:
        writer.commit(size)
    whole = writer.log.read_bytes()
    *_, before_last, last = ends(writer.log)
    for frame in range(1, before_last + 1):
        # The page; the page's number; the end mark of a commit; each salt; each half of the checksum.
        for offset in (24, 500, 24 + PAGE - 1, 0, 3, 7, 8, 15, 16, 20, 23):
            writer.log.write_bytes(whole)
            harm(writer.log, frame, offset, 64)
            with pytest.raises(Corrupt, match=r"a\.db-wal is damaged"):
                scan(writer.log)
    assert last > before_last


def test_damage_in_two_commits_is_corrupt(writer: Writer) -> None:
    for size in (9000, 9000, 20_000, 100):
        writer.commit(size)
    whole = writer.log.read_bytes()
    first, second, third, _ = ends(writer.log)[-4:]
    for one in range(first + 1, second + 1):
        for two in range(second + 1, third):
            writer.log.write_bytes(whole)
            harm(writer.log, one)
            harm(writer.log, two)
            with pytest.raises(Corrupt, match=f"Frame {one} of "):
                scan(writer.log)


def test_a_log_is_cut_off_behind_its_last_whole_commit(writer: Writer) -> None:
    for size in (100, 30_000):
        writer.commit(size)
    whole = writer.log.read_bytes()
    before_last, last = ends(writer.log)[-2:]
    assert scan(writer.log).end == len(whole)
    harm(writer.log, last - 1)
    found = scan(writer.log)
    cut_off(writer.log, found.end)
    assert writer.log.read_bytes() == whole[: 32 + before_last * FRAME]
    assert scan(writer.log) == found


def test_damage_in_the_last_commit_is_a_torn_write(writer: Writer) -> None:
    for size in (100, 30_000):
        writer.commit(size)
    whole = writer.log.read_bytes()
    *_, before_last, last = ends(writer.log)
    assert last - before_last > 5
    for frame in range(before_last + 1, last + 1):
        writer.log.write_bytes(whole)
        harm(writer.log, frame)
        assert scan(writer.log).frames == before_last


def test_a_torn_write_whose_frames_are_partly_old(writer: Writer) -> None:
    """The frames of the last commit reach the disk in any order; where they did not, older content shows."""
    writer.commit(300_000)
    writer.checkpoint()
    writer.commit(100)
    old = writer.log.read_bytes()
    frames = scan(writer.log).frames
    writer.commit(30_000)
    new = writer.log.read_bytes()
    last = ends(writer.log)[-1]
    rng = random.Random(1)
    for _ in range(100):
        mixed = bytearray(new)
        lost = [n for n in range(frames + 1, last + 1) if rng.random() < 0.5] or [last]
        for frame in lost:
            at = 32 + (frame - 1) * FRAME
            mixed[at : at + FRAME] = old[at : at + FRAME]
        writer.log.write_bytes(mixed)
        assert scan(writer.log).frames == frames


def test_remains_of_a_torn_write_behind_a_later_commit_are_no_damage(writer: Writer) -> None:
    """After a crash the log goes on where it was good, over the torn commit. Frames of that stay behind."""
    writer.commit(100)
    good = scan(writer.log).frames
    writer.commit(30_000)
    torn = writer.log.read_bytes()
    # Frame good + 1 is written over by a commit of one frame, as by SQLite after the crash.
    mixed = writer.log.with_name("mixed")
    mixed.write_bytes(rewritten(torn, good + 1))
    assert ends(mixed)[-2:] == [good + 1, ends(writer.log)[-1]]
    assert scan(mixed).frames == good + 1


def test_of_a_log_begun_anew_no_more_is_walked_than_there_is(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.commit(300_000)
    writer.checkpoint()
    writer.commit(100)
    walked = []

    def counted(chunk: bytes, count: int, order: Order) -> list[tuple[int, int]]:
        walked.append(count)
        return own_parts(chunk, count, order)

    monkeypatch.setattr("ropewayd.store.wal.own_parts", counted)
    log = scan(writer.log)
    assert log.frames == ends(writer.log)[-1] < writer.log.stat().st_size // FRAME
    assert sum(walked) == log.frames + 1


def test_two_torn_commits_in_one_place_are_no_damage(writer: Writer, tmp_path: Path) -> None:
    """The power goes in a long commit, and after the start in a shorter one over it."""
    writer.commit(100)
    good = scan(writer.log).frames
    writer.commit(60_000)
    harm(writer.log, good + 2)
    for number in range(2):
        files = [(path.name, path.read_bytes()) for path in (writer.path, writer.log)]
        writer.db.close()
        root = tmp_path / str(number)
        root.mkdir()
        for name, content in files:
            (root / name).write_bytes(content)
        found = scan(root / "a.db-wal")
        assert found.frames == good
        cut_off(root / "a.db-wal", found.end)
        writer = Writer(root)
        writer.commit(10_000)
        assert scan(writer.log).frames > good + 1
        harm(writer.log, good + 1)
    assert scan(writer.log).frames == good
    writer.db.close()


def rewritten(log: bytes, number: int) -> bytes:
    """The log with this frame in place of what is there: a whole commit of its own."""
    content = bytearray(log)
    at = 32 + (number - 1) * FRAME
    content[at + 4 : at + 8] = (9).to_bytes(4, "big")
    content[at + 24 : at + FRAME] = b"\x07" * PAGE
    order: Order = "big" if content[3] & 1 else "little"
    before = (
        int.from_bytes(content[at - FRAME + 16 : at - FRAME + 20], "big"),
        int.from_bytes(content[at - FRAME + 20 : at - FRAME + 24], "big"),
    )
    sums = simple(bytes(content[at : at + 8] + content[at + 24 : at + FRAME]), order, before)
    content[at + 16 : at + 24] = sums[0].to_bytes(4, "big") + sums[1].to_bytes(4, "big")
    return bytes(content)


def test_a_damaged_header_is_corrupt(writer: Writer) -> None:
    writer.commit(100)
    whole = writer.log.read_bytes()
    for at in range(32):
        content = bytearray(whole)
        content[at] ^= 16
        writer.log.write_bytes(content)
        with pytest.raises(Corrupt, match="header of"):
            scan(writer.log)


def test_a_log_cut_anywhere_ends_at_a_commit(writer: Writer) -> None:
    for size in (100, 9000, 5000):
        writer.commit(size)
    whole = writer.log.read_bytes()
    marks = [0, *ends(writer.log)]
    for length in range(32, len(whole), 997):
        writer.log.write_bytes(whole[:length])
        frames = (length - 32) // FRAME
        assert scan(writer.log).frames == max(mark for mark in marks if mark <= frames)
