"""A producer and a worker of a FIFO queue, each a process of its own.

    python -m tests.durability.lines produce URL NAME COUNT
    python -m tests.durability.lines work URL DESCRIPTOR

The producer sends COUNT messages, numbered in each of its groups, and ends. It knows of no death of the
daemon: the library sends again what was not answered. The worker handles messages until SIGTERM, and for each
writes a line to the descriptor, before the message is deleted: the monotonic time, the body and the id.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

import ropeway

QUEUE = "lines.fifo"
GROUPS = 20
"""Of each producer."""
BATCH = 100
PATIENCE = 60.0


async def produce(url: str, name: str, count: int) -> None:
    async with ropeway.connect(url, timeout=PATIENCE) as broker:
        queue = broker.queue(QUEUE)
        for first in range(0, count, BATCH):
            numbers = range(first, min(count, first + BATCH))
            await queue.send_many(
                ropeway.Outgoing(f"{name}{n % GROUPS} {n // GROUPS}", group=f"{name}{n % GROUPS}")
                for n in numbers
            )


async def work(url: str, descriptor: int) -> None:
    async def handle(message: ropeway.Message) -> None:
        line = f"{time.monotonic_ns()} {message.text} {message.id}\n"
        os.write(descriptor, line.encode())

    async with ropeway.connect(url, timeout=PATIENCE) as broker:
        worker = ropeway.Worker(
            broker.queue(QUEUE), handle, concurrency=50, prefetch=200, visibility_timeout=PATIENCE
        )
        await worker.run(signals=True)


if __name__ == "__main__":
    if sys.argv[1] == "produce":
        asyncio.run(produce(sys.argv[2], sys.argv[3], int(sys.argv[4])))
    else:
        asyncio.run(work(sys.argv[2], int(sys.argv[3])))
