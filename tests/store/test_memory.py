"""The faults of the in-memory store: each does what it says, to the disk and to the caller."""

from __future__ import annotations

import asyncio

import pytest

from ropewayd.store.memory import Disk, Fate, Faults, MemoryStore
from ropewayd.store.protocol import Entry, Fenced, Record, Refused, Slice, StoreError, Unknown
from tests.store.places import MESSAGES


class Planned(Faults):
    """Each append gets the next fate of a list; it may wait for `release` first."""

    def __init__(self, *fates: Fate) -> None:
        self.fates = list(fates)
        self.release: asyncio.Future[None] | None = None
        self.asked = asyncio.Event()

    async def append(self, lsn: int, batch: bytes, slice: Slice | None) -> Fate:
        self.asked.set()
        if self.release is not None:
            await self.release
        return self.fates.pop(0) if self.fates else Fate.OK


async def rows(disk: Disk) -> list[Entry]:
    store = MemoryStore(disk)
    return (await store.recover(await store.claim("after"))).tail


async def test_refused_writes_nothing_and_the_claim_stands() -> None:
    disk = Disk()
    store = MemoryStore(disk, Planned(Fate.REFUSE))
    claim = await store.claim("test")
    with pytest.raises(Refused):
        await store.append(claim, 0, b"one", Slice([Record(MESSAGES, 1, 1, b"")]))
    assert await store.read(claim, MESSAGES, [1]) == []
    assert await store.append(claim, 0, b"again") == 1
    assert await rows(disk) == [Entry(1, b"again")]


@pytest.mark.parametrize(("fate", "written"), [(Fate.UNKNOWN_WRITTEN, True), (Fate.UNKNOWN_LOST, False)])
async def test_unknown_ends_the_store(fate: Fate, written: bool) -> None:
    disk = Disk()
    store = MemoryStore(disk, Planned(Fate.OK, fate))
    claim = await store.claim("test")
    await store.append(claim, 0, b"one")
    with pytest.raises(Unknown):
        await store.append(claim, 1, b"two")
    for call in (store.append(claim, 1, b"three"), store.append(claim, 2, b"three"), store.claim("again")):
        with pytest.raises(Unknown):
            await call
    await store.close()
    assert [entry.batch for entry in await rows(disk)] == ([b"one", b"two"] if written else [b"one"])


@pytest.mark.parametrize(("fate", "written"), [(Fate.CRASH_BEFORE, False), (Fate.CRASH_AFTER, True)])
async def test_a_crash_says_nothing_ever_again(fate: Fate, written: bool) -> None:
    disk = Disk()
    store = MemoryStore(disk, Planned(fate))
    claim = await store.claim("test")
    calls: list[asyncio.Task[object]] = [asyncio.create_task(store.append(claim, 0, b"one"))]
    for _ in range(20):
        await asyncio.sleep(0)
    assert store.crashed
    calls += [asyncio.create_task(store.tidy()), asyncio.create_task(store.close())]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(call.done() for call in calls)
    assert bool(await rows(disk)) is written
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_held_append_waits_and_the_disk_with_it() -> None:
    disk = Disk()
    faults = Planned()
    faults.release = asyncio.get_running_loop().create_future()
    store = MemoryStore(disk, faults)
    claim = await store.claim("test")
    puts = [Record(MESSAGES, 1, 1, b"")]
    call = asyncio.create_task(store.append(claim, 0, b"one", Slice(puts)))
    await faults.asked.wait()
    puts.append(Record(MESSAGES, 2, 1, b""))
    assert await store.read(claim, MESSAGES, [1]) == []
    assert not call.done()
    faults.release.set_result(None)
    assert await call == 1
    assert [record.key for record in await store.read(claim, MESSAGES, [1, 2])] == [1]


async def test_a_claim_while_an_append_is_held_fences_it() -> None:
    disk = Disk()
    faults = Planned()
    faults.release = asyncio.get_running_loop().create_future()
    store = MemoryStore(disk, faults)
    call = asyncio.create_task(store.append(await store.claim("test"), 0, b"one"))
    await faults.asked.wait()
    assert await rows(disk) == []  # this claims
    faults.release.set_result(None)
    with pytest.raises(Fenced):
        await call
    assert await rows(disk) == []


async def test_a_crash_while_an_append_is_held_writes_nothing() -> None:
    disk = Disk()
    faults = Planned()
    faults.release = asyncio.get_running_loop().create_future()
    store = MemoryStore(disk, faults)
    call = asyncio.create_task(store.append(await store.claim("test"), 0, b"one"))
    await faults.asked.wait()
    store.crash()
    faults.release.set_result(None)
    for _ in range(20):
        await asyncio.sleep(0)
    assert await rows(disk) == []
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


async def test_reads_can_be_held() -> None:
    class Slow(Faults):
        def __init__(self) -> None:
            self.release: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def read(self) -> None:
            await self.release

    faults = Slow()
    store = MemoryStore(Disk(), faults)
    call = asyncio.create_task(store.recover(await store.claim("test")))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not call.done()
    faults.release.set_result(None)
    assert (await call).tail == []


async def test_two_stores_on_one_disk_are_two_owners() -> None:
    disk = Disk()
    first, second = MemoryStore(disk), MemoryStore(disk)
    old = await first.claim("first")
    new = await second.claim("second")
    with pytest.raises(Fenced):
        await first.append(old, 0, b"one")
    with pytest.raises(StoreError):
        await MemoryStore(disk).append(new, 0, b"one")
    assert await second.append(new, 0, b"one") == 1
