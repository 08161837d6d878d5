"""Many requests that come at once do not keep the loop from what else has come to pass."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from ropewayd.protocols.aws.gateway import Gateway
from ropewayd.protocols.aws.server import PORTION, HttpServer
from ropewayd.protocols.aws.settings import HttpLimits


@dataclass
class Request:
    """An exchange, as far as the server goes."""

    name: int
    abandoned: bool = False


@dataclass
class Served:
    """In place of the gateway: what it was told, in order."""

    seen: list[Any] = field(default_factory=list)

    def serve(self, exchange: Request) -> None:
        self.seen.append(exchange.name)
        if exchange.name == 0:
            asyncio.get_running_loop().call_soon(self.seen.append, "something else")

    def flush(self) -> None:
        self.seen.append("handed on")


async def test_many_requests_that_come_at_once_are_served_by_portions_and_in_order() -> None:
    gateway = Served()
    server = HttpServer(cast(Gateway, gateway), HttpLimits())
    for name in range(2 * PORTION + 3):
        server.serve(cast(Any, Request(name)))
    assert gateway.seen == []
    for _ in range(4):
        await asyncio.sleep(0)  # a round of the loop
    assert gateway.seen == [
        *range(PORTION),
        "handed on",
        "something else",
        *range(PORTION, 2 * PORTION),
        "handed on",
        *range(2 * PORTION, 2 * PORTION + 3),
        "handed on",
    ]


async def test_a_request_whose_peer_left_before_its_turn_is_not_begun() -> None:
    gateway = Served()
    server = HttpServer(cast(Gateway, gateway), HttpLimits())
    requests = [Request(name) for name in range(3)]
    for each in requests:
        server.serve(cast(Any, each))
    requests[1].abandoned = True
    await asyncio.sleep(0)  # a round of the loop
    assert [each for each in gateway.seen if isinstance(each, int)] == [0, 2]
