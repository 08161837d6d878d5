"""The laws of the store's protocol. Every store is held to each of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

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
    StoreError,
)
from tests.store.conftest import House
from tests.store.places import MESSAGES, NAMES, OTHERS, TIMES

ROW = b"a row of twenty-four!!!!"
EVERYTHING = (0, 2**63 - 1, 10_000, 1 << 40)


def messages(*keys: int, lsn: int = 1, value: bytes = b"m") -> list[Record]:
    return [Record(MESSAGES, key, lsn, value) for key in keys]


async def keys(house: House, space: Space = MESSAGES) -> list[object]:
    return [record.key for record in await house.store.page(house.claim, space, *EVERYTHING)]


# Claims


async def test_a_new_store_is_empty(house: House) -> None:
    assert house.claim.last_lsn == 0
    assert await house.store.recover(house.claim) == Recovered([], [])
    assert await house.store.read(house.claim, MESSAGES, [1]) == []
    assert await house.store.read(house.claim, NAMES, [b"a"]) == []
    assert await keys(house) == []


@pytest.mark.parametrize("how", ["reopen", "crash"])
async def test_each_claim_has_a_higher_epoch_and_knows_the_last_lsn(house: House, how: str) -> None:
    before = house.claim
    await house.append(b"one", b"two")
    await getattr(house, how)()
    assert house.claim.epoch > before.epoch
    assert house.claim.last_lsn == 2


async def test_an_older_claim_is_fenced_in_everything(house: House) -> None:
    old = house.claim
    await house.append(b"one")
    house.claim = await house.store.claim("another")
    for batch, given in ((b"two", None), (b"two", Slice(messages(1))), (b"", Slice(messages(1)))):
        with pytest.raises(Fenced):
            await house.store.append(old, 1, batch, given)
    with pytest.raises(Fenced):
        await house.store.recover(old)
    with pytest.raises(Fenced):
        await house.store.read(old, MESSAGES, [1])
    with pytest.raises(Fenced):
        await house.store.page(old, MESSAGES, *EVERYTHING)
    await house.crash()
    assert await house.store.recover(house.claim) == Recovered([], [Entry(1, b"one")])
    assert await keys(house) == []


async def test_a_claim_that_nobody_made_is_fenced(house: House) -> None:
    with pytest.raises(Fenced):
        await house.store.append(Claim(house.claim.epoch + 1, 0), 0, b"one")
    assert await house.last() == 0


# Appends


@pytest.mark.parametrize("how", ["reopen", "crash"])
async def test_what_was_appended_is_there_in_order(house: House, how: str) -> None:
    batches = [b"batch %d" % n * n for n in range(1, 40)]
    for lsn, batch in enumerate(batches, 1):
        assert await house.store.append(house.claim, lsn - 1, batch) == lsn
    await getattr(house, how)()
    tail = (await house.store.recover(house.claim)).tail
    assert tail == [Entry(lsn, batch) for lsn, batch in enumerate(batches, 1)]


@pytest.mark.parametrize("expect", [0, 1, 3, 100])
async def test_another_idea_of_the_last_lsn_is_fenced_and_writes_nothing(house: House, expect: int) -> None:
    await house.append(b"one", b"two")
    for batch, given in ((b"x", None), (b"x", Slice(messages(1, lsn=0))), (b"", Slice(messages(1, lsn=0)))):
        with pytest.raises(Fenced):
            await house.store.append(house.claim, expect, batch, given)
    assert await house.append(b"three") == 3
    await house.crash()
    assert len((await house.store.recover(house.claim)).tail) == 3
    assert await keys(house) == []


async def test_an_empty_batch_uses_no_lsn(house: House) -> None:
    await house.append(b"one")
    assert await house.store.append(house.claim, 1, b"") == 1
    assert await house.store.append(house.claim, 1, b"", Slice(messages(5))) == 1
    await house.crash()
    assert house.claim.last_lsn == 1
    assert await keys(house) == [5]


async def test_a_slice_and_its_batch_are_one(house: House) -> None:
    await house.append(b"one")
    given = Slice([*messages(1, 2, lsn=2), Record(NAMES, b"a", 2, b"A")])
    assert await house.store.append(house.claim, 1, b"two", given) == 2
    await house.crash()
    assert house.claim.last_lsn == 2
    recovered = await house.store.recover(house.claim)
    assert recovered.records == [Record(NAMES, b"a", 2, b"A")]
    assert await keys(house) == [1, 2]


async def test_what_is_handed_over_can_be_changed_afterwards(house: House) -> None:
    puts = messages(1)
    future = house.store.append(house.claim, 0, b"one", Slice(puts))
    await future
    puts.append(Record(MESSAGES, 2, 1, b"later"))
    puts[0] = Record(MESSAGES, 1, 1, b"changed")
    assert await house.store.read(house.claim, MESSAGES, [1, 2]) == messages(1)


# Records


async def test_a_put_takes_the_place_of_what_was_there(house: House) -> None:
    old = [Record(MESSAGES, 1, 1, b"old"), Record(NAMES, b"a", 1, b"old")]
    new = [Record(MESSAGES, 1, 2, b"new"), Record(NAMES, b"a", 2, b"new")]
    await house.store.append(house.claim, 0, b"one", Slice(old))
    await house.store.append(house.claim, 1, b"two", Slice(new))
    await house.crash()
    assert await house.store.read(house.claim, MESSAGES, [1]) == new[:1]
    assert (await house.store.recover(house.claim)).records == new[1:]


async def test_the_last_of_two_puts_of_one_key_holds(house: House) -> None:
    puts = [
        Record(space, key, 1, value)
        for value in (b"1", b"2")
        for space, key in ((MESSAGES, 7), (NAMES, b"k"))
    ]
    await house.store.append(house.claim, 0, b"one", Slice(puts))
    await house.crash()
    assert await house.store.read(house.claim, MESSAGES, [7]) == [Record(MESSAGES, 7, 1, b"2")]
    assert (await house.store.recover(house.claim)).records == [Record(NAMES, b"k", 1, b"2")]


async def test_ranges_go_before_drops_and_drops_before_puts(house: House) -> None:
    await house.store.append(
        house.claim, 0, b"one", Slice([*messages(1, 2, 3, 4), Record(NAMES, b"a", 1, b"A")])
    )
    given = Slice(
        puts=[*messages(2, 4, lsn=2, value=b"new"), Record(NAMES, b"a", 2, b"new")],
        drops=[(MESSAGES, 4), (NAMES, b"a")],
        drop_ranges=[KeyRange(MESSAGES, 1, 3)],
    )
    await house.store.append(house.claim, 1, b"two", given)
    for _ in range(2):
        found = await house.store.page(house.claim, MESSAGES, *EVERYTHING)
        assert found == messages(2, 4, lsn=2, value=b"new")
        assert (await house.store.recover(house.claim)).records == [Record(NAMES, b"a", 2, b"new")]
        await house.crash()


async def test_a_drop_of_what_is_not_there_is_fine(house: House) -> None:
    drops: list[tuple[Space, Key]] = [(MESSAGES, 1), (NAMES, b"a"), (OTHERS, 9)]
    await house.store.append(house.claim, 0, b"one", Slice(drops=drops, drop_ranges=[KeyRange(OTHERS, 0, 9)]))
    await house.store.append(house.claim, 1, b"two", Slice(messages(3)))
    await house.store.append(house.claim, 2, b"three", Slice(drops=drops))
    await house.crash()
    assert await keys(house) == [3]


async def test_spaces_do_not_mix(house: House) -> None:
    puts = [Record(space, 1, 1, space.name.encode()) for space in (MESSAGES, OTHERS)]
    puts += [Record(space, b"k", 1, space.name.encode()) for space in (NAMES, TIMES)]
    await house.store.append(house.claim, 0, b"one", Slice(puts))
    await house.store.append(house.claim, 1, b"two", Slice(drops=[(OTHERS, 1), (TIMES, b"k")]))
    await house.crash()
    assert await keys(house) == [1]
    assert await keys(house, OTHERS) == []
    assert (await house.store.recover(house.claim)).records == [Record(NAMES, b"k", 1, b"names")]


async def test_small_records_come_in_the_order_of_space_and_key(house: House) -> None:
    names = [b"", b"\0", b"a", b"a\0", b"b", b"\xff", b"\xff" * 256]
    puts = [Record(space, key, 1, b"v" + key) for space in (TIMES, NAMES) for key in reversed(names)]
    await house.store.append(house.claim, 0, b"one", Slice(puts))
    await house.reopen()
    assert (await house.store.recover(house.claim)).records == puts[::-1]


async def test_values_and_keys_of_every_size(house: House) -> None:
    sizes = [0, 1, 16_000, 16_384, 100_000, 3 << 20]
    puts = [Record(MESSAGES, 2**63 - 1 - n, 1, b"x" * size) for n, size in enumerate(sizes)]
    puts += [Record(NAMES, b"k%d" % n, 1, b"y" * size) for n, size in enumerate(sizes)]
    puts += [Record(MESSAGES, 0, 1, b"first")]
    await house.store.append(house.claim, 0, b"b" * (5 << 20), Slice(puts))
    await house.crash()
    assert await house.store.read(house.claim, MESSAGES, [r.key for r in puts if r.space == MESSAGES]) == [
        r for r in puts if r.space == MESSAGES
    ]
    recovered = await house.store.recover(house.claim)
    assert recovered.records == [r for r in puts if r.space == NAMES]
    assert recovered.tail == [Entry(1, b"b" * (5 << 20))]


async def test_read_gives_what_is_there_in_the_order_of_the_keys(house: House) -> None:
    await house.store.append(
        house.claim, 0, b"one", Slice([*messages(1, 2, 3), Record(NAMES, b"a", 1, b"A")])
    )
    found = await house.store.read(house.claim, MESSAGES, [3, 9, 1, 3])
    assert [record.key for record in found] == [3, 1, 3]
    assert await house.store.read(house.claim, NAMES, [b"b", b"a"]) == [Record(NAMES, b"a", 1, b"A")]


async def test_a_page_ends_at_its_limits(house: House) -> None:
    await house.store.append(house.claim, 0, b"one", Slice(messages(*range(0, 100, 2), value=b"12345")))

    async def page(first: int, last: int, limit: int, max_bytes: int) -> list[object]:
        return [r.key for r in await house.store.page(house.claim, MESSAGES, first, last, limit, max_bytes)]

    assert await page(3, 8, 100, 1000) == [4, 6, 8]
    assert await page(0, 2**63 - 1, 3, 1000) == [0, 2, 4]
    assert await page(0, 98, 100, 10) == [0, 2]
    assert await page(0, 98, 100, 11) == [0, 2, 4]
    assert await page(0, 98, 100, 0) == [0]
    assert await page(98, 98, 1, 1) == [98]
    assert await page(99, 99, 1, 1) == []


async def test_ranges_are_read_whole_in_the_order_given(house: House) -> None:
    given = Slice([*messages(*range(0, 100, 2)), *(Record(OTHERS, key, 1, b"o") for key in (3, 8))])
    await house.store.append(house.claim, 0, b"one", given)
    await house.store.append(house.claim, 1, b"two", Slice(drop_ranges=[KeyRange(MESSAGES, 6, 9)]))

    async def read(*ranges: KeyRange) -> list[tuple[Space, object]]:
        return [(r.space, r.key) for r in await house.store.read_ranges(house.claim, ranges)]

    assert await read() == []
    wanted = [KeyRange(MESSAGES, 50, 53), KeyRange(OTHERS, 0, 5), KeyRange(MESSAGES, 4, 10)]
    found = [(MESSAGES, 50), (MESSAGES, 52), (OTHERS, 3), (MESSAGES, 4), (MESSAGES, 10)]
    assert await read(*wanted) == found
    assert len(await read(KeyRange(MESSAGES, 0, 2**63 - 1))) == 48
    with pytest.raises(ValueError, match="no range"):
        await read(KeyRange(NAMES, 0, 1))
    with pytest.raises(Fenced):
        await house.store.read_ranges(Claim(house.claim.epoch + 1, 0), wanted)


# Dropped ranges


async def tidy(house: House) -> None:
    for _ in range(1000):
        if not await house.store.tidy():
            return
    raise AssertionError("tidying never ends")


@pytest.mark.parametrize("then", ["nothing", "crash", "reopen", "tidy"])
async def test_a_dropped_range_is_gone_at_once_and_stays_gone(house: House, then: str) -> None:
    await house.store.append(house.claim, 0, b"one", Slice(messages(*range(100), value=b"x" * 5000)))
    dropped = [KeyRange(MESSAGES, 10, 19), KeyRange(MESSAGES, 15, 40), KeyRange(MESSAGES, 90, 2**63 - 1)]
    await house.store.append(house.claim, 1, b"two", Slice(drop_ranges=dropped))
    left = [*range(10), *range(41, 90)]
    if then != "nothing":
        await (tidy(house) if then == "tidy" else getattr(house, then)())
    assert await keys(house) == left
    assert [r.key for r in await house.store.read(house.claim, MESSAGES, [9, 10, 40, 41, 99])] == [9, 41]
    assert [r.key for r in await house.store.page(house.claim, MESSAGES, 5, 50, 7, 1 << 30)] == [
        *range(5, 10),
        41,
        42,
    ]


async def test_a_key_of_a_dropped_range_can_be_put_again(house: House) -> None:
    await house.store.append(house.claim, 0, b"one", Slice(messages(*range(20))))
    await house.store.append(house.claim, 1, b"two", Slice(drop_ranges=[KeyRange(MESSAGES, 5, 15)]))
    await house.store.append(house.claim, 2, b"three", Slice(messages(5, 9, 10, lsn=3)))
    left = [*range(6), 9, 10, *range(16, 20)]
    assert await keys(house) == left
    await house.crash()
    assert await keys(house) == left
    await tidy(house)
    assert await keys(house) == left
    await house.crash()
    assert await keys(house) == left


async def test_tidying_changes_nothing_and_ends(house: House) -> None:
    await house.store.append(
        house.claim, 0, b"one", Slice([*messages(*range(3000)), Record(NAMES, b"a", 1, b"")])
    )
    for lsn in range(1, 300):
        await house.store.append(house.claim, lsn, b"x" * 3000)
    given = Slice(drop_ranges=[KeyRange(MESSAGES, 100, 2899)], trim_to=290)
    await house.store.append(house.claim, 300, b"", given)
    before = await house.store.recover(house.claim), await keys(house)
    await tidy(house)
    assert (await house.store.recover(house.claim), await keys(house)) == before
    await house.crash()
    assert (await house.store.recover(house.claim), await keys(house)) == before
    assert not await house.store.tidy()


# Trimming


async def test_trimmed_rows_are_not_recovered(house: House) -> None:
    await house.append(*[b"%d" % n for n in range(1, 11)])
    await house.store.append(house.claim, 10, b"11", Slice(trim_to=7))
    await house.store.append(house.claim, 11, b"", Slice(trim_to=4))
    assert [entry.lsn for entry in (await house.store.recover(house.claim)).tail] == [8, 9, 10, 11]
    await house.crash()
    assert [entry.lsn for entry in (await house.store.recover(house.claim)).tail] == [8, 9, 10, 11]


@pytest.mark.parametrize("how", ["reopen", "crash"])
async def test_a_journal_that_is_trimmed_to_its_end_goes_on_where_it_was(house: House, how: str) -> None:
    await house.append(b"one", b"two")
    await house.store.append(house.claim, 2, b"", Slice(trim_to=2))
    await tidy(house)
    await getattr(house, how)()
    assert house.claim.last_lsn == 2
    assert (await house.store.recover(house.claim)).tail == []
    assert await house.store.append(house.claim, 2, b"three", Slice(trim_to=3)) == 3
    await getattr(house, how)()
    assert house.claim.last_lsn == 3


# Passages


def said(
    *keys: int, lsn: int = 1, row: bytes = ROW, of: int | None = None, space: Space = MESSAGES
) -> list[Record]:
    """What a passage of `of` keys gives for some of them."""
    return [Record(space, key, lsn, row, max(1, len(row) // (of or len(keys)))) for key in keys]


def passage(keys: Sequence[int], lsn: int = 1, source: int = 1, space: Space = MESSAGES) -> Passage:
    return Passage(space, keys, lsn, source)


async def with_passage(house: House, keys: Sequence[int], *puts: Record) -> None:
    """Row 1, and a passage of it that is written with row 2."""
    await house.append(ROW)
    await house.store.append(house.claim, 1, b"two", Slice(puts, passages=[passage(keys)]))


async def page(house: House, space: Space = MESSAGES) -> list[Record]:
    return await house.store.page(house.claim, space, *EVERYTHING)


@pytest.mark.parametrize("then", ["nothing", "trim", "crash", "reopen"])
async def test_what_a_passage_says_is_read_as_other_records_are(house: House, then: str) -> None:
    plain = messages(4, 6, 20)
    await with_passage(house, [3, 5, 7, 9], *plain)
    expected = sorted(plain + said(3, 5, 7, 9), key=lambda record: record.key)
    if then != "nothing":
        await house.store.append(house.claim, 2, b"", Slice(trim_to=2))
        await tidy(house)
    if then in {"crash", "reopen"}:
        await getattr(house, then)()
    assert await page(house) == expected
    assert await house.store.read(house.claim, MESSAGES, [9, 4, 8, 3, 9]) == [
        *said(9, of=4),
        *plain[:1],
        *said(3, 9, of=4),
    ]
    ranges = [KeyRange(MESSAGES, 6, 8), KeyRange(MESSAGES, 0, 3)]
    assert await house.store.read_ranges(house.claim, ranges) == [plain[1], *said(7, 3, of=4)]
    tail = [entry.lsn for entry in (await house.store.recover(house.claim)).tail]
    assert tail == ([1, 2] if then == "nothing" else [])


async def test_records_of_a_row_that_are_read_together_share_it(house: House) -> None:
    await with_passage(house, range(100))
    found = await page(house)
    assert len({id(record.value) for record in found}) == 1


async def test_a_row_may_say_its_own_passage_and_several(house: House) -> None:
    given = [passage([1, 2]), passage(range(7, 9)), passage([1], space=OTHERS)]
    await house.store.append(house.claim, 0, ROW, Slice(passages=given, trim_to=1))
    await house.crash()
    assert await page(house) == [*said(1, 2), *said(7, 8)]
    assert await page(house, OTHERS) == said(1, space=OTHERS)


async def test_a_page_is_limited_by_the_shares_of_records(house: House) -> None:
    await with_passage(house, [1, 2, 4, 5], Record(MESSAGES, 3, 1, b"12345"))

    async def found(limit: int, max_bytes: int) -> list[object]:
        return [r.key for r in await house.store.page(house.claim, MESSAGES, 0, 99, limit, max_bytes)]

    share = len(ROW) // 4
    assert await found(9, 0) == [1]
    assert await found(9, share) == [1]
    assert await found(9, share + 1) == [1, 2]
    assert await found(9, 2 * share + 1) == [1, 2, 3]
    assert await found(9, 2 * share + 5) == [1, 2, 3]
    assert await found(9, 2 * share + 6) == [1, 2, 3, 4]
    assert await found(4, 999) == [1, 2, 3, 4]


async def test_a_share_stays_however_many_records_have_gone(house: House) -> None:
    await with_passage(house, range(1, 5))
    await house.store.append(house.claim, 2, b"three", Slice(drops=[(MESSAGES, 1), (MESSAGES, 3)]))
    await house.crash()
    assert await page(house) == said(2, 4, of=4)


@pytest.mark.parametrize("order", [[1, 2, 3, 4], [4, 3, 2, 1], [2, 3, 1, 4]])
async def test_records_of_a_passage_are_dropped_one_by_one(house: House, order: list[int]) -> None:
    await with_passage(house, range(1, 5))
    await house.store.append(house.claim, 2, b"", Slice(trim_to=2))
    left = {1, 2, 3, 4}
    for key in order:
        await house.store.append(house.claim, 2, b"", Slice(drops=[(MESSAGES, key)]))
        left.remove(key)
        assert await page(house) == said(*sorted(left), of=4)
        assert await house.store.read(house.claim, MESSAGES, [key]) == []
        await house.crash()


async def test_a_put_takes_the_place_of_what_a_passage_says(house: House) -> None:
    await with_passage(house, range(1, 5))
    await house.store.append(house.claim, 2, b"three", Slice(messages(2, 3, lsn=3)))
    for _ in range(2):
        assert await page(house) == [*said(1, of=4), *messages(2, 3, lsn=3), *said(4, of=4)]
        await house.crash()
    await house.store.append(house.claim, 3, b"four", Slice(drops=[(MESSAGES, 2), (MESSAGES, 4)]))
    assert await page(house) == [*said(1, of=4), *messages(3, lsn=3)]


async def test_a_put_in_the_same_slice_comes_after_a_passage(house: House) -> None:
    await with_passage(house, [1, 2], *messages(2, lsn=2))
    assert await page(house) == [*said(1, of=2), *messages(2, lsn=2)]


async def test_drops_and_ranges_in_the_same_slice_come_before_a_passage(house: House) -> None:
    await with_passage(house, range(10, 20), *messages(1, 2))
    given = Slice(
        drops=[(MESSAGES, 1)],
        drop_ranges=[KeyRange(MESSAGES, 2, 99)],
        passages=[passage([1, 2, 15], lsn=2, source=2)],
    )
    await house.store.append(house.claim, 2, b"three", given)
    for _ in range(2):
        assert await page(house) == said(1, 2, 15, lsn=2, row=b"two")
        await tidy(house)
        assert await page(house) == said(1, 2, 15, lsn=2, row=b"two")
        await house.crash()


@pytest.mark.parametrize("then", ["nothing", "crash", "tidy"])
async def test_a_dropped_range_takes_what_passages_say(house: House, then: str) -> None:
    await with_passage(house, range(0, 40, 2), *messages(5, 15, 45))
    dropped = [KeyRange(MESSAGES, 10, 20), KeyRange(MESSAGES, 30, 99)]
    await house.store.append(house.claim, 2, b"three", Slice(drop_ranges=dropped, trim_to=2))
    if then != "nothing":
        await (tidy(house) if then == "tidy" else house.crash())
    expected = [*said(0, 2, 4, of=20), *messages(5), *said(6, 8, 22, 24, 26, 28, of=20)]
    assert await page(house) == expected
    assert await house.store.read(house.claim, MESSAGES, [8, 10, 15, 20, 22]) == said(8, 22, of=20)


async def test_a_passage_may_lie_where_another_was_dropped(house: House) -> None:
    await with_passage(house, [1, 19, 27])
    await house.store.append(house.claim, 2, b"three", Slice(drop_ranges=[KeyRange(MESSAGES, 19, 30)]))
    given = [passage([13, 20], lsn=3, source=3)]
    await house.store.append(house.claim, 3, b"four", Slice(passages=given, trim_to=4))
    expected = [*said(1, of=3), *said(13, 20, lsn=3, row=b"three")]
    assert await page(house) == expected
    await tidy(house)
    await house.crash()
    assert await page(house) == expected


async def test_the_last_keys_there_can_be_are_of_a_passage(house: House) -> None:
    last = 2**63 - 1
    await with_passage(house, [last - 1, last])
    assert await house.store.page(house.claim, MESSAGES, last, last, 1, 1) == said(last, of=2)
    await house.store.append(house.claim, 2, b"", Slice(drops=[(MESSAGES, last)]))
    assert await page(house) == said(last - 1, of=2)


REFUSED: dict[str, tuple[list[Passage], str]] = {
    "a trimmed row": ([passage([1], source=1)], "is trimmed"),
    "a row that is not there": ([passage([1], source=5)], "row 5"),
    "no row": ([passage([1], source=0)], "row 0"),
    "a later lsn": ([passage([1], source=3, lsn=5)], "lsn 5"),
    "a key with a record": ([passage([2, 10, 11], source=3)], "has a record"),
    "a key with a record in a passage": ([passage([21], source=3)], "overlaps|has a record"),
    "a passage's place": ([passage([15, 22, 50], source=3)], "overlaps"),
    "a place within a passage": ([passage([22], source=3)], "overlaps"),
    "two in one place": ([passage([60, 62], source=3), passage([61], source=3)], "overlaps"),
    "the same twice": ([passage([60], source=3), passage([60], source=3)], "overlaps|has a record"),
    "one that is right, and one that is not": ([passage([60], source=3), passage([10], source=3)], "record"),
    "no key": ([passage([], source=3)], "no keys"),
    "one key twice": ([passage([60, 60], source=3)], "no keys"),
    "keys that fall": ([passage([61, 60], source=3)], "no keys"),
    "a range that falls": ([passage(range(70, 60, -1), source=3)], "no keys"),
    "keys far apart": ([passage([60, 60 + 65_536], source=3)], "no keys"),
    "two groups": ([passage([2**41 - 1, 2**41], source=3)], "no keys"),
    "a key below 0": ([passage([-1, 60], source=3)], "no key"),
    "a key above the last": ([passage([2**63 - 1, 2**63], source=3)], "no key"),
    "a small space": ([passage([60], source=3, space=NAMES)], "no key"),
    "a small space by another name": ([passage([60], source=3, space=Space(1, "n", True))], "small on disk"),
    "the store's own space": ([passage([60], source=3, space=Space(138, "own", True))], "no number"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_passage_is_refused_and_nothing_is_written(house: House, case: str) -> None:
    passages, said_so = REFUSED[case]
    puts = [*messages(10), Record(NAMES, b"a", 1, b"A")]
    await with_passage(house, [21, 23, 25], *puts)
    await house.append(b"three")
    await house.store.append(house.claim, 3, b"", Slice(trim_to=2))
    before = await house.store.recover(house.claim), await page(house)
    new = Space(50, "new", True)
    given = Slice(
        [*messages(70, 10, lsn=4), Record(TIMES, b"t", 4, b""), Record(new, 1, 4, b"")],
        drops=[(MESSAGES, 25)],
        drop_ranges=[KeyRange(OTHERS, 0, 9)],
        trim_to=4,
        passages=passages,
    )
    for how in ("nothing", "crash"):
        with pytest.raises(ValueError, match=said_so):
            await house.store.append(house.claim, 3, b"four", given)
        assert (await house.store.recover(house.claim), await page(house)) == before
        if how != "nothing":
            await house.crash()
    # It goes on, and what it would have made known of the new space is not known.
    small = Space(50, "new", False)
    await house.store.append(house.claim, 3, b"four", Slice([Record(small, b"k", 4, b"")]))
    assert (await house.store.recover(house.claim)).records == [*puts[1:], Record(small, b"k", 4, b"")]


async def test_the_widest_passage_goes(house: House) -> None:
    keys = [60, 61, 60 + 65_535]
    await with_passage(house, keys)
    await house.store.append(house.claim, 2, b"", Slice(drops=[(MESSAGES, 61)]))
    assert await page(house) == said(keys[0], keys[2], of=3)


async def test_keys_of_a_passage_can_be_changed_afterwards(house: House) -> None:
    keys = [1, 2]
    await with_passage(house, keys)
    keys.append(3)
    assert await page(house) == said(1, 2)


# Limits, and the end


@pytest.mark.parametrize(
    "given",
    [
        Slice([Record(NAMES, b"k" * 257, 1, b"")]),
        Slice([Record(NAMES, 1, 1, b"")]),
        Slice([Record(MESSAGES, b"k", 1, b"")]),
        Slice([Record(MESSAGES, -1, 1, b"")]),
        Slice([Record(MESSAGES, 2**63, 1, b"")]),
        Slice([Record(MESSAGES, 1, 2, b"")]),
        Slice([Record(MESSAGES, 1, 1, bytes((64 << 20) + 1))]),
        Slice(drops=[(NAMES, 1)]),
        Slice(drop_ranges=[KeyRange(NAMES, 0, 1)]),
        Slice(drop_ranges=[KeyRange(MESSAGES, 2, 1)]),
        Slice(drop_ranges=[KeyRange(Space(138, "own", True), 0, 1)]),
        Slice(drops=[(Space(255, "own", True), 1)]),
        Slice(trim_to=2),
    ],
)
async def test_what_breaks_a_limit_is_the_callers_fault(house: House, given: Slice) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        await house.store.append(house.claim, 0, b"one", given)
    assert await house.append(b"one") == 1


async def test_a_space_keeps_its_kind(house: House) -> None:
    await house.store.append(house.claim, 0, b"one", Slice(messages(1)))
    other = Space(MESSAGES.number, "messages", False)
    with pytest.raises(ValueError, match="paged on disk"):
        await house.store.append(house.claim, 1, b"two", Slice([Record(other, b"k", 2, b"")]))
    assert await house.last() == 1
    assert await keys(house) == [1]


async def test_a_space_may_change_its_name(house: House) -> None:
    renamed = Space(NAMES.number, "titles", False)
    await house.store.append(house.claim, 0, b"one", Slice([Record(NAMES, b"a", 1, b"")]))
    await house.store.append(house.claim, 1, b"two", Slice([Record(renamed, b"b", 2, b"")]))
    await house.crash()
    found = (await house.store.recover(house.claim)).records
    assert [(r.space.number, r.key) for r in found] == [(1, b"a"), (1, b"b")]


async def test_figures_are_there(house: House) -> None:
    await house.append(b"x" * 100_000, b"y" * 100_000)
    figures = await house.store.figures()
    assert figures.journal_rows == 2
    assert figures.database_bytes + figures.wal_bytes >= 200_000
    assert figures.free_bytes > 0
    await house.store.append(house.claim, 2, b"", Slice(trim_to=1))
    assert (await house.store.figures()).journal_rows == 1


async def test_closing_twice_is_fine_and_then_nothing_goes(house: House) -> None:
    await house.append(b"one")
    await house.store.close()
    await house.store.close()
    with pytest.raises(StoreError, match="closed"):
        await house.store.append(house.claim, 1, b"two")
    with pytest.raises(StoreError, match="closed"):
        await house.store.claim("again")


async def test_nothing_goes_before_a_claim(house: House) -> None:
    with pytest.raises(StoreError, match="not claimed"):
        await house.place.store().append(Claim(1, 0), 0, b"one")
