"""Counts: where a value falls, and what the kernel counts of itself."""

from hypothesis import given
from hypothesis import strategies as st

from ropewayd.kernel.meter import Distribution
from ropewayd.queues import actions as a
from tests.house import House


@given(st.lists(st.integers(0, 50)))
def test_each_bound_counts_what_does_not_pass_it(values: list[int]) -> None:
    seen = Distribution((1, 10, 20))
    for value in values:
        seen.add(value)
    assert seen.total == sum(values)
    up_to = [(f"{bound}.0", sum(value <= bound for value in values)) for bound in (1, 10, 20)]
    assert seen.buckets() == [*up_to, ("+Inf", len(values))]


async def test_commits_and_polls_in_vain_are_counted(house: House) -> None:
    await house.create()
    before = sum(house.kernel.meter.commit_events.counts)
    await house.send("x")
    await house.receive()
    assert sum(house.kernel.meter.commit_events.counts) == before + 2
    waiting = house.submit(a.ReceiveMessage(queue="jobs", wait=1000))
    assert house.kernel.polls == 1
    await house.wait(1000)
    assert await waiting.answer == []
    assert sum(house.kernel.meter.vain_polls.values()) == 1
