from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ropewayd.store.protocol import Claim, Store
from tests import memory
from tests.store.places import PLACES, Place


class House:
    """A place, the store that is open in it, and its claim."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.store: Store = place.store()
        self.claim = Claim(0, 0)

    async def open(self) -> None:
        self.claim = await self.store.claim("test")

    async def reopen(self) -> None:
        """Close in order, and start again."""
        await self.store.close()
        self.store = self.place.store()
        await self.open()

    async def crash(self) -> None:
        """Crash, and start again."""
        await self.place.crash(self.store)
        self.store = self.place.store()
        await self.open()

    async def append(self, *batches: bytes) -> int:
        """Append batches after what is there."""
        lsn = await self.last()
        for batch in batches:
            lsn = await self.store.append(self.claim, lsn, batch)
        return lsn

    async def last(self) -> int:
        tail = (await self.store.recover(self.claim)).tail
        return tail[-1].lsn if tail else self.claim.last_lsn


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """As pytest's own, but in memory, and gone after the test."""
    with memory.directory() as path:
        yield path


@pytest.fixture(params=sorted(PLACES))
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    house = House(PLACES[request.param](tmp_path))
    await house.open()
    yield house
    await house.store.close()
