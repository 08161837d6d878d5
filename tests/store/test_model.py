"""Long random lives of each store, beside a model of a few dictionaries: the laws hold together too."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ropewayd.store.checks import is_near
from ropewayd.store.passages import KEPT, count_of, parse, passages_of
from ropewayd.store.protocol import (
    Claim,
    Entry,
    Fenced,
    Key,
    KeyRange,
    Passage,
    Record,
    Recovered,
    Slice,
    Space,
    Store,
)
from tests import memory
from tests.store.places import MESSAGES, NAMES, OTHERS, PLACES, TIMES, SqlitePlace

Result = TypeVar("Result")

SMALL_KEYS = st.sampled_from([b"", b"a", b"b", b"\xff\xff", b"a" * 256])
PAGED_KEYS = st.integers(0, 30) | st.sampled_from([2**32, 2**63 - 2, 2**63 - 1])
RUNS = st.tuples(st.integers(0, 40), st.integers(1, 20)).map(lambda run: [*range(run[0], sum(run))])
PASSAGES = st.lists(
    st.tuples(
        st.sampled_from([MESSAGES, OTHERS]), st.lists(PAGED_KEYS, min_size=1) | RUNS, st.floats(0, 0.999)
    ),
    max_size=3,
)
"""The last of each: how far back in the journal's tail its row is."""
VALUES = st.binary(max_size=20) | st.integers(1, 60).map(lambda n: bytes([n]) * n * 1000)
PUTS = st.lists(
    st.tuples(st.sampled_from([NAMES, TIMES]), SMALL_KEYS, VALUES)
    | st.tuples(st.sampled_from([MESSAGES, OTHERS]), PAGED_KEYS, VALUES),
    max_size=8,
)
DROPS = st.lists(
    st.tuples(st.sampled_from([NAMES, TIMES]), SMALL_KEYS)
    | st.tuples(st.sampled_from([MESSAGES, OTHERS]), PAGED_KEYS),
    max_size=4,
)
RANGES = st.lists(st.tuples(st.sampled_from([MESSAGES, OTHERS]), PAGED_KEYS, PAGED_KEYS), max_size=2)


class Book:
    """What there is, as the protocol has it."""

    def __init__(self) -> None:
        self.records: dict[tuple[Space, Key], Record] = {}
        self.said: list[tuple[Space, int, set[int]]] = []
        """Passages: the first key that each was put with, and the keys that it still says."""
        self.tail: list[Entry] = []

    def drop(self, gone: Iterable[tuple[Space, Key]]) -> None:
        for space, key in list(gone):
            self.records.pop((space, key), None)
            for other, _, keys in self.said:
                if other == space:
                    keys.discard(key)
        self.said = [each for each in self.said if each[2]]

    def drop_range(self, dropped: KeyRange) -> None:
        self.drop(
            (space, key)
            for space, key in self.records
            if space == dropped.space and isinstance(key, int) and dropped.first <= key <= dropped.last
        )

    def put(self, records: Iterable[Record]) -> None:
        for record in records:
            self.drop([(record.space, record.key)])
            self.records[record.space, record.key] = record

    def keep(self, passage: Passage) -> None:
        row = next(entry.batch for entry in self.tail if entry.lsn == passage.source)
        share = max(1, len(row) // len(passage.keys))
        for key in passage.keys:
            self.records[passage.space, key] = Record(passage.space, key, passage.lsn, row, share)
        self.said.append((passage.space, passage.keys[0], set(passage.keys)))

    def passage(self, space: Space, keys: Iterable[int], lsn: int, back: float) -> Passage | None:
        """One of such keys, as far as they can be one."""
        keys = sorted({key for key in keys if (space, key) not in self.records})
        keys = [key for key in keys if is_near(keys[:1], [key])]
        if not keys or not self.tail or self.overlaps(space, keys):
            return None
        return Passage(space, keys, lsn, self.tail[-1 - int(len(self.tail) * back)].lsn)

    def overlaps(self, space: Space, keys: list[int]) -> bool:
        return any(
            other == space and first <= keys[-1] and max(there) >= keys[0]
            for other, first, there in self.said
        )


class Life(RuleBasedStateMachine):
    """One store's life."""

    kind: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp(prefix="ropeway-life-", dir=memory.place()))
        self.place = PLACES[self.kind](self.root)
        self.store: Store = self.place.store()
        self.claims: list[Claim] = []
        self.last = 0
        self.book = Book()

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(call)

    @property
    def claim(self) -> Claim:
        return self.claims[-1]

    def start(self) -> None:
        claim = self.run(self.store.claim("life"))
        assert claim.last_lsn == self.last
        assert all(claim.epoch > older.epoch for older in self.claims)
        self.claims.append(claim)
        self.recovers()

    @initialize()
    def first_start(self) -> None:
        self.start()

    @rule()
    def crash(self) -> None:
        self.run(self.place.crash(self.store))
        self.store = self.place.store()
        self.start()

    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.store = self.place.store()
        self.start()

    @rule()
    def another_claims(self) -> None:
        self.start()

    @rule(batches=st.lists(VALUES.filter(bool), min_size=1, max_size=5))
    def append(self, batches: list[bytes]) -> None:
        for batch in batches:
            assert self.run(self.store.append(self.claim, self.last, batch)) == self.last + 1
            self.last += 1
            self.book.tail.append(Entry(self.last, batch))

    @rule(
        batch=VALUES,
        puts=PUTS,
        drops=DROPS,
        ranges=RANGES,
        passages=PASSAGES,
        trim=st.floats(0, 1) | st.just(1),
    )
    def append_slice(
        self,
        batch: bytes,
        puts: list[tuple[Space, Key, bytes]],
        drops: list[tuple[Space, Key]],
        ranges: list[tuple[Space, int, int]],
        passages: list[tuple[Space, list[int], float]],
        trim: float,
    ) -> None:
        lsn = self.last + bool(batch)
        kept: list[Passage] = []
        given = Slice(
            [Record(space, key, lsn, value) for space, key, value in puts],
            drops,
            [KeyRange(space, min(a, b), max(a, b)) for space, a, b in ranges],
            int(lsn * trim),
            kept,
        )
        if batch:
            self.book.tail.append(Entry(lsn, batch))
        for dropped in given.drop_ranges:
            self.book.drop_range(dropped)
        self.book.drop(drops)
        for space, keys, back in passages:
            passage = self.book.passage(space, keys, lsn, back)
            if passage is not None:
                kept.append(passage)
                self.book.keep(passage)
        self.book.put(given.puts)
        self.book.tail = [entry for entry in self.book.tail if entry.lsn > given.trim_to]
        assert self.run(self.store.append(self.claim, self.last, batch, given)) == lsn
        self.last = lsn

    @rule(
        batch=VALUES,
        puts=PUTS,
        drops=DROPS,
        space=st.sampled_from([MESSAGES, OTHERS]),
        keys=st.lists(st.integers(0, 30), min_size=1) | RUNS,
    )
    def a_passage_is_refused(
        self,
        batch: bytes,
        puts: list[tuple[Space, Key, bytes]],
        drops: list[tuple[Space, Key]],
        space: Space,
        keys: list[int],
    ) -> None:
        lsn = self.last + bool(batch)
        keys = sorted(set(keys))
        dropped = set(drops)
        if not any((space, key) in self.book.records and (space, key) not in dropped for key in keys):
            return
        given = Slice(
            [Record(space, key, lsn, value) for space, key, value in puts],
            drops,
            trim_to=lsn,
            passages=[Passage(space, keys, lsn, lsn)],
        )
        with pytest.raises(ValueError, match=r"passage|trimmed"):
            self.run(self.store.append(self.claim, self.last, batch, given))

    @rule(older=st.integers(0, 5), batch=VALUES, puts=PUTS)
    def an_older_claim_appends(self, older: int, batch: bytes, puts: list[tuple[Space, Key, bytes]]) -> None:
        old = self.claims[max(0, len(self.claims) - 2 - older)]
        if old == self.claim:
            return
        given = Slice([Record(space, key, 0, value) for space, key, value in puts], trim_to=self.last)
        with pytest.raises(Fenced):
            self.run(self.store.append(old, self.last, batch, given))

    @rule(wrong=st.integers(-3, 3).filter(bool), batch=VALUES)
    def an_append_expects_another_lsn(self, wrong: int, batch: bytes) -> None:
        expect = self.last + wrong
        if expect >= 0:
            with pytest.raises(Fenced):
                self.run(self.store.append(self.claim, expect, batch, Slice(trim_to=expect)))

    @rule(times=st.integers(1, 5))
    def tidy(self, times: int) -> None:
        for _ in range(times):
            self.run(self.store.tidy())

    @rule(times=st.integers(1, 8), max_bytes=st.sampled_from([1, 20_000, 1 << 20]))
    def scrub(self, times: int, max_bytes: int) -> None:
        for _ in range(times):
            self.run(self.store.scrub(self.claim, max_bytes))

    @rule(space=st.sampled_from([MESSAGES, OTHERS]), keys=st.lists(PAGED_KEYS, max_size=6))
    def read_paged(self, space: Space, keys: list[int]) -> None:
        self.read(space, keys)

    @rule(space=st.sampled_from([NAMES, TIMES]), keys=st.lists(SMALL_KEYS, max_size=6))
    def read_small(self, space: Space, keys: list[bytes]) -> None:
        self.read(space, keys)

    def read(self, space: Space, keys: list[Any]) -> None:
        expected = [self.book.records[space, key] for key in keys if (space, key) in self.book.records]
        assert self.run(self.store.read(self.claim, space, keys)) == expected

    @rule(
        space=st.sampled_from([MESSAGES, OTHERS]),
        bounds=st.tuples(PAGED_KEYS, PAGED_KEYS),
        limit=st.integers(1, 40),
        max_bytes=st.integers(0, 100_000),
    )
    def page(self, space: Space, bounds: tuple[int, int], limit: int, max_bytes: int) -> None:
        expected: list[Record] = []
        room = max_bytes
        for record in self.of(space):
            assert isinstance(record.key, int)
            if min(bounds) <= record.key <= max(bounds):
                if len(expected) == limit or (expected and room <= 0):
                    break
                expected.append(record)
                room -= record.size
        found = self.run(self.store.page(self.claim, space, min(bounds), max(bounds), limit, max_bytes))
        assert found == expected

    @rule(bounds=st.lists(st.tuples(st.sampled_from([MESSAGES, OTHERS]), PAGED_KEYS, PAGED_KEYS), max_size=4))
    def ranges(self, bounds: list[tuple[Space, int, int]]) -> None:
        wanted = [KeyRange(space, min(ends), max(ends)) for space, *ends in bounds]
        expected = [
            record
            for each in wanted
            for record in self.of(each.space)
            if isinstance(record.key, int) and each.first <= record.key <= each.last
        ]
        assert self.run(self.store.read_ranges(self.claim, wanted)) == expected

    @rule()
    def recovers(self) -> None:
        small = [*self.of(NAMES), *self.of(TIMES)]
        assert self.run(self.store.recover(self.claim)) == Recovered(small, self.book.tail)

    @invariant()
    def the_pages_hold_all_records(self) -> None:
        for space in (MESSAGES, OTHERS) if self.claims else ():
            found = self.run(self.store.page(self.claim, space, 0, 2**63 - 1, 1000, 1 << 40))
            assert found == self.of(space)

    def of(self, space: Space) -> list[Record]:
        return sorted((r for r in self.book.records.values() if r.space == space), key=lambda r: r.key)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.root)


class MemoryLife(Life):
    kind = "memory"


class SqliteLife(Life):
    kind = "sqlite"

    def teardown(self) -> None:
        if self.claims:
            self.settle()
            self.reopen()
            self.drop_everything()
            self.settle()
        super().teardown()

    def to_its_end(self, step: Callable[[], Coroutine[Any, Any, int]]) -> None:
        for _ in range(1000):
            if not self.run(step()):
                return
        raise AssertionError("it never ends")

    def drop_everything(self) -> None:
        """Some of it key by key, some as a range."""
        alone = [(space, key) for space, key in self.book.records if space != MESSAGES]
        given = Slice(drops=alone, drop_ranges=[KeyRange(MESSAGES, 0, 2**63 - 1)], trim_to=self.last)
        self.run(self.store.append(self.claim, self.last, b"", given))
        self.book = Book()

    def settle(self) -> None:
        """Do all that there is to do; then no journal row is kept for nothing, and none is missing."""
        self.to_its_end(self.store.tidy)
        for _ in range(2):  # the first round may have begun long ago
            self.to_its_end(lambda: self.store.scrub(self.claim, 1 << 20))
        self.run(self.store.close())
        assert isinstance(self.place, SqlitePlace)
        with closing(sqlite3.connect(self.place.path / "ropeway.db")) as db:
            (tables,) = zip(*db.execute("SELECT name FROM sqlite_schema"), strict=True)

            def rows(space: Space) -> list[Record]:
                there = f"space_{space.number}" in tables
                found = db.execute(f"SELECT key, lsn, value FROM space_{space.number}") if there else ()
                return [Record(space, *row) for row in found]

            said = [parse(row) for space in (MESSAGES, OTHERS) for row in rows(passages_of(space))]
            kept = {row.key: count_of(row) for row in rows(KEPT)}
            (trimmed,) = db.execute("SELECT trimmed FROM state").fetchone()
            left = {lsn for (lsn,) in db.execute("SELECT lsn FROM journal WHERE lsn <= ?", (trimmed,))}
        assert kept == Counter(each.source for each in said)
        assert left == {lsn for lsn in kept if isinstance(lsn, int) and lsn <= trimmed}
        assert sorted((each.first, list(each.keys(0, 2**63 - 1))) for each in said) == sorted(
            (first, sorted(keys)) for _, first, keys in self.book.said
        )


TestMemory = MemoryLife.TestCase
TestMemory.settings = settings(max_examples=50, stateful_step_count=30)

TestSqlite = SqliteLife.TestCase
TestSqlite.settings = settings(max_examples=25, stateful_step_count=30)


class LongSqliteLife(SqliteLife):
    pass


TestLongSqlite = pytest.mark.proof(LongSqliteLife.TestCase)
TestLongSqlite.settings = settings(max_examples=100, stateful_step_count=50)
