"""What is particular to passages in SQLite: their bits, the journal rows that are kept for them, and cost."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewayd.store.passages import KEPT, Held, Passages, bits_of, count_of, parse, passages_of
from ropewayd.store.protocol import Claim, Corrupt, KeyRange, Passage, Record, Refused, Slice, Space
from ropewayd.store.sqlite import SqliteStore
from tests.store.damage import TidyConnection
from tests.store.places import MESSAGES, OTHERS
from tests.store.test_sqlite import Failing

LAST = 2**63 - 1

Keys = st.lists(st.integers(0, 200), unique=True, min_size=1).map(sorted) | st.tuples(
    st.integers(0, 50), st.integers(1, 200)
).map(lambda run: [*range(run[0], sum(run))])


class Connection(Failing, TidyConnection):
    """Fails where it is told to, and is closed with its store."""


def connect(path: str) -> Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Connection)


class Journey:
    """A store, its claim, and where its journal ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store: SqliteStore
        self.claim: Claim
        self.lsn = 0

    async def open(self) -> None:
        self.store = SqliteStore(self.path, wal_bytes=1 << 18, reserve_bytes=0, connector=connect)
        self.claim = await self.store.claim("test")
        assert self.claim.last_lsn == self.lsn

    async def reopen(self) -> None:
        await self.store.close()
        await self.open()

    async def append(self, batch: bytes = b"", given: Slice | None = None) -> None:
        self.lsn = await self.store.append(self.claim, self.lsn, batch, given)

    async def drop(self, keys: Iterable[int], space: Space = MESSAGES) -> None:
        await self.append(given=Slice(drops=[(space, key) for key in keys]))

    async def trim(self, upto: int) -> None:
        await self.append(given=Slice(trim_to=upto))

    async def tidy(self) -> int:
        """To its end. Gives how many steps that took."""
        for step in range(1000):
            if not await self.store.tidy():
                return step
        raise AssertionError("tidying never ends")

    async def keys(self) -> list[object]:
        found = await self.store.page(self.claim, MESSAGES, 0, LAST, 1 << 20, 1 << 40)
        return [record.key for record in found]

    async def read(self) -> list[Record]:
        return await self.store.read(self.claim, MESSAGES, [2])

    async def scrub(self) -> None:
        for _ in range(2):
            while await self.store.scrub(self.claim, 1 << 20):
                pass

    # What is on disk

    @property
    def db(self) -> Any:
        return self.store._engine._db

    def journal(self) -> list[int]:
        return [lsn for (lsn,) in self.db.execute("SELECT lsn FROM journal ORDER BY lsn")]

    def rows(self, space: Space) -> list[Record]:
        known = self.store._engine._records.known(space.number)
        query = f"SELECT key, lsn, value FROM space_{space.number} ORDER BY key"
        return [Record(space, *row) for row in self.db.execute(query)] if known else []

    def held(self, space: Space = MESSAGES) -> list[Held]:
        return [parse(row) for row in self.rows(passages_of(space))]

    def kept(self) -> dict[Any, int]:
        """The counts, which are to be those of the passages."""
        counts = {row.key: count_of(row) for row in self.rows(KEPT)}
        assert counts == Counter(each.source for space in (MESSAGES, OTHERS) for each in self.held(space))
        return counts


@pytest.fixture
async def journey(tmp_path: Path) -> AsyncIterator[Journey]:
    journey = Journey(tmp_path / "data")
    await journey.open()
    yield journey
    await journey.store.close()


def passage(keys: Sequence[int], source: int, space: Space = MESSAGES) -> Passage:
    return Passage(space, keys, source, source)


# Bits


@given(Keys, st.data())
def test_bits_are_those_of_the_keys(keys: list[int], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, keys[0]))
    bits = bits_of(keys, first)
    assert [first + n for n in range(bits.bit_length()) if bits >> n & 1] == keys
    if keys[-1] - keys[0] == len(keys) - 1:
        assert bits_of(range(keys[0], keys[-1] + 1), first) == bits


@given(Keys, st.integers(0, 2), st.integers(0, 260), st.integers(0, 260))
def test_a_passage_has_the_keys_that_are_left(keys: list[int], before: int, low: int, high: int) -> None:
    first = max(0, keys[0] - before)
    held = Held(first, 7, 5, 300, bits_of(keys, first))
    assert held.last == keys[-1]
    assert [key for key in range(keys[-1] + 20) if held.has(key)] == keys
    assert [*held.keys(low, high)] == [key for key in keys if low <= key <= high]
    assert parse(Record(passages_of(MESSAGES), first, 7, held.value())) == held


# Journal rows


async def test_a_kept_row_goes_at_once_when_trimming_has_come_by(journey: Journey) -> None:
    for _ in range(4):
        await journey.append(b"row")
    given = [passage([1, 2], 2), passage([5, 6], 2), passage([1], 2, OTHERS), passage([8, 9], 3)]
    await journey.append(given=Slice(passages=given))
    assert journey.kept() == {2: 3, 3: 1}
    await journey.trim(4)
    assert journey.journal() == [2, 3]
    await journey.drop([1, 2, 5, 8])
    await journey.drop([1], OTHERS)
    assert journey.kept() == {2: 1, 3: 1}
    assert journey.journal() == [2, 3]
    await journey.append(given=Slice([Record(MESSAGES, 6, 4, b"put")]))
    assert journey.kept() == {3: 1}
    assert journey.journal() == [3]
    await journey.drop([9])
    assert journey.journal() == []
    assert (journey.held(), journey.held(OTHERS), journey.rows(KEPT)) == ([], [], [])
    await journey.scrub()


async def test_a_released_row_that_is_not_trimmed_yet_goes_with_the_trim(journey: Journey) -> None:
    for _ in range(3):
        await journey.append(b"row")
    await journey.append(given=Slice(passages=[passage([1], 1), passage([3], 3)]))
    await journey.drop([1, 3])
    assert journey.kept() == {}
    assert journey.journal() == [1, 2, 3]
    await journey.trim(2)
    assert journey.journal() == [3]


async def test_a_row_that_a_slice_keeps_releases_and_trims_goes(journey: Journey) -> None:
    given = Slice([Record(MESSAGES, 1, 1, b"put")], trim_to=1, passages=[passage([1], 1)])
    await journey.append(b"row", given)
    assert (journey.kept(), journey.journal()) == ({}, [])


async def test_a_row_that_is_released_may_be_kept_again_in_the_same_slice(journey: Journey) -> None:
    await journey.append(b"row", Slice(passages=[passage([1], 1)]))
    await journey.append(given=Slice(drops=[(MESSAGES, 1)], trim_to=1, passages=[passage([2], 1)]))
    assert (journey.kept(), journey.journal(), await journey.keys()) == ({1: 1}, [1], [2])


async def test_trimming_goes_on_after_a_reopen(journey: Journey) -> None:
    """The oldest row is a kept one then, and there are gaps behind it, up to where trimming has come."""
    for _ in range(600):
        await journey.append(b"row")
    await journey.append(given=Slice(passages=[passage([n], n) for n in (3, 7, 300)]))
    await journey.trim(590)
    await journey.tidy()
    assert journey.journal() == [3, 7, 300, *range(591, 601)]
    await journey.reopen()
    await journey.tidy()
    assert journey.journal() == [3, 7, 300, *range(591, 601)]
    await journey.reopen()
    await journey.drop([7])
    await journey.trim(595)
    await journey.tidy()
    assert journey.journal() == [3, 300, *range(596, 601)]
    await journey.drop([3, 300])
    assert journey.journal() == [*range(596, 601)]
    await journey.reopen()
    await journey.tidy()
    assert journey.journal() == [*range(596, 601)]


async def test_many_kept_rows_do_not_stop_the_trim(journey: Journey) -> None:
    """More of them than are looked at in one step."""
    for _ in range(700):
        await journey.append(b"row")
    kept = [n for n in range(1, 701) if n % 100]
    await journey.append(given=Slice(passages=[passage([n], n) for n in kept], trim_to=700))
    await journey.tidy()
    assert journey.journal() == kept
    await journey.reopen()
    await journey.tidy()
    assert journey.journal() == kept
    await journey.drop(kept)
    assert journey.journal() == []


async def test_a_dropped_range_is_reclaimed_in_pieces(journey: Journey) -> None:
    for _ in range(200):
        await journey.append(b"row")
    given = [passage(range(n * 10, n * 10 + 9), n) for n in range(1, 201)]
    plain = [Record(MESSAGES, n * 10 + 9, 1, b"plain") for n in range(1, 201)]
    await journey.append(given=Slice(plain, passages=given, trim_to=200))
    await journey.tidy()
    await journey.append(given=Slice(drop_ranges=[KeyRange(MESSAGES, 15, 2002)]))
    left = [*range(10, 15), *range(2003, 2010)]
    assert await journey.keys() == left
    counts = []
    while await journey.store.tidy():
        counts.append(len(journey.kept()))
        assert await journey.keys() == left
    assert counts[0] > 130
    assert all(before - after <= 64 for before, after in pairwise(counts))
    assert journey.kept() == {1: 1, 200: 1}
    assert journey.journal() == [1, 200]
    assert journey.rows(MESSAGES) == plain[-1:]
    await journey.scrub()
    assert await journey.keys() == left


# Damage, and what is rolled back


@pytest.mark.parametrize("how", ["read", "keys", "scrub"])
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("DELETE FROM journal WHERE lsn = 2", "Journal row 2 is missing, which says records"),
        ("UPDATE journal SET events = x'00' WHERE lsn = 2", "Journal row 2 is damaged"),
        ("UPDATE journal SET checksum = 'x' WHERE lsn = 2", "Journal row 2 is damaged"),
        (f"UPDATE space_{passages_of(MESSAGES).number} SET value = x'00'", "in journal rows .* is damaged"),
    ],
)
async def test_damage_is_named(journey: Journey, how: str, harm: str, said: str) -> None:
    for _ in range(3):
        await journey.append(b"row")
    await journey.append(given=Slice(passages=[passage([1, 2], 2)], trim_to=3))
    await journey.scrub()  # which is not to remember that the row was well
    journey.db.execute(harm)
    with pytest.raises(Corrupt, match=said):
        await getattr(journey, how)()


@pytest.mark.parametrize("number", [passages_of(MESSAGES).number, KEPT.number])
async def test_a_hidden_row_of_the_stores_own_is_found(journey: Journey, number: int) -> None:
    await journey.append(b"row", Slice(passages=[passage([1, 2], 1), passage([3], 1, OTHERS)]))
    await journey.scrub()
    journey.db.execute(f"DELETE FROM space_{number}")
    with pytest.raises(Corrupt, match="is hidden"):
        await journey.scrub()


async def test_more_passages_than_were_counted_are_damage(journey: Journey) -> None:
    await journey.append(b"row", Slice(passages=[passage([1], 1)]))
    journey.db.execute(f"DELETE FROM space_{KEPT.number}")
    with pytest.raises(Corrupt, match="spoken of by more passages than were counted"):
        await journey.drop([1])


async def test_an_append_that_is_rolled_back_leaves_all_as_it_was(journey: Journey) -> None:
    for _ in range(4):
        await journey.append(b"row")
    await journey.append(given=Slice(passages=[passage([1], 1), passage([2, 3], 2)], trim_to=3))
    before = journey.kept(), journey.journal(), journey.held(), await journey.keys()
    given = Slice(
        [Record(MESSAGES, 2, 4, b"put")],
        drops=[(MESSAGES, 1)],
        trim_to=4,
        passages=[passage([7], 4), passage([8], 4, OTHERS)],
    )
    for beginning in ("COMMIT", "UPDATE state", "DELETE FROM journal"):
        journey.db.plan = {beginning: sqlite3.SQLITE_FULL}
        with pytest.raises(Refused):
            await journey.append(given=given)
        journey.db.plan = {}
        assert (journey.kept(), journey.journal(), journey.held(), await journey.keys()) == before
        await journey.scrub()
    await journey.append(given=given)
    assert (journey.kept(), journey.journal(), await journey.keys()) == ({2: 1, 4: 2}, [2, 4], [2, 3, 7])


# Cost


class Counted:
    """Statements by the table that they are about, and what was made of rows."""

    def __init__(self, journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
        self.own = self.journal = 0
        self.parsed = 0
        self._db = journey.db
        monkeypatch.setattr("ropewayd.store.passages.parse", self._parse)

    def _parse(self, record: Record) -> Held:
        self.parsed += 1
        return parse(record)

    def _statement(self, statement: str) -> None:
        self.own += f"space_{passages_of(MESSAGES).number} " in statement
        self.journal += "FROM journal WHERE lsn =" in statement

    def __enter__(self) -> Self:
        self.own = self.journal = self.parsed = 0
        self._db.set_trace_callback(self._statement)
        return self

    def __exit__(self, *_: object) -> None:
        self._db.set_trace_callback(None)


async def test_passages_that_have_nothing_to_do_with_keys_are_not_looked_at(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journey.append(b"row", Slice([Record(MESSAGES, n * 10 + 5, 1, b"") for n in range(1000)]))
    given = [passage([n * 10, n * 10 + 3], 1) for n in range(1000) if not 400 <= n < 500]
    await journey.append(given=Slice(passages=given))
    counted = Counted(journey, monkeypatch)
    with counted:  # far apart, with hundreds of passages between them
        await journey.drop([5, 9995])
    assert counted.parsed <= 2
    with counted:  # where there is none
        await journey.drop(range(4005, 4900))
    assert counted.parsed <= 1
    assert counted.own <= 2
    with counted:  # beyond them all, as when a backlog is spilled
        await journey.append(given=Slice([Record(MESSAGES, n, 1, b"") for n in range(20_000, 21_000)]))
    assert counted.parsed <= 1
    with counted:
        await journey.append(given=Slice(passages=[passage(range(30_000, 60_000), 1)]))
    assert counted.parsed <= 1
    with counted:  # many keys of one passage
        await journey.drop(range(30_000, 50_000, 2))
    assert counted.parsed <= 2
    with counted:
        await journey.store.read(journey.claim, MESSAGES, range(30_001, 32_001, 2))
    assert counted.parsed == 1
    assert counted.journal == 1


async def test_a_page_reads_the_journal_rows_of_its_records_alone(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await journey.append(b"r" * 1000)
    plain = [Record(MESSAGES, n, 3, b"") for n in range(10)]
    given = [passage([20, 21], 1), passage([30, 31], 2), passage([40, 41], 3)]
    await journey.append(given=Slice(plain, passages=given))
    counted = Counted(journey, monkeypatch)
    asked: list[int] = []
    read = Passages.row

    def row(self: Passages, lsn: int) -> bytes:
        asked.append(lsn)
        return read(self, lsn)

    monkeypatch.setattr(Passages, "row", row)
    for limit, rows in ((1, []), (10, []), (12, [1]), (13, [2]), (16, [1, 2, 3])):
        asked.clear()
        with counted:
            assert len(await journey.store.page(journey.claim, MESSAGES, 0, LAST, limit, 1 << 20)) == limit
        assert [lsn for lsn in asked if lsn in rows] == asked
        assert counted.journal == len(asked)
        assert limit < 12 or rows[-1] == asked[-1]
    asked.clear()
    await journey.store.page(journey.claim, MESSAGES, 32, 39, 9, 1 << 20)
    assert asked == []
