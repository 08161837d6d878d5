"""FIFO queues through the library, against a real daemon."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import ropeway
from tests.daemon import Daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path) as running:
        yield running


async def test_a_message_has_its_group_and_its_place(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        orders = await broker.create_queue("orders.fifo", fifo=True, content_based_deduplication=True)
        sent = [await orders.send(body, group=body[0]) for body in ("1a", "2a", "1b")]
        assert await orders.send("1a", group="1") == sent[0]
        numbers = [each.sequence_number for each in sent]
        assert numbers == sorted(str(each) for each in set(numbers))
        received = await orders.receive(10)
        assert [each.text for each in received] == ["1a", "1b", "2a"]
        assert [(each.id, each.sequence_number) for each in received[:2]] == [
            (sent[0], numbers[0]),
            (sent[2], numbers[2]),
        ]
        assert (received[0].group, len(received[0].deduplication_id or "")) == ("1", 64)
        found = await orders.attributes()
        assert (found["fifo"], found["content_based_deduplication"]) == (True, True)
        with pytest.raises(ropeway.MissingParameter, match="group"):
            await orders.send("no group")


async def test_each_message_is_its_own_unless_it_says_otherwise(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        orders = await broker.create_queue("orders.fifo", fifo=True)
        assert await orders.send("same", group="g") != await orders.send("same", group="g")
        one, two = await orders.send_many([ropeway.Outgoing("x", group="g", deduplication_id="1")] * 2)
        assert one == two


async def test_a_worker_keeps_the_order_of_a_group_though_handlers_fail(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        orders = await broker.create_queue("orders.fifo", fifo=True)
        await orders.send_many(
            ropeway.Outgoing(f"{group} {n}", group=f"{group}") for n in range(12) for group in range(5)
        )
        done: dict[str, list[int]] = {f"{group}": [] for group in range(5)}
        busy: set[str | None] = set()
        most = 0

        async def handle(message: ropeway.Message) -> None:
            nonlocal most
            group, number = message.text.split()
            assert group not in busy, "two of a group at a time"
            busy.add(group)
            most = max(most, len(busy))
            await asyncio.sleep(0)
            busy.discard(group)
            if int(number) % 4 == 1 and message.receive_count == 1:
                raise ValueError("once")
            done[group].append(int(number))
            if sum(map(len, done.values())) == 60:
                worker.stop()

        backoff = ropeway.Backoff(first=0.01, factor=1, longest=0.01, jitter=0)
        worker = ropeway.Worker(orders, handle, concurrency=4, prefetch=30, backoff=backoff)
        await worker.run()
        assert all(numbers == list(range(12)) for numbers in done.values())
        assert most > 1
        found = await orders.attributes()
        assert (found["visible"], found["in_flight"]) == (0, 0)


async def test_what_goes_over_the_rate_waits_and_is_there(tmp_path: Path) -> None:
    with Daemon(tmp_path, environ={"ROPEWAY_QUEUES_FIFO_CALLS": "20"}) as daemon:
        async with ropeway.connect(daemon.url) as broker:
            orders = await broker.create_queue("orders.fifo", fifo=True)
            for n in range(30):
                await orders.send(f"{n}", group="g")
            assert (await orders.attributes())["visible"] == 30
            assert [each.text for each in await orders.receive(10)] == [f"{n}" for n in range(10)]
