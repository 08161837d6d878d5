"""Long random lives of each store, beside a model of a few dictionaries: the laws hold together too."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ropewayd.store.protocol import (
    Claim,
    Entry,
    Fenced,
    Key,
    KeyRange,
    Record,
    Recovered,
    Slice,
    Space,
    Store,
)
from tests import memory
from tests.store.places import MESSAGES, NAMES, OTHERS, PLACES, TIMES

Result = TypeVar("Result")

SMALL_KEYS = st.sampled_from([b"", b"a", b"b", b"\xff\xff", b"a" * 256])
PAGED_KEYS = st.integers(0, 30) | st.sampled_from([2**32, 2**63 - 2, 2**63 - 1])
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
        self.tail: list[Entry] = []
        self.last = 0
        self.records: dict[tuple[Space, Key], Record] = {}

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
            self.tail.append(Entry(self.last, batch))

    @rule(batch=VALUES, puts=PUTS, drops=DROPS, ranges=RANGES, trim=st.floats(0, 1))
    def append_slice(
        self,
        batch: bytes,
        puts: list[tuple[Space, Key, bytes]],
        drops: list[tuple[Space, Key]],
        ranges: list[tuple[Space, int, int]],
        trim: float,
    ) -> None:
        lsn = self.last + bool(batch)
        given = Slice(
            [Record(space, key, lsn, value) for space, key, value in puts],
            drops,
            [KeyRange(space, min(a, b), max(a, b)) for space, a, b in ranges],
            int(lsn * trim),
        )
        assert self.run(self.store.append(self.claim, self.last, batch, given)) == lsn
        if batch:
            self.last = lsn
            self.tail.append(Entry(lsn, batch))
        for dropped in given.drop_ranges:
            self.records = {
                (space, key): record
                for (space, key), record in self.records.items()
                if space != dropped.space
                or not isinstance(key, int)
                or not dropped.first <= key <= dropped.last
            }
        for each in drops:
            self.records.pop(each, None)
        for record in given.puts:
            self.records[record.space, record.key] = record
        self.tail = [entry for entry in self.tail if entry.lsn > given.trim_to]

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

    @rule(space=st.sampled_from([MESSAGES, OTHERS]), keys=st.lists(PAGED_KEYS, max_size=6))
    def read_paged(self, space: Space, keys: list[int]) -> None:
        self.read(space, keys)

    @rule(space=st.sampled_from([NAMES, TIMES]), keys=st.lists(SMALL_KEYS, max_size=6))
    def read_small(self, space: Space, keys: list[bytes]) -> None:
        self.read(space, keys)

    def read(self, space: Space, keys: list[Any]) -> None:
        expected = [self.records[space, key] for key in keys if (space, key) in self.records]
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
                room -= len(record.value)
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
        assert self.run(self.store.recover(self.claim)) == Recovered(small, self.tail)

    @invariant()
    def the_pages_hold_all_records(self) -> None:
        if self.claims:
            found = self.run(self.store.page(self.claim, MESSAGES, 0, 2**63 - 1, 1000, 1 << 40))
            assert found == self.of(MESSAGES)

    def of(self, space: Space) -> list[Record]:
        return sorted((r for r in self.records.values() if r.space == space), key=lambda r: r.key)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.root)


class MemoryLife(Life):
    kind = "memory"


class SqliteLife(Life):
    kind = "sqlite"


TestMemory = MemoryLife.TestCase
TestMemory.settings = settings(max_examples=50, stateful_step_count=30)

TestSqlite = SqliteLife.TestCase
TestSqlite.settings = settings(max_examples=25, stateful_step_count=30)


class LongSqliteLife(SqliteLife):
    pass


TestLongSqlite = pytest.mark.proof(LongSqliteLife.TestCase)
TestLongSqlite.settings = settings(max_examples=100, stateful_step_count=50)
