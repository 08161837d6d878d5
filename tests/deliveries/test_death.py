"""Web hooks through deaths of the daemon: what was published reaches each of them, whatever is killed when.

A publisher publishes again what it got no answer for. Hooks answer most messages, and now and then with an
error that asks for another attempt. The daemon is killed at moments that the number of deliveries chooses.

`make deliveries DELIVERIES=n` runs it for so many.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from ropeway import Broker, ConnectionLost, DeadlineExceeded, Topic, connect
from tests.daemon import PATIENCE, Daemon

DELIVERIES = int(os.environ.get("DELIVERIES", "10000"))
HOOKS = 5
KILLS = 12
BATCH = 10
UNDER_WAY = 10
"""Deliveries to one hook that the daemon has under way at one time, at most: its setting's default."""
TIMEOUT = 1
"""Seconds that a hook may take. What was under way at a kill waits for twice that."""
RETRIES = {"numRetries": 50, "numNoDelayRetries": 20, "minDelayTarget": 1, "maxDelayTarget": 1}
POLICY = json.dumps({"healthyRetryPolicy": RETRIES})


@dataclass
class Hooks:
    """Subscribers: what each has got, how often, and what it answered with an error."""

    got: list[Counter[str]] = field(default_factory=lambda: [Counter() for _ in range(HOOKS)])
    tokens: list[str] = field(default_factory=list)
    refused: int = 0
    url: str = ""
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    async def take(self, request: web.Request) -> web.Response:
        text = await request.text()
        status = 200
        if request.headers["x-amz-sns-message-type"] == "SubscriptionConfirmation":
            self.tokens.append(json.loads(text)["Token"])
        elif self.chance.random() < 0.02:
            self.refused += 1
            status = 503
        else:
            self.got[int(request.match_info["hook"])][text] += 1
        async with self.news:
            self.news.notify_all()
        return web.Response(status=status)

    @property
    def seen(self) -> int:
        """Different messages that came, over all hooks."""
        return sum(map(len, self.got))

    async def until(self, seen: int) -> None:
        """Wait for so many. Raises TimeoutError where nothing new comes for long."""
        while self.seen < seen:
            before = self.seen
            async with self.news, asyncio.timeout(PATIENCE):
                while self.seen == before:
                    await self.news.wait()


@pytest.fixture
async def hooks() -> AsyncIterator[Hooks]:
    made = Hooks()
    app = web.Application()
    app.router.add_post("/{hook}", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def subscribe(broker: Broker, topic: Topic, hooks: Hooks) -> None:
    for number in range(HOOKS):
        await topic.subscribe(f"{hooks.url}/{number}", raw=True, delivery_policy=POLICY)
    async with hooks.news:
        await hooks.news.wait_for(lambda: len(hooks.tokens) == HOOKS)
    for token in hooks.tokens:
        await broker.confirm_subscription(token)


async def publish(topic: Topic, wanted: int) -> int:
    """Each message until it is accepted; gives how many had to be published again."""
    again = 0
    for start in range(0, wanted, BATCH):
        batch = [f"message {number}" for number in range(start, min(wanted, start + BATCH))]
        while True:
            try:
                await topic.publish_many(batch)
                break
            except (ConnectionLost, DeadlineExceeded):
                again += len(batch)
    return again


async def kill_now_and_then(daemon: Daemon, hooks: Hooks, moments: list[int]) -> None:
    for moment in moments:
        await hooks.until(moment)
        await asyncio.to_thread(daemon.kill)
        await asyncio.to_thread(daemon.start)


@pytest.mark.proof
async def test_what_was_published_reaches_each_web_hook_through_deaths_of_the_daemon(
    tmp_path: Path, hooks: Hooks
) -> None:
    wanted = DELIVERIES // HOOKS
    moments = sorted(hooks.chance.sample(range(DELIVERIES * 9 // 10), KILLS))
    with Daemon(tmp_path, "--subscribers-timeout", str(TIMEOUT), http="127.0.0.1:0") as daemon:
        async with connect(daemon.url) as broker:
            topic = await broker.create_topic("news")
            await subscribe(broker, topic, hooks)
            killing = asyncio.create_task(kill_now_and_then(daemon, hooks, moments))
            again = await publish(topic, wanted)
            await hooks.until(DELIVERIES)
            await killing
            everything = {f"message {number}" for number in range(wanted)}
            assert [set(got) for got in hooks.got] == [everything] * HOOKS
            more = sum(got.total() for got in hooks.got) - DELIVERIES
            assert more <= (again + KILLS * UNDER_WAY) * HOOKS
            assert hooks.refused > DELIVERIES // 100
