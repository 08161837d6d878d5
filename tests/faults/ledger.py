"""What a store has promised, and whether it has kept it.

The ledger knows each append that was acknowledged, and the one that was under way when things went wrong.
After any fault a store must give back the state of the ledger, or that state and the whole of what was under
way.
"""

from __future__ import annotations

from typing import NamedTuple

from ropewayd.store.protocol import Claim, Entry, Key, Record, Recovered, Slice, Space, Store
from tests.store.places import MESSAGES, NAMES, OTHERS, TIMES

SMALL, PAGED = (NAMES, TIMES), (MESSAGES, OTHERS)
LAST_KEY = 2**63 - 1


class Broken(Exception):
    """A promise is broken. `kind`: lost, partial, returned, corrupt or wrong."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind
        self.what = what


class Append(NamedTuple):
    """One append, as it was asked for."""

    batch: bytes
    slice: Slice | None


class Contents(NamedTuple):
    """All that a store gives back."""

    recovered: Recovered
    paged: list[Record]


class State:
    """What appends come to."""

    def __init__(self) -> None:
        self.records: dict[tuple[Space, Key], Record] = {}
        self.tail: dict[int, bytes] = {}
        self.last = 0

    def copy(self) -> State:
        twin = State()
        twin.records, twin.tail, twin.last = dict(self.records), dict(self.tail), self.last
        return twin

    def append(self, append: Append) -> None:
        if append.batch:
            self.last += 1
            self.tail[self.last] = append.batch
        if append.slice is None:
            return
        for each in append.slice.drop_ranges:
            for space, key in list(self.records):
                if space == each.space and isinstance(key, int) and each.first <= key <= each.last:
                    del self.records[space, key]
        for place in append.slice.drops:
            self.records.pop(place, None)
        for passage in append.slice.passages:
            row = self.tail[passage.source]
            share = max(1, len(row) // len(passage.keys))
            for key in passage.keys:
                self.records[passage.space, key] = Record(passage.space, key, passage.lsn, row, share)
        for record in append.slice.puts:
            self.records[record.space, record.key] = record
        for lsn in [lsn for lsn in self.tail if lsn <= append.slice.trim_to]:
            del self.tail[lsn]

    def of(self, *spaces: Space) -> list[Record]:
        found = [record for (space, _), record in self.records.items() if space in spaces]
        return sorted(found, key=lambda record: (record.space.number, record.key))

    def contents(self) -> Contents:
        tail = [Entry(lsn, batch) for lsn, batch in self.tail.items()]
        return Contents(Recovered(self.of(*SMALL), tail), self.of(*PAGED))


class Ledger:
    """The state that was acknowledged, and what is under way."""

    def __init__(self) -> None:
        self.state = State()
        self.pending: Append | None = None
        self.epoch = 0
        self.acknowledged = 0
        self.found = 0
        """Appends that were under way at a fault, and were there after it."""
        self.gone = 0
        """The same, and were not."""

    def copy(self) -> Ledger:
        twin = Ledger()
        twin.__dict__.update(self.__dict__)
        twin.state = self.state.copy()
        return twin

    def begin(self, append: Append) -> None:
        assert self.pending is None
        self.pending = append

    def done(self, lsn: int) -> None:
        """It was acknowledged."""
        assert self.pending is not None
        self.state.append(self.pending)
        if lsn != self.state.last:
            raise Broken("wrong", f"lsn {lsn} was given, and {self.state.last} was next")
        self.acknowledged += bool(self.pending.batch)
        self.pending = None

    def undone(self) -> None:
        """It was refused: nothing of it may be there."""
        self.pending = None

    def claimed(self, claim: Claim) -> None:
        if claim.epoch <= self.epoch:
            raise Broken("lost", f"epoch {claim.epoch} comes after {self.epoch}")
        self.epoch = claim.epoch

    def settle(self, found: Contents, last: int) -> None:
        """Hold what a store gives back, and the last lsn that it says, against what it may be; from now on it
        is that. Raises Broken."""
        possible = [self.state]
        if self.pending is not None:
            possible.append(self.state.copy())
            possible[-1].append(self.pending)
        for number, state in enumerate(possible):
            if found == state.contents() and last == state.last:
                self.found += number
                self.gone += self.pending is not None and not number
                self.state, self.pending = state, None
                return
        raise self._broken(found)

    def _broken(self, found: Contents) -> Broken:
        """Name what is wrong, from the worst on."""
        tail = {entry.lsn: entry.batch for entry in found.recovered.tail}
        records = {(r.space, r.key): r for r in (*found.recovered.records, *found.paged)}
        missing = self.state.tail.keys() - tail.keys()
        after = self.state.copy()
        if self.pending is not None:
            after.append(self.pending)
        if missing - (self.state.tail.keys() - after.tail.keys()):
            return Broken("lost", f"journal rows {sorted(missing)[:5]} were acknowledged")
        back = [key for key in records if key not in self.state.records and key not in after.records]
        if back or any(lsn not in self.state.tail and lsn not in after.tail for lsn in tail):
            return Broken("returned", f"records {back[:5]} or journal rows that were dropped are back")
        gone = [key for key in self.state.records if key in after.records and key not in records]
        if gone:
            return Broken("lost", f"records {gone[:5]} were acknowledged")
        return Broken("partial", f"this is no state that ever was; under way was {self.pending!r:.300}")


async def read_all(store: Store, claim: Claim) -> Contents:
    """All that the store gives back."""
    recovered = await store.recover(claim)
    paged = []
    for space in PAGED:
        paged += await store.page(claim, space, 0, LAST_KEY, 1 << 20, 1 << 40)
    return Contents(recovered, paged)
