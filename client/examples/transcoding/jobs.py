"""What travels through the two queues: jobs to the workers, results to the index. And the producer.

Both are JSON texts. A job has a name that it keeps however often it is sent or received, and so has its
result: that is all it takes for the consumers to recognise a repetition.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import ropeway

JOBS = "jobs"
RESULTS = "results"


@dataclass(frozen=True)
class _Text:
    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        fields: dict[str, Any] = json.loads(text)
        return cls(**fields)


@dataclass(frozen=True)
class Job(_Text):
    """A video to transcode: `source` to `target`, both absolute paths. `name` is unique in the folder."""

    name: str
    source: str
    target: str
    codec: str


@dataclass(frozen=True)
class Result(_Text):
    """What became of a job. `job` is the id of its message, `attempt` how often that was received.

    `took` and `seconds` (the length of the video) are in seconds. `error` is None, or why it was given up.
    """

    name: str
    job: str
    attempt: int
    worker: str
    target: str
    source_bytes: int
    target_bytes: int
    seconds: float
    took: float
    error: str | None = None


async def send_surely(queue: ropeway.Queue, *messages: ropeway.Outgoing) -> None:
    """Send until the daemon has said that it has them.

    A connection that breaks before the answer leaves it open whether the messages arrived. Sending them again
    may make two of one, and the consumers cope with that; not sending them again could lose them.
    """
    while True:
        try:
            await queue.send_many(messages)
        except (ropeway.ConnectionLost, ropeway.DeadlineExceeded):
            continue
        return


async def submit(
    queue: ropeway.Queue, jobs: Sequence[Job], *, later: Sequence[Job] = (), delay: float = 0
) -> None:
    """The producer: `jobs` may be worked on at once, those in `later` after `delay` seconds."""
    await send_surely(
        queue,
        *(ropeway.Outgoing(job.text()) for job in jobs),
        *(ropeway.Outgoing(job.text(), delay=delay) for job in later),
    )
