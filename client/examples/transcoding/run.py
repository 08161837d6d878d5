"""One run of the site: a daemon, a producer, a pool of workers, the index, two accidents, then the proof."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import ffmpeg
import ropeway
import verify
from accidents import Accidents
from board import Board, Depth
from children import Child, Children
from daemon import Broken, Daemon
from index import Index, Video
from jobs import JOBS, RESULTS, Job, submit
from pool import Pool
from sheet import VIDEOS
from verify import Claim

HERE = Path(__file__).resolve().parent
LATER = 8.0
"""Seconds by which the last third of the jobs is delayed."""
VISIBILITY = 5.0
"""Seconds after which the job of a dead worker comes back. Some jobs take longer: they are extended."""
LOOK_INTERVAL = 0.2
PATIENCE = 90.0
PATIENCE_PER_FILE = 30.0
"""Seconds, and more of them for each file, before the run gives up; the proof then says what is missing."""


class Run:
    """`output` is where everything goes; `temporary` is for the daemon's socket, whose path must be short.

    After `go`, `claims` says what was checked, and `facts` what else is worth knowing.
    """

    def __init__(self, output: Path, temporary: Path, board: Board) -> None:
        self.claims: list[Claim] = []
        self.facts: list[str] = []
        self._output = output
        self._board = board
        self._children = Children(output / "logs")
        self._daemon = Daemon(self._children, output / "store", temporary / "socket")
        url = ["--url", self._daemon.url]
        self._pool = Pool(self._children, [sys.executable, str(HERE / "worker.py"), *url], board.tell)
        self._accidents = Accidents(self._pool, self._daemon, board)
        self._index_command = [
            *(sys.executable, str(HERE / "index.py"), *url),
            *("--database", str(output / "index.sqlite"), "--sheet", str(output / "contact-sheet.html")),
        ]
        board.hands = self._pool.hands

    async def go(self, files: Sequence[Path]) -> None:
        """All of it. Whatever happens, no process is left when this returns.

        Raises Broken, and ffmpeg.Failed if that program is of no use.
        """
        board = self._board
        try:
            jobs = await self._plan(files)
            await self._daemon.start()
            board.daemon_up = True
            board.tell("ropewayd", f"serves {self._daemon.url}")
            async with ropeway.connect(self._daemon.url) as broker:
                await self._transcode(broker, jobs)
            code = await self._daemon.stop()
            board.daemon_up = False
            board.tell("ropewayd", f"drained and ended with exit code {code}")
            self._claim("the daemon ended well when asked to", code != 0 and f"exit code {code}")
            await self._prove(jobs)
            shutil.rmtree(self._output / "store")
        finally:
            left = await self._children.kill_all()
            if left:
                board.tell("demo", f"killed {left} processes that were still running")

    async def _plan(self, files: Sequence[Path]) -> list[Job]:
        codec = await ffmpeg.best_codec()
        suffix = ffmpeg.CODECS[codec][0]
        self._board.files = len(files)
        self._board.tell("demo", f"{len(files)} files, to be transcoded by {codec}")
        stems = Counter(file.stem for file in files)
        names = [_readable(file.stem if stems[file.stem] == 1 else file.name) for file in files]
        folder = self._output / VIDEOS
        return [
            Job(name, str(file), str(folder / f"{name}{suffix}"), codec)
            for name, file in zip(names, files, strict=True)
        ]

    async def _transcode(self, broker: ropeway.Broker, jobs: Sequence[Job]) -> None:
        queue = await broker.create_queue(JOBS, visibility_timeout=VISIBILITY)
        results = await broker.create_queue(RESULTS, visibility_timeout=VISIBILITY)
        index = await self._children.start("index", self._index_command, self._note, speaks="stdout")
        await self._produce(queue, jobs)
        self._board.phase = "transcoding"
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._pool.run(queue)),
                group.create_task(self._watch([queue, results])),
                group.create_task(self._accidents.happen(len(jobs))),
            ]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE + PATIENCE_PER_FILE * len(jobs)):
                    while not self._done():
                        self._must_live(index)
                        await asyncio.sleep(LOOK_INTERVAL)
            for task in tasks:
                task.cancel()
        self._board.phase = "stopping"
        await self._pool.stop()
        index.stop()
        await index.ended
        self._board.tell("demo", "the workers and the index have finished")
        self._board.depths = {each.name: await _depth(each) for each in (queue, results)}
        left = [f"{name} has {depth}" for name, depth in self._board.depths.items() if not depth.empty]
        self._claim("both queues are empty", *left)

    async def _produce(self, queue: ropeway.Queue, jobs: Sequence[Job]) -> None:
        split = len(jobs) - len(jobs) // 3
        now, later = jobs[:split], jobs[split:]
        await submit(queue, now, later=later, delay=LATER)
        self._board.tell("producer", f"sent {len(now)} jobs, and {len(later)} with a delay of {LATER:.0f} s")
        await submit(queue, now[-1:])
        self._board.tell("producer", f"sent {now[-1].name} again, as after a lost connection")

    async def _watch(self, queues: Sequence[ropeway.Queue]) -> None:
        """Keep the depths on the board."""
        while True:
            with contextlib.suppress(ropeway.RopewayError):
                self._board.depths = {queue.name: await _depth(queue) for queue in queues}
            await asyncio.sleep(LOOK_INTERVAL)

    def _must_live(self, index: Child) -> None:
        if self._daemon.wanted and not self._daemon.running:
            raise Broken("the daemon died by itself; see logs/ropewayd.log")
        if not index.running:
            raise Broken("the index died by itself; see logs/index.log")

    def _done(self) -> bool:
        """Everything is indexed, and what was repeated has come to its end too."""
        board = self._board
        empty = bool(board.depths) and all(depth.empty for depth in board.depths.values())
        return len(board.indexed) >= board.files and empty and board.daemon_up

    def _note(self, said: dict[str, Any]) -> None:
        """What the index says."""
        board, name = self._board, said["name"]
        board.indexed.add(name)
        if said["event"] == "repeated":
            board.tell("index", f"{name} came again, by {said['worker']}: recognised, nothing changes")
        elif said["error"] is not None:
            board.tell("index", f"{name} was given up: {said['error']}")
        elif board.plain:
            board.tell("index", f"{name} by {said['worker']}, {len(board.indexed)} of {board.files}")

    async def _prove(self, jobs: Sequence[Job]) -> None:
        self._board.phase = "verifying"
        self._board.tell("demo", "decodes every video to its end")
        with contextlib.closing(Index(self._output / "index.sqlite")) as index:
            videos, arrivals = index.videos(), index.arrivals()
        folder = self._output / VIDEOS
        for path in folder.glob(".*"):  # of the worker that was killed in the middle
            path.unlink()
        self.claims += [
            verify.in_the_index(jobs, videos),
            verify.in_the_folder(jobs, folder),
            await verify.playable(jobs),
            *self._accidents.claims({video.name: video.worker for video in videos}),
        ]
        self._tell_facts(len(jobs), videos, arrivals)
        self._board.phase = "finished"

    def _tell_facts(self, files: int, videos: Sequence[Video], arrivals: int) -> None:
        starts = self._pool.starts.total()
        self.facts = [
            f"Files: {files}. Transcodings begun: {starts}. So work was repeated: {starts - files}.",
            f"Results: {arrivals}. Recognised by the index as repetitions: {arrivals - len(videos)}.",
            f"Workers: {self._pool.hired} in all, at most {self._pool.largest_seen} at a time.",
        ]
        longest = max(videos, key=lambda video: video.took, default=None)
        if longest is not None and longest.took > VISIBILITY:
            long = f"{longest.name} took {longest.took:.1f} s (visibility timeout: {VISIBILITY:.0f} s)"
            self.facts.append(f"{long}: its worker extended it.")

    def _claim(self, text: str, *problems: str | Literal[False]) -> None:
        self.claims.append(Claim(text, [problem for problem in problems if problem]))


def _readable(name: str) -> str:
    """A file name that is no UTF-8 with its odd bytes written out, so that it can be printed and indexed."""
    return os.fsencode(name).decode(errors="backslashreplace")


async def _depth(queue: ropeway.Queue) -> Depth:
    now = await queue.attributes()
    return Depth(now["visible"], now["in_flight"], now["delayed"])
