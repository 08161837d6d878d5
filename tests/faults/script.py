"""What is done to a store: random steps that fit what is in it, the same for a seed."""

from __future__ import annotations

import random
from typing import Final, Literal

from ropewayd.store.protocol import Key, KeyRange, Passage, Record, Slice, Space
from tests.faults.ledger import PAGED, SMALL, Append, State

Step = Append | Literal["tidy", "claim", "reopen", "look"]

_SIZES: Final = (1, 30, 30, 300, 300, 300, 2000, 2000, 6000, 20_000)
_SAID: Final = 1000
"""The keys of passages begin here."""
_TAIL: Final = 40
_RECORDS: Final = 80
"""More than this is trimmed and dropped, so that stores stay small and checking them cheap."""


def next_step(chance: random.Random, state: State) -> Step:
    """The next step for a store in this state."""
    dice = chance.random()
    if dice < 0.80:
        return Append(_bytes(chance), None)
    if dice < 0.93:
        return Append(_bytes(chance) if chance.random() < 0.7 else b"", _slice(chance, state))
    if dice < 0.97:
        return "tidy"
    if dice < 0.99:
        return "look"
    return "claim" if dice < 0.995 else "reopen"


def _bytes(chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice(_SIZES))


def _slice(chance: random.Random, state: State) -> Slice:
    # An empty batch has no lsn of its own; what it puts is as of the last one.
    lsn = state.last
    puts = [
        Record(space, _key(chance, space), chance.randint(0, lsn), _bytes(chance))
        for space in chance.choices((*SMALL, *PAGED), k=chance.choice((0, 1, 3, 10)))
    ]
    there = list(state.records)
    drops = chance.sample(there, min(len(there), chance.choice((0, 0, 2, 10))))
    if len(there) > _RECORDS:
        drops += chance.sample(there, len(there) // 2)
    if chance.random() < 0.2:
        space = chance.choice((*SMALL, *PAGED))
        drops.append((space, _key(chance, space)))  # which may not be there
    ranges = []
    passages = _passages(chance, state)
    if passages and chance.random() < 0.2:
        puts.append(Record(passages[0].space, passages[0].keys[-1], lsn, _bytes(chance)))
    if chance.random() < 0.3:
        first = chance.choice((chance.randrange(200), max(0, _last_said(state, *PAGED) - 10)))
        ranges.append(KeyRange(chance.choice(PAGED), first, first + chance.choice((0, 5, 60))))
    trim = chance.random() < 0.3 or len(state.tail) > _TAIL
    # Of one key the last put counts, so there is but one.
    last_puts = list({(record.space, record.key): record for record in puts}.values())
    trim_to = max(0, lsn - chance.randrange(_TAIL // 2)) if trim else 0
    return Slice(last_puts, drops, ranges, trim_to, passages)


def _passages(chance: random.Random, state: State) -> list[Passage]:
    """Keys that a journal row says from now on, behind all others of their space."""
    if not state.tail or chance.random() < 0.5:
        return []
    space = chance.choice(PAGED)
    first = _last_said(state, space) + chance.randint(1, 3)
    keys = range(first, first + chance.choice((1, 4, 20)), chance.choice((1, 1, 2)))
    return [Passage(space, keys, chance.randint(0, state.last), chance.choice(list(state.tail)))]


def _last_said(state: State, *spaces: Space) -> int:
    """The last key of a passage's."""
    there = (key for space, key in state.records if space in spaces and isinstance(key, int))
    return max(_SAID, max(there, default=0))


def _key(chance: random.Random, space: Space) -> Key:
    return chance.randrange(200) if space.paged else b"key %d" % chance.randrange(30)
