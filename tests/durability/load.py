"""One client process that sends, receives and deletes, and writes down what was acknowledged.

    python -m tests.durability.load URL FILE SEED

It goes on until SIGTERM, through every death of the daemon. A line of FILE is a letter and a message's body,
written after the fact: S sent (acknowledged), T a delete is tried, D deleted (acknowledged), R received.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path
from typing import IO

import ropeway

QUEUE = "load"
GONE = (
    ropeway.ConnectionLost,
    ropeway.ConnectionFailed,
    ropeway.DeadlineExceeded,
    ropeway.ServiceUnavailable,
)


class Load:
    def __init__(self, file: IO[str], seed: int) -> None:
        self._file = file
        self._random = random.Random(seed)
        self._name = f"{seed}"
        self._count = 0
        self.ended = False

    def note(self, letter: str, body: str) -> None:
        self._file.write(f"{letter} {body}\n")
        self._file.flush()

    def body(self) -> str:
        self._count += 1
        return f"{self._name}.{self._count}." + "x" * self._random.choice([0, 10, 3000])

    async def send(self, queue: ropeway.Queue) -> None:
        while not self.ended:
            bodies = [self.body() for _ in range(self._random.randint(1, 20))]
            delay = self._random.choice([None, None, None, 0.2])
            try:
                await queue.send_many(ropeway.Outgoing(body, delay=delay) for body in bodies)
            except GONE:
                continue
            for body in bodies:
                self.note("S", body)

    async def work(self, queue: ropeway.Queue) -> None:
        while not self.ended:
            try:
                messages = await queue.receive(20, wait=0.5, visibility_timeout=self._random.choice([1, 5]))
            except GONE:
                continue
            for message in messages:
                self.note("R", str(message.body))
            for message in messages:
                if self._random.random() < 0.1:
                    continue  # left for its visibility timeout
                self.note("T", str(message.body))
                try:
                    await message.delete()
                except GONE:
                    continue
                self.note("D", str(message.body))


async def main(url: str, path: Path, seed: int) -> None:
    with path.open("w") as file:
        load = Load(file, seed)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, setattr, load, "ended", True)
        async with ropeway.connect(url, timeout=10) as broker:
            queue = broker.queue(QUEUE)
            await asyncio.gather(load.send(queue), load.work(queue), load.work(queue))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
