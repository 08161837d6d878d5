"""The visible messages of a queue behave as a sorted list does, whatever comes and goes."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ropewayd.queues.message import Message
from ropewayd.queues.ready import Ready


class ReadyMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ready = Ready()
        self.model: dict[int, Message] = {}
        self.out: dict[int, Message] = {}
        self.next = 1

    @rule(count=st.integers(1, 5))
    def add(self, count: int) -> None:
        for _ in range(count):
            message = Message(self.next, b"", "", None, 0, 1)
            self.next += 1
            self.ready.add(message)
            self.model[message.sequence] = message

    @precondition(lambda self: self.model)
    @rule(count=st.integers(1, 7), keep=st.integers(0, 3))
    def take_first(self, count: int, keep: int) -> None:
        picked = self.ready.first(count)
        assert picked
        assert [m.sequence for m in picked] == sorted(self.model)[: len(picked)]
        picked = picked[: max(1, len(picked) - keep)]
        self.ready.take(picked)
        for message in picked:
            self.out[message.sequence] = self.model.pop(message.sequence)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(sorted(self.model)))
        message = self.out[sequence] = self.model.pop(sequence)
        self.ready.remove(message)

    @precondition(lambda self: len(self.model) > 1)
    @rule(data=st.data())
    def take_any(self, data: st.DataObject) -> None:
        picked = data.draw(st.lists(st.sampled_from(sorted(self.model)), unique=True, min_size=1, max_size=4))
        messages = [self.model.pop(sequence) for sequence in picked]
        self.ready.take(messages)
        self.out.update((m.sequence, m) for m in messages)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(sorted(self.out)))
        message = self.model[sequence] = self.out.pop(sequence)
        self.ready.put_back(message)

    @rule(data=st.data(), durable=st.sampled_from([1, 1, 1, 2]))
    def write(self, data: st.DataObject, durable: int) -> None:
        for sequence in data.draw(st.lists(st.integers(1, self.next), max_size=8)):
            if sequence in self.model:
                self.model[sequence].stored = durable

    @rule(data=st.data())
    def come_back_as_a_stub(self, data: st.DataObject) -> None:
        """Only memory knows how often it was received: the disk does not have it as it is."""
        for sequence in data.draw(st.lists(st.integers(1, self.next), max_size=4)):
            if sequence in self.model and not self.model[sequence].stub:
                self.model[sequence].lighten()
                self.model[sequence].waits = True

    @rule(keep=st.integers(0, 5), through=st.integers(0, 60), written=st.sampled_from([0, 100]))
    def let_go(self, keep: int, through: int, written: int) -> None:
        for message in self.ready.let_go(300 * keep, through, written, 1):
            assert message.stored == 1  # what is written as of 2 is not on disk yet
            assert not message.waits
            assert self.model.pop(message.sequence) is message

    @rule(count=st.integers(1, 7))
    def look(self, count: int) -> None:
        seen = self.ready.first(count)
        assert [m.sequence for m in seen] == sorted(self.model)[: len(seen)]
        assert len(seen) == min(count, len(self.model))

    @invariant()
    def agrees(self) -> None:
        assert len(self.ready) == len(self.model)
        assert [m.sequence for m in self.ready] == sorted(self.model)


TestReady = ReadyMachine.TestCase
TestReady.settings = settings(max_examples=150, stateful_step_count=40)


def test_a_stub_stays_and_keeps_nothing_else_here() -> None:
    messages = [Message(n, b"", "", None, 0, 1, stored=1) for n in range(1, 101)]
    for stub in messages[:50:10]:
        stub.lighten()
        stub.waits = True
    ready = Ready(messages)
    gone = ready.let_go(0, 100, 0, 1)
    assert {m.sequence for m in gone} == set(range(1, 101)) - {1, 11, 21, 31, 41}
    assert [m.sequence for m in ready] == [1, 11, 21, 31, 41]
