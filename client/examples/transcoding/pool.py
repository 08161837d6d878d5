"""A pool of worker processes that grows and shrinks with the queue's depth.

The queue itself says how much there is to do: the messages that can be received and those in flight. The pool
knows no jobs, and hands out none; a worker that it stops finishes what it is at, and one that dies is missed
at the next look.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ropeway
from children import Child, Children

JOBS_PER_WORKER = 4
LOOK_INTERVAL = 0.5
PATIENCE_TO_SHRINK = 2
"""How many looks in a row must find too many workers before one is stopped: starting one costs more."""

Tell = Callable[[str, str], None]
"""Takes who and what."""


@dataclass(eq=False)
class Hand:
    """A worker process, as the pool sees it: what it said last."""

    name: str
    child: Child | None = None
    job: str | None = None
    attempt: int = 0
    share: float = 0.0
    since: float = field(default_factory=time.monotonic)
    leaving: bool = False
    finished: int = 0


class Pool:
    """`hands` are the workers that are there; `starts` counts how often each job was begun."""

    def __init__(
        self, children: Children, command: Sequence[str], tell: Tell, smallest: int = 1, largest: int = 4
    ) -> None:
        self.hands: list[Hand] = []
        self.starts: Counter[str] = Counter()
        self.hired = 0
        self.largest_seen = 0
        self._children = children
        self._command = list(command)
        self._tell = tell
        self._bounds = smallest, largest
        self._too_many = 0

    def wanted(self, depth: int) -> int:
        """How many workers this many jobs are worth."""
        smallest, largest = self._bounds
        return max(smallest, min(largest, math.ceil(depth / JOBS_PER_WORKER)))

    async def run(self, queue: ropeway.Queue) -> None:
        """Look at the queue and fit the pool to it, for ever."""
        while True:
            try:
                now = await queue.attributes()
            except ropeway.RopewayError as error:
                self._tell("pool", f"the queue does not answer: {error}")
            else:
                await self._fit(now["visible"] + now["in_flight"])
            await asyncio.sleep(LOOK_INTERVAL)

    async def stop(self) -> None:
        """Let each finish what it is at, and go."""
        for hand in self.hands:
            if not hand.leaving:  # a second signal would cut it short
                self._dismiss(hand)
        await asyncio.gather(*(hand.child.ended for hand in self.hands if hand.child is not None))

    async def _fit(self, depth: int) -> None:
        """One worker more or less at a time."""
        staying = [hand for hand in self.hands if not hand.leaving]
        wanted = self.wanted(depth)
        self._too_many = self._too_many + 1 if wanted < len(staying) else 0
        change = f"{len(staying)} -> "
        if wanted > len(staying):
            hand = await self._hire()
            self._tell("pool", f"{change}{len(staying) + 1} workers: {hand.name} comes, {depth} jobs to do")
        elif self._too_many >= PATIENCE_TO_SHRINK:
            self._too_many = 0
            hand = min(reversed(staying), key=lambda each: each.job is not None)  # one that is idle, if any
            busy = " when its job is done" if hand.job else ""
            self._tell(
                "pool", f"{change}{len(staying) - 1} workers: {hand.name} goes{busy}, {depth} jobs to do"
            )
            self._dismiss(hand)

    async def _hire(self) -> Hand:
        self.hired += 1
        hand = Hand(f"worker-{self.hired}")

        def heard(said: dict[str, Any]) -> None:
            self._note(hand, said)

        command = [*self._command, "--name", hand.name]
        hand.child = await self._children.start(hand.name, command, heard, speaks="stdout")
        hand.child.ended.add_done_callback(lambda ended: self._gone(hand, ended))
        self.hands.append(hand)
        self.largest_seen = max(self.largest_seen, len(self.hands))
        return hand

    def _dismiss(self, hand: Hand) -> None:
        hand.leaving = True
        if hand.child is not None:
            hand.child.stop()

    def _gone(self, hand: Hand, ended: asyncio.Task[int]) -> None:
        self.hands.remove(hand)
        if not ended.cancelled() and ended.result() != 0:
            code = ended.result()
            how = f"signal {-code}" if code < 0 else f"exit code {code}, see logs/{hand.name}.log"
            self._tell("pool", f"{hand.name} died by {how}")

    def _note(self, hand: Hand, said: dict[str, Any]) -> None:
        match said["event"]:
            case "started":
                self.starts[said["job"]] += 1
                hand.job, hand.attempt, hand.share = said["job"], said["attempt"], 0.0
                hand.since = time.monotonic()
                if hand.attempt > 1:
                    self._tell(hand.name, f"takes {hand.job}, attempt {hand.attempt}")
            case "progress":
                hand.share = said["share"]
            case "failed":
                self._tell(hand.name, f"failed at {said['job']}: {said['error']}")
                hand.job = None
            case "finished":
                hand.job = None
                hand.finished += 1
