"""What goes wrong on the way, on purpose: a worker dies in the middle of a job, then the daemon dies."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from board import Board
from daemon import Daemon
from pool import Hand, Pool
from verify import Claim

LOOK_INTERVAL = 0.03
DOWN_TIME = 1.0
"""Seconds from the daemon's death to its next start."""
MIDDLE = 0.15
"""A job is in the middle when ffmpeg has done this share of it, and not yet all."""


class Accidents:
    """Each happens once, when enough videos are finished and work is going on."""

    def __init__(self, pool: Pool, daemon: Daemon, board: Board) -> None:
        self.over = False
        self._pool = pool
        self._daemon = daemon
        self._board = board
        self._worker = ""
        self._job = ""
        self._down_for = 0.0

    async def happen(self, files: int) -> None:
        """Both, one after the other."""
        await self._kill_a_worker(after=files // 6)
        await self._kill_the_daemon(after=files // 2)
        self.over = True

    def claims(self, finishers: Mapping[str, str]) -> list[Claim]:
        """That they happened, and that the job of the dead worker was done by another. `finishers` says who
        did what."""
        if not self._job:
            return [Claim("a worker is killed in the middle of a job", ["none was ever caught at it"])]
        heir = finishers.get(self._job)
        problem = f"{heir} did it" if heir == self._worker else "nobody did it" if heir is None else ""
        return [
            Claim(
                f"{self._worker} was killed amid {self._job}, and {heir} did it",
                [problem] if problem else [],
            ),
            Claim(
                f"the daemon was killed, and was back after {self._down_for:.1f} s",
                [] if self.over else ["it was not"],
            ),
        ]

    async def _kill_a_worker(self, after: int) -> None:
        hand = await self._someone_busy(after)
        assert hand.child is not None
        assert hand.job is not None
        hand.child.kill()
        self._worker, self._job = hand.name, hand.job
        self._board.tell("accident", f"kill -9 {hand.name}, {hand.share:.0%} through {hand.job}")

    async def _kill_the_daemon(self, after: int) -> None:
        await self._someone_busy(after)
        begun = self._board.elapsed
        await self._daemon.kill()
        self._board.daemon_up = False
        busy = sum(hand.job is not None for hand in self._pool.hands)
        self._board.tell("accident", f"kill -9 ropewayd, while {busy} workers are busy; they go on")
        await asyncio.sleep(DOWN_TIME)
        await self._daemon.start()
        self._board.daemon_up = True
        self._down_for = self._board.elapsed - begun
        said = self._daemon.events["start"]
        self._board.tell(
            "ropewayd",
            f"is back after {self._down_for:.1f} s, on the same store: {said['records']} records read,"
            f" {said['events']} events replayed",
        )

    async def _someone_busy(self, after: int) -> Hand:
        """Wait for a worker that is in the middle of a job."""
        while True:
            if len(self._board.indexed) >= after:
                for hand in self._pool.hands:
                    if hand.job is not None and MIDDLE <= hand.share < 1:
                        return hand
            await asyncio.sleep(LOOK_INTERVAL)
