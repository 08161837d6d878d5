"""Histories of topics, and the bugs that they find."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ropewayd.deliveries.dispatcher import Dispatcher
from ropewayd.kernel.batch import Batch
from ropewayd.queues import actions as q
from ropewayd.queues.fanning import Fan
from ropewayd.topics.events import SubscriptionConfirmed
from ropewayd.topics.filter_policy import FilterPolicy
from tests.simulation.fanned import Fanned, fan

FAST = 30
SEEDS, SHARDS = 500, 4


def lived(seeds: range) -> list[Fanned]:
    return [fan(seed) for seed in seeds]


def test_all_that_is_published_reaches_who_wants_it() -> None:
    histories = lived(range(FAST))
    assert sum(each.published for each in histories) > 30 * FAST
    assert sum(each.deaths for each in histories) > 5 * FAST
    assert sum(len(hook.taken) for each in histories for hook in each.hooks) > 20 * FAST
    assert sum(each.letters for each in histories) > FAST
    for what in ("hung", "failed", "late", "refused"):
        assert sum(getattr(each.network, what) for each in histories) > FAST // 2, f"too few {what}"


@pytest.mark.proof
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_histories(shard: int) -> None:
    lived(range(shard, SEEDS, SHARDS))


def test_a_delivery_that_is_lost_at_a_crash_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dispatcher that deletes what it received before it sends it."""
    deliver = Dispatcher._deliver

    async def hasty(self: Any, lane: Any, message: Any, by: float) -> None:
        await self._ask(q.DeleteMessage(queue=lane.queue, handles=[message[1]]))
        await deliver(self, lane, message, by)

    monkeypatch.setattr(Dispatcher, "_deliver", hasty)
    with pytest.raises(AssertionError, match=r"example.org/ lost"):
        lived(range(FAST))


def test_a_filter_that_is_ignored_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FilterPolicy, "takes", lambda self, seen: True)
    with pytest.raises(AssertionError, match="not for it"):
        lived(range(FAST))


def test_a_group_out_of_order_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fan-out that gives a FIFO queue the last of a batch first."""
    add = Fan.add

    def backwards(self: Fan, called: str, picks: list[int], own: str = "", *, letters: bool = False) -> Any:
        given = picks[::-1] if called.endswith(".fifo") else picks
        return add(self, called, given, own, letters=letters)

    monkeypatch.setattr(Fan, "add", backwards)
    with pytest.raises(AssertionError, match=r"gave .* and not"):
        lived(range(FAST))


def test_a_confirmation_that_a_restart_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal has it of another subscription."""
    written = Batch.add

    def add(batch: Batch, event: Any) -> None:
        forgets = type(event) is SubscriptionConfirmed
        written(batch, msgspec.structs.replace(event, id=bytes(16)) if forgets else event)

    monkeypatch.setattr(Batch, "add", add)
    with pytest.raises(AssertionError, match=r"example.org/ lost"):
        lived(range(FAST))
