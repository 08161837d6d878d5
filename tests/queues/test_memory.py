"""Memory is bounded by its budget after any history, and what is counted is what is held (I5)."""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator
from types import FunctionType, ModuleType

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.message import OVERHEAD, VISIBLE, Message
from ropewayd.queues.settings import QueueLimits
from ropewayd.queues.slices import Slice
from tests.house import BODY as BODY_AT
from tests.house import HANDLE, House

BUDGET, PAGE, SLICE, BODY = 40_000, 3000, 2000, 300
SLACK = 2 * (PAGE + SLICE) + 10 * (BODY + OVERHEAD)
"""Two pages and slices on their way, and one call."""


def messages(house: House) -> Iterator[Message]:
    for queue in house.queues._registry.by_number.values():
        yield from queue.messages.values()


def held(house: House) -> int:
    """What is in memory, looked at message by message, and the deduplication ids."""
    return sum(m.size + OVERHEAD for m in messages(house)) + sum(each.bytes for each in remembered(house))


def living(house: House) -> int:
    return sum(queue.live for queue in house.queues._registry.by_number.values())


def remembered(house: House) -> Iterator[Slice]:
    for queue in house.queues._registry.by_number.values():
        if queue.ids is not None:
            yield from queue.ids._slices


def must_hold(house: House) -> int:
    """What memory alone knows: messages whose row is not right or not durable yet. Of those that are or were
    invisible and have a row, all but the body."""
    durable = house.queues._registry.memory.durable
    found = 0
    for m in messages(house):
        if not 0 < m.stored <= durable or (m.state == VISIBLE and m.changed > m.stored):
            found += m.size + OVERHEAD
        elif not m.on_disk(durable):
            found += OVERHEAD
    # A slice's ids leave together, when all of them are durable. What tells new ids from them stays.
    return found + sum(
        each.bytes
        for queue in house.queues._registry.by_number.values()
        if queue.ids is not None
        for each in queue.ids._slices
        if each.filter is not None or each.last > queue.ids._durable
    )


def reached(house: House) -> list[Message]:
    """Every message that anything in the service still holds, whoever it is."""
    seen: dict[int, object] = {}
    found: list[Message] = []
    reach: list[object] = [house.queues]
    while reach:
        each = reach.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | FunctionType):
            continue
        seen[id(each)] = each
        if isinstance(each, Message):
            found.append(each)
        else:
            reach += gc.get_referents(each)
    return found


def check_what_has_left(house: House) -> None:
    """What is in memory no more may be held for the place where it stood, but without its body, and not for
    long."""
    known = {id(m) for m in messages(house)}
    left = [m for m in reached(house) if id(m) not in known]
    assert not [m for m in left if m.body is not None or m.attributes is not None]
    queues = house.queues._registry.by_number.values()
    lines = sum(queue.groups.count for queue in queues if queue.groups is not None)
    assert len(left) <= len(known) + 64 * len(queues) + 17 * lines


class History:
    """Random calls, mostly sends, on a few queues."""

    def __init__(
        self, house: House, seed: int, queues: int, *, fifo: bool = False, tenants: bool = False
    ) -> None:
        self.house = house
        self.dice = random.Random(seed)
        self.fifo = fifo
        self.tenants = tenants
        self.names = [f"q{n}.fifo" if fifo else f"q{n}" for n in range(queues)]
        self.sent = 0
        self.handles: list[tuple[str, bytes]] = []

    async def send(self, queue: str, *bodies: str) -> None:
        if not self.fifo:
            group = self.dice.choice("abcde") if self.tenants else None
            entries = [a.SendEntry(body, group=group) for body in bodies]
            await self.house.call(a.SendMessage(queue=queue, entries=entries))
            return
        entries = []
        for body in bodies:
            self.sent += 1
            group = self.dice.choice("abcde") if self.dice.random() < 0.5 else f"{self.sent}"
            entries.append(a.SendEntry(body, group=group, deduplication_id=f"{self.sent}"))
        answer = await self.house.call(a.SendMessage(queue=queue, entries=entries))
        assert len(answer) == len(bodies)

    async def step(self) -> None:
        house, dice = self.house, self.dice
        queue = dice.choice(self.names)
        match dice.choice(("send", "send", "send", "delay", "receive", "receive", "settle", "time", "rare")):
            case "send":
                await self.send(queue, *["x" * dice.randint(1, BODY)] * dice.randint(1, 10))
            case "delay" if not self.fifo:
                await house.send("d" * dice.randint(1, BODY), queue=queue, delay=dice.choice([500, 60_000]))
            case "receive":
                found = await house.receive(dice.randint(1, 10), queue=queue)
                self.handles += [(queue, m[HANDLE]) for m in found]
            case "settle" if self.handles:
                queue, handle = self.handles.pop(dice.randrange(len(self.handles)))
                if dice.random() < 0.5:
                    await house.delete(handle, queue=queue)
                else:
                    await house.change(handle, dice.choice([0, 1000, 100_000]), queue=queue)
            case "time":
                await house.wait(dice.choice([10, 300, 2500]))
            case "rare" if dice.random() < 0.05:
                await house.call(a.PurgeQueue(queue=queue))
            case "rare" if dice.random() < 0.05:
                await house.restart()


@pytest.mark.parametrize("look", [50, 0])
@pytest.mark.parametrize("queues", [1, 3])
@pytest.mark.parametrize("seed", range(3))
async def test_ids_groups_and_stubs_of_fifo_queues_count(
    seed: int, queues: int, look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in line of a FIFO queue stays known, as a stub, up to so many messages; what receives look
    through, too."""
    stubs = 50
    monkeypatch.setattr("ropewayd.queues.sweeping.HELD_STUBS", stubs)
    limits = QueueLimits(
        memory_bytes=BUDGET,
        page_bytes=PAGE,
        page_messages=10,
        min_window_bytes=1000,
        fifo_calls=0,
        fifo_look=look,
    )
    house = House(KernelSettings(tail_bytes=6000, slice_bytes=SLICE), limits)
    await house.start()
    history = History(house, seed, queues, fifo=True)
    for name in history.names:
        await house.create(name, fifo=True, visibility_timeout=history.dice.choice([500, 20_000]))
    most = 0
    for number in range(400):
        await history.step()
        if number % 10 == 0:
            check_what_has_left(house)
        used = house.queues._registry.memory.used
        assert used == held(house)
        known = (len(history.names) * stubs if look else living(house)) * OVERHEAD
        assert used <= BUDGET + must_hold(house) + known + SLACK
        most = max(most, living(house))
    assert most * (BODY // 2 + OVERHEAD) > 2 * BUDGET


@pytest.mark.parametrize("tenants", [False, True])
@pytest.mark.parametrize("queues", [1, 3, 40])
@pytest.mark.parametrize("seed", range(3))
async def test_memory_is_within_its_budget_after_any_history(seed: int, queues: int, tenants: bool) -> None:
    kept = (1, 1000, 16 << 10)[seed % 3]
    limits = QueueLimits(
        memory_bytes=BUDGET, page_bytes=PAGE, page_messages=10, min_window_bytes=1000, kept_bytes=kept
    )
    house = House(KernelSettings(tail_bytes=6000, slice_bytes=SLICE), limits)
    await house.start()
    history = History(house, seed, queues, tenants=tenants)
    for name in history.names:
        await house.create(name, visibility_timeout=history.dice.choice([500, 20_000]))
    most = 0
    for number in range(1200):
        await history.step()
        if number % 50 == 0:
            check_what_has_left(house)
        used = house.queues._registry.memory.used
        assert used == held(house)
        assert used <= BUDGET + must_hold(house) + SLACK
        most = max(most, living(house))
    assert most * (BODY // 2 + OVERHEAD) > 2 * BUDGET  # it would not have been without leaving it to the disk


async def test_memory_is_within_its_budget_however_many_are_delayed() -> None:
    limits = QueueLimits(memory_bytes=100 * BUDGET, page_messages=100)
    house = House(KernelSettings(tail_bytes=600_000, slice_bytes=60_000), limits)
    await house.start()
    await house.create(visibility_timeout=60_000)
    dice = random.Random(4565)
    count, most = 30_000, 0
    for at in range(count // 100):
        entries = [
            a.SendEntry(f"{100 * at + n}".rjust(30), 300_000 + dice.randrange(600_000)) for n in range(100)
        ]
        await house.call(a.SendMessage(queue="jobs", entries=entries))
        most = max(most, house.queues.memory_used)
    while house.disk.journal:
        await house.wait(1000)
    [queue] = house.queues._registry.by_number.values()
    assert queue.delays is not None
    assert (queue.delays.alone, len(queue.messages), house.queues.memory_used) == (count, 0, 0)
    assert len(queue.delays.chunks) < count / 20
    assert len(house.wheel) < 10
    await house.restart()
    assert await house.counts() == (0, 0, count)
    got: set[str] = set()
    while len(got) < count:
        await house.wait(5000)
        most = max(most, house.queues.memory_used)
        while found := await house.receive(1000):
            got.update(message[BODY_AT] for message in found)
            await house.delete(*(message[HANDLE] for message in found))
    assert most < 100 * BUDGET
    assert await house.counts() == (0, 0, 0)


async def test_what_a_drain_leaves_in_memory_is_bounded_by_the_tail() -> None:
    """Of each message that ended memory knows that its row is to go, until a slice has said so."""
    tail = 200_000
    house = House(KernelSettings(tail_bytes=tail, slice_bytes=20_000), QueueLimits(memory_bytes=BUDGET))
    await house.start()
    await house.create(visibility_timeout=60_000)
    for _ in range(10):
        await house.send(*["x"] * 1000)
    while house.disk.journal:
        await house.wait(1000)
    [queue] = house.queues._registry.by_number.values()
    most = drained = 0
    while found := await house.receive(10):
        await house.delete(*(message[HANDLE] for message in found))
        drained += len(found)
        most = max(most, len(queue.dead))
    assert drained == 10_000
    assert 0 < most * 100 < tail
