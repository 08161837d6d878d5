"""What a FIFO queue gives next, and how its groups behave whatever comes and goes."""

from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.groups import Find, Groups
from ropewayd.queues.message import DELAYED, GONE, IN_FLIGHT, VISIBLE, Message, System
from ropewayd.queues.settings import QueueLimits
from tests.house import BODY, HANDLE, START, House

FAR = 1 << 41


@pytest.fixture
async def fifo(house: House) -> House:
    """A house with a FIFO queue, visibility timeout 10 s."""
    await make(house)
    return house


async def make(house: House, **attributes: Any) -> None:
    given = {"fifo": True, "content_based_deduplication": True, "visibility_timeout": 10_000} | attributes
    await house.create("jobs.fifo", **given)


async def send(house: House, *bodies: str) -> list[Any]:
    """A digit in front is the group."""
    entries = [a.SendEntry(body, group=body[0]) for body in bodies]
    answer: list[Any] = await house.call(a.SendMessage(queue="jobs.fifo", entries=entries))
    return answer


async def receive(house: House, most: int = 10, **each: Any) -> list[Any]:
    return await house.receive(most, "jobs.fifo", **each)


async def bodies(house: House, most: int = 10, **each: Any) -> list[str]:
    return [message[BODY] for message in await receive(house, most, **each)]


def test_what_is_past_its_time_is_found_once() -> None:
    """Also of a group whose head was another message for a while: one that came from disk and ended."""
    late = Message(21, b"", "x", None, 5, 1, system=System("g"))
    groups = Groups()
    groups.add(late)
    assert groups.oldest() is late
    early = Message(1, b"", "x", None, 1, 1, system=System("g"))
    groups.add(early)
    assert groups.oldest() is early
    early.state = GONE
    groups.look([early])
    assert groups.past(5, 10) == [late]
    assert groups.past(5, 10) == [late]
    assert groups.oldest() is late


async def test_a_receive_takes_what_it_can_from_one_group_and_then_from_the_next(fifo: House) -> None:
    await send(fifo, "1a", "2a", "1b", "3a", "1c", "2b")
    assert await bodies(fifo, 4) == ["1a", "1b", "1c", "2a"]
    assert await bodies(fifo) == ["3a"]


async def test_a_group_is_locked_while_one_of_its_messages_is_in_flight(fifo: House) -> None:
    await send(fifo, "1a", "1b", "1c")
    first, second = await receive(fifo, 2)
    await send(fifo, "1d")
    assert await bodies(fifo) == []
    await fifo.delete(second[HANDLE], queue="jobs.fifo")
    assert await bodies(fifo) == []
    await fifo.delete(first[HANDLE], queue="jobs.fifo")
    assert await bodies(fifo) == ["1c", "1d"]


@pytest.mark.parametrize(("extended", "given"), [(0, []), (1, ["1a"]), (2, ["1a", "1b"])])
async def test_an_invisible_message_blocks_what_is_behind_it(
    fifo: House, extended: int, given: list[str]
) -> None:
    await send(fifo, "1a", "1b", "1c")
    received = await receive(fifo)
    await fifo.change(received[extended][HANDLE], 60_000, queue="jobs.fifo")
    await fifo.wait(10_010)
    assert await bodies(fifo) == given


async def test_a_message_given_back_comes_after_the_next_group_and_blocks_until_then(fifo: House) -> None:
    await send(fifo, "1a", "1b", "2a")
    received = await receive(fifo, 2)
    await fifo.change(received[0][HANDLE], 0, queue="jobs.fifo")
    assert await bodies(fifo) == ["2a", "1a"]


async def test_a_receive_that_hides_nothing_puts_its_groups_behind_the_others(fifo: House) -> None:
    await send(fifo, "1a", "2a", "2b", "3a", "1b")
    assert await bodies(fifo, 3, visibility_timeout=0) == ["1a", "1b", "2a"]
    assert await bodies(fifo, 10, visibility_timeout=0) == ["3a", "1a", "1b", "2a", "2b"]


async def test_a_poll_is_fed_when_a_delete_opens_a_group(fifo: House) -> None:
    await send(fifo, "1a", "1b")
    (first,) = await receive(fifo, 1)
    poll = fifo.submit(a.ReceiveMessage(queue="jobs.fifo", wait=20_000))
    await fifo.wait(100)
    assert not poll.answered
    await fifo.delete(first[HANDLE], queue="jobs.fifo")
    assert [m[BODY] for m in await poll.answer] == ["1b"]


async def test_blocked_messages_count_as_visible(fifo: House) -> None:
    await send(fifo, "1a", "1b", "1c")
    await receive(fifo, 1)
    assert await fifo.counts("jobs.fifo") == (2, 1, 0)


async def test_an_expired_handle_is_refused_and_an_extended_one_is_good(fifo: House) -> None:
    await send(fifo, "1a", "2a")
    late, extended = await receive(fifo)
    await fifo.change(extended[HANDLE], 30_000, queue="jobs.fifo")
    await fifo.wait(10_010)
    refused, done = await fifo.delete(late[HANDLE], extended[HANDLE], queue="jobs.fifo")
    assert refused.message.endswith("Reason: The receipt handle has expired.")
    assert refused.field == "handles[0]"
    assert done is None
    changed = await fifo.change(late[HANDLE], 1000, queue="jobs.fifo")
    assert changed.message.endswith("Reason: The receipt handle has expired.")
    (again,) = await receive(fifo)
    assert (await fifo.delete(late[HANDLE], queue="jobs.fifo"))[0] is not None
    assert await fifo.delete(again[HANDLE], queue="jobs.fifo") == [None]
    assert await fifo.delete(again[HANDLE], queue="jobs.fifo") == [None]  # twice is fine


async def test_no_more_than_the_limit_is_in_flight_and_nobody_is_told() -> None:
    house = House(limits=QueueLimits(max_in_flight=1, fifo_in_flight=2))
    await house.start()
    await make(house)
    await send(house, "1a", "2a", "3a")
    one, _ = await receive(house)
    assert await receive(house) == []
    poll = house.submit(a.ReceiveMessage(queue="jobs.fifo", wait=20_000))
    await house.delete(one[HANDLE], queue="jobs.fifo")
    assert [m[BODY] for m in await poll.answer] == ["3a"]


async def test_the_delay_is_the_queues_and_a_change_counts_for_what_is_delayed(fifo: House) -> None:
    await fifo.call(a.SetQueueAttributes(queue="jobs.fifo", attributes={"delay": 60_000}))
    await send(fifo, "1a", "1b")
    assert await fifo.counts("jobs.fifo") == (0, 0, 2)
    await fifo.wait(1000)
    await fifo.call(a.SetQueueAttributes(queue="jobs.fifo", attributes={"delay": 5000}))
    assert await fifo.counts("jobs.fifo") == (0, 0, 2)
    await fifo.wait(3900)
    assert await bodies(fifo) == []
    await fifo.wait(110)
    assert await bodies(fifo) == ["1a", "1b"]


async def test_a_delay_that_is_taken_away_shows_what_it_hid(fifo: House) -> None:
    await fifo.call(a.SetQueueAttributes(queue="jobs.fifo", attributes={"delay": 60_000}))
    await send(fifo, "1a")
    poll = fifo.submit(a.ReceiveMessage(queue="jobs.fifo", wait=20_000))
    await fifo.call(a.SetQueueAttributes(queue="jobs.fifo", attributes={"delay": 0}))
    assert [m[BODY] for m in await poll.answer] == ["1a"]


async def test_messages_expire_though_their_group_was_blocked(fifo: House) -> None:
    await fifo.call(a.SetQueueAttributes(queue="jobs.fifo", attributes={"retention_period": 60_000}))
    await send(fifo, "1a", "1b", "2a")
    (first, *_) = await receive(fifo, 1, visibility_timeout=100_000)
    await fifo.wait(60_500)
    assert (await fifo.counts("jobs.fifo"))[1] == 1
    await fifo.delete(first[HANDLE], queue="jobs.fifo")
    await fifo.wait(61_000)
    assert await fifo.counts("jobs.fifo") == (0, 0, 0)


async def test_a_receive_never_gives_what_is_past_its_retention(fifo: House) -> None:
    await fifo.call(a.SetQueueAttributes(queue="jobs.fifo", attributes={"retention_period": 60_000}))
    await send(fifo, "1a", "2a")
    fifo.clock.at += 60_000  # no tick: nobody has looked yet
    await send(fifo, "1b")
    assert await bodies(fifo) == ["1b"]
    assert await fifo.counts("jobs.fifo") == (0, 1, 0)


async def test_after_a_restart_groups_stand_in_the_order_of_their_heads_and_locks_hold(fifo: House) -> None:
    await send(fifo, "1a", "2a", "1b", "3a", "2b")
    (first,) = await receive(fifo, 1)
    assert first[BODY] == "1a"
    await fifo.restart()
    assert await bodies(fifo, visibility_timeout=0) == ["2a", "2b", "3a"]
    assert await fifo.delete(first[HANDLE], queue="jobs.fifo") == [None]
    assert await bodies(fifo) == ["2a", "2b", "3a", "1b"]


async def test_what_is_on_disk_comes_in_order_too(house: House) -> None:
    await make(house)
    await send(house, *[f"{n % 3}-{n}" for n in range(30)])
    for _ in range(40):
        await house.wait(2_000)
    assert not house.disk.journal
    await house.restart()
    (first,) = await receive(house, 1)
    assert first[BODY] == "0-0"
    await send(house, "0-30", "3-31")
    rest = await bodies(house, 100)
    assert rest == [f"{n % 3}-{n}" for g in (1, 2) for n in range(g, 30, 3)] + ["3-31"]
    await house.delete(first[HANDLE], queue="jobs.fifo")
    assert await bodies(house, 100) == [f"0-{n}" for n in range(3, 31, 3)]


def made(sequence: int, name: str, state: int = VISIBLE) -> Message:
    return Message(sequence, b"", "", None, START + sequence, 1, state=state, system=System(group=name))


class Seen(Message):
    """Counts how often anybody looks at the state of one of its kind."""

    looks: ClassVar[int] = 0

    def __getattribute__(self, name: str) -> Any:
        if name == "state":
            Seen.looks += 1
        return super().__getattribute__(name)


def seen(sequence: int, name: str) -> Message:
    return Seen(sequence, b"", "", None, START + sequence, 1, system=System(group=name))


def cycle(groups: Groups, count: int) -> list[Message]:
    """A receive of so many, and their deletion."""
    picked = groups.first(Find(count, FAR, 0, 0, 100, 100)).picked
    for state, tell in ((IN_FLIGHT, groups.touch), (GONE, groups.look)):
        for message in picked:
            message.state = state
        tell(picked)
    return picked


def test_a_receive_and_a_delete_look_at_what_they_return_however_many_groups_wait() -> None:
    groups = Groups()
    groups.append([seen(n, f"g{n % 4000}") for n in range(1, 20_001)])
    Seen.looks = 0
    for _ in range(100):
        assert len(cycle(groups, 10)) == 10
    assert Seen.looks < 10 * 100 * 10


def test_what_is_blocked_is_not_walked() -> None:
    groups = Groups()
    groups.append([seen(n, "blocked") for n in range(1, 80_001)])
    (first,) = groups.first(Find(1, FAR, 0, 0, 100, 100)).picked
    first.state = IN_FLIGHT
    groups.touch([first])
    Seen.looks = 0
    for n in range(100):
        groups.append([seen(80_001 + n, f"g{n}")])
        assert [m.sequence for m in cycle(groups, 10)] == [80_001 + n]
        assert groups.oldest() is None
    assert Seen.looks < 10 * 100


def test_a_long_group_costs_what_is_taken_of_it() -> None:
    groups = Groups()
    groups.append([seen(n, "g") for n in range(1, 80_001)])
    Seen.looks = 0
    for at in range(100):
        assert [m.sequence for m in cycle(groups, 10)] == list(range(10 * at + 1, 10 * at + 11))
    assert Seen.looks < 10 * 100 * 10


class GroupsMachine(RuleBasedStateMachine):
    """Beside a model that looks through everything each time."""

    def __init__(self) -> None:
        super().__init__()
        self.groups = Groups()
        self.held: dict[int, Message] = {}
        self.next = 1

    def line(self, name: str) -> list[Message]:
        return [m for _, m in sorted(self.held.items()) if m.system and m.system.group == name]

    def prefix(self, name: str, through: int) -> list[int]:
        found = []
        for message in self.line(name):
            if message.state != VISIBLE or message.sequence > through:
                break
            found.append(message.sequence)
        return found

    def first(self, count: int, through: int) -> list[Message]:
        found = self.groups.first(Find(count, through, 0, 0, 100, 100))
        assert not found.expired + found.letters
        assert found.whole
        return found.picked

    @rule(names=st.lists(st.sampled_from("abcde"), min_size=1, max_size=6), delayed=st.booleans())
    def come(self, names: list[str], delayed: bool) -> None:
        state = DELAYED if delayed else VISIBLE
        self.groups.append([self._made(self.next + at, name, state) for at, name in enumerate(names)])
        self.next += len(names)

    def _made(self, sequence: int, name: str, state: int) -> Message:
        message = made(sequence, name, state)
        self.held[sequence] = message
        return message

    @rule(name=st.sampled_from("abcde"), sequence=st.integers(1, 60))
    def fill(self, name: str, sequence: int) -> None:
        """One from disk, older than others."""
        if sequence not in self.held and sequence < self.next:
            self.groups.add(self._made(sequence, name, VISIBLE))

    @precondition(lambda self: self.held)
    @rule(count=st.integers(1, 7), through=st.one_of(st.just(FAR), st.integers(1, 80)), hide=st.booleans())
    def receive(self, count: int, through: int, hide: bool) -> None:
        picked = self.first(count, through)
        wanted = {name: self.prefix(name, through) for name in "abcde"}
        assert len(picked) == min(count, sum(map(len, wanted.values())))
        at = 0
        names = [m.system.group for m in picked if m.system]
        for name in dict.fromkeys(names):
            run = [m.sequence for m in picked[at : at + names.count(name)]]
            at += len(run)
            assert run == wanted[str(name)][: len(run)]
            assert at == len(picked) or len(run) == len(wanted[str(name)]), "one group is left for the next"
        for message in picked:
            message.state = IN_FLIGHT if hide else VISIBLE
        self.groups.touch(picked)
        others = [name for name, run in wanted.items() if run and name not in names]
        if others and not hide:
            (following,) = self.first(1, through)
            assert following.system is not None
            assert following.system.group in others, "those that were touched stand behind"

    @precondition(lambda self: self.held)
    @rule(choice=st.data())
    def change(self, choice: st.DataObject) -> None:
        """Any number end, come back or go."""
        sequences = choice.draw(st.lists(st.sampled_from(sorted(self.held)), unique=True, max_size=8))
        state = choice.draw(st.sampled_from([GONE, GONE, VISIBLE, IN_FLIGHT]))
        changed = [self.held[s] for s in sequences]
        for message in changed:
            message.state = state
            if state == GONE:
                del self.held[message.sequence]
        self.groups.look(changed)

    @rule(age=st.integers(0, 60), count=st.integers(1, 5))
    def look_for_the_old(self, age: int, count: int) -> None:
        old = [s for name in "abcde" for s in self.prefix(name, FAR) if s <= age]
        found = [m.sequence for m in self.groups.past(START + age, count)]
        assert set(found) <= set(old)
        assert len(found) >= min(count, len(old)) or not set(old) - set(found)

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        assert [m.sequence for m in self.groups] == [
            s for s, m in sorted(self.held.items()) if m.state == VISIBLE
        ]
        assert self.groups.count == sum(1 for name in "abcde" if self.line(name))
        if self.next % 2:
            return  # nobody asks for the oldest each time
        heads = [line[0] for name in "abcde" if (line := self.line(name)) and line[0].state == VISIBLE]
        oldest = self.groups.oldest()
        assert (oldest and oldest.sequence) == (min(m.sequence for m in heads) if heads else None)


TestGroups = GroupsMachine.TestCase
TestGroups.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


async def test_a_backlog_leaves_its_bodies_to_the_disk_and_comes_in_order() -> None:
    limits = QueueLimits(memory_bytes=300_000, page_messages=50, min_window_bytes=20_000, fifo_calls=0)
    house = House(KernelSettings(tail_bytes=60_000, slice_bytes=10_000), limits)
    await house.start()
    await make(house)
    text = "x" * 2_000
    for n in range(0, 600, 10):
        await send(house, *(f"{k % 3}-{k}-{text}" for k in range(n, n + 10)))
        await house.wait(20)
    assert house.queues.memory_used < 400_000
    # The first group is blocked, and bodies of the others are read.
    blocked = await receive(house, 1, visibility_timeout=3_600_000)
    got: list[str] = []
    while messages := await receive(house, 7):
        got += [m[BODY].rpartition("-")[0] for m in messages]
        await house.delete(*(m[HANDLE] for m in messages), queue="jobs.fifo")
    for group in (1, 2):
        own = [name for name in got if name.startswith(f"{group}-")]
        assert own == [f"{group}-{n}" for n in range(group, 600, 3)]
    assert len(got) == 400
    assert house.queues.memory_used < 400_000
    await house.restart()
    await house.delete(blocked[0][HANDLE], queue="jobs.fifo")
    rest: list[str] = []
    while messages := await receive(house, 10):
        rest += [m[BODY].rpartition("-")[0] for m in messages]
        await house.delete(*(m[HANDLE] for m in messages), queue="jobs.fifo")
    assert rest == [f"0-{n}" for n in range(3, 600, 3)]


async def test_what_is_beyond_what_memory_may_know_is_found_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ropewayd.queues.sweeping.HELD_STUBS", 40)
    limits = QueueLimits(
        memory_bytes=10_000, page_messages=7, min_window_bytes=500, fifo_calls=0, fifo_look=0
    )
    house = House(KernelSettings(tail_bytes=6_000, slice_bytes=1_000), limits)
    await house.start()
    await make(house)
    for n in range(200):
        await send(house, f"{n % 5}-{n}")
        await house.wait(20)
    got: list[str] = []
    while messages := await receive(house, 3):
        got += [m[BODY] for m in messages]
        await house.delete(*(m[HANDLE] for m in messages), queue="jobs.fifo")
        await house.wait(10)
    for group in range(5):
        own = [name for name in got if name.startswith(f"{group}-")]
        assert own == [f"{group}-{n}" for n in range(group, 200, 5)]
    assert await house.counts("jobs.fifo") == (0, 0, 0)


async def test_dead_letters_leave_in_order_and_free_their_group(fifo: House) -> None:
    await fifo.create("dead.fifo", fifo=True)
    policy = {"dead_letter_target_arn": "dead.fifo", "max_receive_count": 1}
    await fifo.call(a.SetQueueAttributes(queue="jobs.fifo", attributes={"redrive_policy": policy}))
    await send(fifo, "1a", "1b", "2a")
    assert await bodies(fifo, 2) == ["1a", "1b"]
    await fifo.wait(10_010)
    await send(fifo, "1c")
    # The first two are dead letters now, and the third is given in the same moment.
    assert await bodies(fifo) == ["2a", "1c"]
    letters = await fifo.receive(10, "dead.fifo")
    assert [m[BODY] for m in letters] == ["1a", "1b"]
    assert [m[7]["group"] for m in letters] == ["1", "1"]
    assert letters[0][7]["source"].endswith("jobs.fifo")
    await fifo.restart()
    assert await fifo.counts("jobs.fifo") == (0, 2, 0)
    assert await fifo.counts("dead.fifo") == (0, 2, 0)
