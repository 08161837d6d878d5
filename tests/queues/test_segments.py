"""How deduplication ids lie on disk, against a naive account of them."""

import random
from collections import deque

import msgspec
import pytest

from ropewayd.kernel.service import SliceBuilder
from ropewayd.queues import deduplication, segments, slices
from ropewayd.queues.bloom import Filter
from ropewayd.queues.deduplication import IDS, Ids
from ropewayd.queues.records import SEQUENCE_BITS
from ropewayd.queues.segments import FORM, VERSION, WINDOW, Segment, former
from ropewayd.queues.slices import NONE, Remembered
from ropewayd.store.protocol import KeyRange, Record

NUMBER = 3


class Disk:
    """Records, as slices leave them."""

    def __init__(self) -> None:
        self.records: dict[int, bytes] = {}
        self.lsn = 0
        self.most = 0
        """Records of the slice with the most."""

    def slice(self, into: SliceBuilder) -> None:
        given = into.cut(0)
        for gone in given.drop_ranges:
            self.records = {k: v for k, v in self.records.items() if not gone.first <= k <= gone.last}
        for put in given.puts:
            assert type(put.key) is int
            assert put.key >> SEQUENCE_BITS == NUMBER
            assert put.key not in self.records, "a portion has records of its own"
            self.records[put.key] = put.value
        self.most = max(self.most, len(given.puts))

    def read(self, ranges: list[KeyRange]) -> list[Record]:
        return [
            Record(IDS, key, 1, self.records[key])
            for each in ranges
            for key in sorted(self.records)
            if each.first <= key <= each.last
        ]


class History:
    """A queue's ids under random sends, slices, let-goes, purges and restarts."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.disk = Disk()
        self.ids = Ids(NUMBER)
        self.tail: deque[Remembered] = deque()
        self.known: dict[bytes, tuple[int, int]] = {}
        """Digest to (sequence, when)."""
        self.now, self.next, self.floor = 1_000_000, 1, 0
        self.bytes = 0
        """What memory takes, as it was told."""

    def send(self) -> None:
        count = self.dice.randint(1, 12)
        digests = [self.dice.randbytes(16) if self.dice.random() < 0.9 else NONE for _ in range(count)]
        if set(digests) == {NONE}:
            return
        touch = Remembered(NUMBER, self.next, self.now, self.dice.randbytes(16 * count), b"".join(digests))
        self.bytes += self.ids.remember(touch)
        self.tail.append(touch)
        self.known.update((d, (self.next + n, self.now)) for n, d in enumerate(digests) if d != NONE)
        self.next += count

    def spill(self) -> None:
        self.disk.lsn += 1
        into = SliceBuilder(self.disk.lsn)
        for _ in range(self.dice.randint(1, 8)):
            if self.tail:
                self.ids.spill(self.tail.popleft(), into)
        self.disk.slice(into)

    def let_go(self) -> None:
        self.bytes -= self.ids.let_go(self.disk.lsn)

    def wait(self) -> None:
        self.now += self.dice.choice([1, 1000, self.dice.randint(1, 100_000), 200_000])
        self.bytes -= self.ids.forget(self.now)

    def purge(self) -> None:
        if self.dice.random() < 0.1:
            self.floor = self.next - 1
            self.bytes -= self.ids.clear(self.floor)
            self.known.clear()

    def restart(self) -> None:
        said = msgspec.msgpack.encode(self.ids.segments)
        self.ids, self.bytes = Ids(NUMBER), 0
        self.ids.restore(msgspec.msgpack.decode(said, type=list[Segment]))
        for touch in self.tail:
            if touch.first > self.floor:
                self.bytes += self.ids.remember(touch)

    def grow(self, size: int) -> None:
        self.bytes += size

    def learn(self) -> None:
        """As a send has it read."""
        needs = self.ids.learning(NUMBER, self.now, self.grow)
        if needs is not None:
            found = self.disk.read([KeyRange(IDS, needs.first, needs.last)])
            size, taken = 0, []
            for record in found[: needs.limit]:
                if size >= needs.max_bytes:
                    break
                taken.append(record)
                size += len(record.value)
            if self.dice.random() < 0.2:
                self.purge()
            needs.fill(taken)

    def find(self, digest: bytes) -> int | None:
        """As a send looks for it."""
        if not self.ids.may_know([digest], self.now):
            return None
        found = self.ids.find(digest, self.now, self.floor)
        if found is None and self.ids.may_be_on_disk(digest, self.now):
            self.ids.fill([digest], self.disk.read(self.ids.ranges([digest], self.now)))
            found = self.ids.find(digest, self.now, self.floor)
        return None if found is None else found.sequence

    def check(self) -> None:
        assert self.bytes == sum(each.bytes for each in self.ids._slices)
        for digest, (sequence, at) in self.dice.sample(sorted(self.known.items()), min(20, len(self.known))):
            assert self.find(digest) == (sequence if self.now < at + WINDOW else None)
        assert self.find(self.dice.randbytes(16)) is None


@pytest.mark.parametrize("seed", range(40))
def test_what_was_accepted_is_found_and_nothing_else(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "_FILL", 8)
    monkeypatch.setattr(deduplication, "PORTION", 30)
    monkeypatch.setattr(deduplication, "_SLICE_IDS", 20)
    monkeypatch.setattr(deduplication, "PAGE_BYTES", 1000)
    monkeypatch.setattr(slices, "PAGE_BYTES", 1000)
    history = History(seed)
    steps = [history.send] * 10 + [history.spill] * 3 + [history.let_go, history.wait, history.purge]
    steps += [history.learn] * 2
    for _ in range(400):
        history.dice.choice(steps)()
        if history.dice.random() < 0.01:
            history.restart()
        if history.dice.random() < 0.2:
            history.check()
    while history.tail:
        history.spill()
    history.restart()
    history.check()
    on_disk = [e for value in history.disk.records.values() for e in FORM.iter_unpack(value[1:])]
    sequences = [sequence for _, _, sequence, _ in on_disk]
    assert len(set(sequences)) == len(sequences), "each is written once"
    numbers = [each.number for each in history.ids.segments]
    assert len(set(numbers)) == len(numbers) <= 16


def test_a_portion_goes_to_few_records_and_a_look_reads_few_ids() -> None:
    history = History(1)
    for _ in range(60_000):
        history.send()
        if len(history.tail) > 500:
            history.spill()
    assert len(history.known) > 300_000
    assert history.disk.most < 1500
    for digest in history.dice.sample(sorted(history.known), 20):
        records = history.disk.read(history.ids.ranges([digest], history.now))
        assert sum(len(each.value) // FORM.size for each in records) < 5 * 1024


def test_what_is_on_disk_is_learned_and_then_not_looked_up() -> None:
    history = History(5)
    for _ in range(2_000):
        history.send()
        if len(history.tail) > 50:
            history.spill()
    history.restart()
    unknown = [history.dice.randbytes(16) for _ in range(1000)]
    assert all(history.ids.may_know([each], history.now) for each in unknown)
    for _ in range(100):
        history.learn()
    assert history.ids.learning(NUMBER, history.now, print) is None
    assert sum(history.ids.may_know([each], history.now) for each in unknown) < 50
    history.check()
    history.now += WINDOW
    assert history.ids.forget(history.now) > 0
    assert history.ids.over_at is None


def test_what_is_over_goes() -> None:
    history = History(2)
    for _ in range(20):
        history.send()
        history.spill()
        history.now += WINDOW
    assert len(history.disk.records) <= 2
    assert len(history.ids.segments) <= 2


def test_ids_that_were_written_in_epochs_are_found() -> None:
    disk, digest, at = Disk(), random.Random(3).randbytes(16), 7 * WINDOW + 5
    epoch, hashed = at // WINDOW, int.from_bytes(digest[:8]) >> 27
    disk.records[NUMBER << 41 | epoch % 16 << 37 | hashed] = VERSION + FORM.pack(digest, at, 9, b"i" * 16)
    ids = Ids(NUMBER)
    ids.restore([former(epoch)])
    assert ids.may_know([digest], at)
    ids.fill([digest], disk.read(ids.ranges([digest], at)))
    found = ids.find(digest, at + WINDOW - 1, 0)
    assert found is not None
    assert found.sequence == 9
    touch = Remembered(NUMBER, 10, at + 3 * WINDOW, b"j" * 16, digest)
    ids.remember(touch)
    into = SliceBuilder(1)
    ids.spill(touch, into)
    disk.slice(into)
    assert len(disk.records) == 1
    assert [each.bits for each in ids.segments] == [0]


def test_a_filter_has_what_was_put_in_and_hardly_more() -> None:
    dice = random.Random(4)
    heads = [dice.getrandbits(64) for _ in range(20_000)]
    there, new = heads[:10_000], heads[10_000:]
    found = Filter(len(there))
    found.add(there)
    assert all(found.any([head]) for head in there)
    assert sum(found.any([head]) for head in new) < 20
