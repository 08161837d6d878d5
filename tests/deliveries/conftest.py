from collections.abc import AsyncIterator

import pytest

from tests.deliveries.web_server import Server, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """An HTTP server that a test can script."""
    async with serving() as running:
        yield running
