"""What the tests of the client library share."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import ropeway
from tests.clients.peer import Peer, serving


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    """A broker in memory on a Unix socket, that a test can script."""
    async with serving(tmp_path / "peer.sock") as running:
        yield running


@pytest.fixture
async def broker(peer: Peer) -> AsyncIterator[ropeway.Broker]:
    """A broker that is connected to the peer."""
    before = asyncio.all_tasks()
    async with ropeway.connect(peer.url, timeout=5) as connected:
        yield connected
    left = {each for each in asyncio.all_tasks() - before if "ropeway" in repr(each.get_coro())}
    assert not left
