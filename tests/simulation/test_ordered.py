"""Histories of FIFO queues, and the bugs that they find."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from ropewayd.kernel.batch import Batch
from ropewayd.queues import service
from ropewayd.queues.deduplication import Ids
from ropewayd.queues.events import MessagesSent
from ropewayd.queues.movetask import Moving
from ropewayd.queues.moving import arrived
from ropewayd.queues.queue import Queue
from tests.simulation.ordered import Ordered

FAST = 30
SEEDS, SHARDS = 800, 8


async def lived(seeds: range) -> list[Ordered]:
    """Histories by seed. An error says which."""
    found = []
    for seed in seeds:
        try:
            found.append(await Ordered(seed).live())
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    return found


async def test_once_and_in_order_through_deaths_of_the_daemon() -> None:
    histories = await lived(range(FAST))
    assert sum(each.deaths for each in histories) > 5 * FAST
    assert sum(each.repeats for each in histories) > 5 * FAST
    assert sum(each.received for each in histories) > 50 * FAST
    assert sum(each.letters for each in histories) > FAST
    assert sum(each.redriven for each in histories) > FAST


@pytest.mark.proof
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_histories(shard: int) -> None:
    for seed in range(shard, SEEDS, SHARDS):  # each in a loop of its own, which lets go of what it made
        asyncio.run(lived(range(seed, seed + 1)))


async def test_an_id_that_is_not_in_the_journal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    written = Batch.add

    def add(batch: Batch, event: Any) -> None:
        written(batch, msgspec.structs.replace(event, digests=None) if type(event) is MessagesSent else event)

    monkeypatch.setattr(Batch, "add", add)
    with pytest.raises(AssertionError, match="twice"):
        await lived(range(FAST))


async def test_an_id_that_is_in_no_record_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ids, "spill", lambda self, touch, into: False)
    with pytest.raises(AssertionError, match="twice"):
        await lived(range(FAST))


async def test_a_group_that_is_not_locked_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Queue._hold

    def hold(queue: Queue, message: Any, *rest: Any) -> None:
        held(queue, message, *rest)
        message.state = 0

    monkeypatch.setattr(Queue, "_hold", hold)
    with pytest.raises(AssertionError):
        await lived(range(FAST))


async def test_a_move_that_reorders_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A move task that takes the last of its step first."""
    moved = Moving._moved

    def backwards(self: Any, queue: Any, target: Any, messages: list[Any], *rest: Any) -> Any:
        return moved(self, queue, target, messages[::-1], *rest)

    monkeypatch.setattr(Moving, "_moved", backwards)
    with pytest.raises(AssertionError, match="goes back before"):
        await lived(range(FAST))


async def test_dead_letters_that_lose_their_order_in_a_restart_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tail's event is applied as if what it moved stood the other way round."""

    def arrive(queue: Queue, event: Any, lsn: int) -> Any:
        if queue.replaying and len(event.bodies) > 1:
            columns = {
                name: getattr(event, name)[::-1]
                for name in ("bodies", "sent_at", "receive_counts", "first_received_at", "systems")
            }
            ids = b"".join(event.ids[at : at + 16] for at in range(len(event.ids) - 16, -1, -16))
            event = msgspec.structs.replace(event, ids=ids, **columns)
        return arrived(queue, event, lsn)

    monkeypatch.setattr(service, "arrived", arrive)
    with pytest.raises(AssertionError):
        await lived(range(FAST))
