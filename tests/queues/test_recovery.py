"""Records that are older than the journal's tail, and the slices that make them so."""

from __future__ import annotations

from ropewayd.kernel.settings import KernelSettings
from ropewayd.kernel.wheel import Wheel
from ropewayd.queues import actions as a
from ropewayd.queues.actions import QueueAttributes
from ropewayd.queues.events import MessagesReceived, MessagesSent
from ropewayd.queues.memory import Memory
from ropewayd.queues.message import IN_FLIGHT, Message
from ropewayd.queues.queue import Queue, Sent
from ropewayd.vocabulary.names import Scope
from tests.house import START, House, settle


async def test_queues_that_a_slice_leaves_to_its_end_are_there_after_a_restart() -> None:
    """A slice that is full before it has written anything but what belongs at its end."""
    house = House(KernelSettings(slice_bytes=1))
    await house.start()
    names = [f"jobs-{n}" for n in range(9)]
    house.faults.gate.clear()
    for name in names:  # in one batch but for the first
        house.submit(a.CreateQueue(queue=name))
    house.faults.gate.set()
    await settle()
    for _ in range(40):
        await house.wait(2_000)
    assert not house.disk.journal
    await house.restart()
    assert (await house.call(a.ListQueues()))["queues"] == names


def test_a_record_in_flight_that_is_older_than_the_tail_counts_once() -> None:
    """What made it visible was trimmed when it had ended, and the tail begins with the receive after that."""
    queue = Queue(1, "jobs", Scope(), QueueAttributes(), START, Wheel(START), None, Memory())
    queue.replaying = True
    queue.next_sequence, queue.live = 2, 1
    late = START + 90_000
    queue.restore(Message(1, b"i" * 16, "x", None, START, 1, 1, START, IN_FLIGHT, late, stored=5, waits=True))
    queue.received(MessagesReceived(1, START + 50, late, [1]), 8)
    assert queue.in_flight == 1
    queue.purged(1, 9).clear()
    assert (queue.in_flight, queue.visible, queue.live) == (0, 0, 0)
    assert len(queue.wheel) == 0


def test_what_ends_in_the_tail_never_comes_to_be_in_memory() -> None:
    queue = Queue(1, "jobs", Scope(), QueueAttributes(), START, Wheel(START), None, Memory())
    queue.replaying, queue.ending = True, {1, 2}
    assert queue.sent(MessagesSent(1, 1, START, b"i" * 32, ["a", "b"]), 3) == Sent(1, range(1, 3))
    assert (queue.live, queue.next_sequence, queue.messages, queue.memory.used) == (2, 3, {}, 0)
    queue.sent(MessagesSent(1, 3, START, b"i" * 16, ["c"]), 4)
    queue.ended([1, 2], 2, 5)
    queue.recovered()
    assert (queue.live, list(queue.messages)) == (1, [3])
