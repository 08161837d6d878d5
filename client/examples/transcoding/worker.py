"""A worker: takes jobs, transcodes, sends a result for each.

    python worker.py --url unix:/path/to/socket --name worker-1

`ropeway.Worker` does what is delicate. It receives a job and keeps it from other workers for as long as the
handler runs, however long ffmpeg takes; it deletes the job when the handler returns; it gives the job back
after a pause when the handler raises; on SIGTERM it finishes the job it is at. If this process dies, nobody
extends the job's visibility timeout any more, and another worker gets it.

So a job may be done twice, and that must do no harm: the video is written beside its place under a name of
this process's own, and renamed when it is whole. What happens is told on standard output, a JSON object a
line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import ffmpeg
import ropeway
from jobs import JOBS, RESULTS, Job, Result, send_surely

ATTEMPTS = 3
"""A video that ffmpeg cannot read is given up at this receive; its result says why."""
BACKOFF = ropeway.Backoff(first=0.5, longest=5)


def tell(event: str, **facts: object) -> None:
    """On standard output, a JSON object a line."""
    print(json.dumps({"event": event, **facts}), flush=True)


class Transcoder:
    """The handler. It is called for each job."""

    def __init__(self, name: str, results: ropeway.Queue) -> None:
        self.name = name
        self.results = results

    async def __call__(self, message: ropeway.Message) -> None:
        job = Job.parse(message.text)
        tell("started", job=job.name, attempt=message.receive_count)
        begun = time.monotonic()
        thumbnail, seconds, error = b"", 0.0, None
        try:
            thumbnail, seconds = await self._transcode(job)
        except ffmpeg.Failed as failure:
            tell("failed", job=job.name, attempt=message.receive_count, error=str(failure))
            if message.receive_count < ATTEMPTS:
                raise  # the worker gives it back, with a pause that grows
            error = str(failure)
        result = Result(
            name=job.name,
            job=message.id,
            attempt=message.receive_count,
            worker=self.name,
            target=job.target,
            source_bytes=_size(job.source),
            target_bytes=0 if error else _size(job.target),
            seconds=seconds,
            took=round(time.monotonic() - begun, 2),
            error=error,
        )
        # The picture travels beside the text, as an attribute of the message: bytes stay bytes.
        attributes = {"thumbnail": thumbnail} if thumbnail else None
        await send_surely(self.results, ropeway.Outgoing(result.text(), attributes=attributes))
        if error is None:
            tell("finished", job=job.name)

    async def _transcode(self, job: Job) -> tuple[bytes, float]:
        source, target = Path(job.source), Path(job.target)
        unfinished = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
        length = await ffmpeg.length(source)
        try:
            await ffmpeg.transcode(source, unfinished, job.codec, _share_of(length))
            seconds = await ffmpeg.length(unfinished)
            thumbnail = await ffmpeg.thumbnail(unfinished, seconds)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
        return thumbnail, seconds


def _share_of(length: float) -> Callable[[float], None]:
    def progressed(done: float) -> None:
        # Of a video that does not say how long it is, one half is done until all is.
        tell("progress", share=round(min(1.0, done / length), 3) if length else 0.5)

    return progressed


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


async def work(url: str | None, name: str) -> None:
    """Until SIGTERM or SIGINT; the job that is being done then is finished first."""
    async with ropeway.connect(url) as broker:
        transcoder = Transcoder(name, broker.queue(RESULTS))
        await ropeway.Worker(broker.queue(JOBS), transcoder, concurrency=1, backoff=BACKOFF).run(signals=True)


def main() -> None:
    """The command."""
    options = argparse.ArgumentParser(description="A worker of the transcoding site.")
    options.add_argument("--url", default=None, help="the daemon; otherwise $ROPEWAY_URL")
    options.add_argument("--name", default=f"worker-{os.getpid()}")
    given = options.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    asyncio.run(work(given.url, given.name))


if __name__ == "__main__":
    main()
