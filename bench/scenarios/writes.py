"""writes: how many bytes the daemon has written to disk for each message of 1 KiB, at its default settings.

A commit writes a page of 16 KiB at least, whatever is in it, and what stays is written again when it is
spilled and when the log is folded in. So it depends on how many messages share a commit, and on whether they
are consumed before they are spilled. What is still to be folded in at the end is not counted.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Check, none
from bench.match import Crew
from bench.scenario import Outcome, Scenario, Settings, Watch
from bench.store import BODY, CREW, Moved, Store, astray
from bench.wire import QUEUE


@dataclass(frozen=True)
class Way:
    """A way to send, then to receive and delete. `part`: of the messages that the settings name."""

    name: str
    crew: Crew
    batch: int
    part: float


WAYS = (
    Way("batches of 100", CREW, 100, 0.3),
    Way("batches of 10", CREW, 10, 0.3),
    Way("64 single calls at a time", CREW, 1, 0.05),
    Way("one single call at a time", Crew(1, 1), 1, 0.01),
)


def run(settings: Settings, watch: Watch) -> Outcome:
    """Each way on a store of its own."""
    figures: dict[str, object] = {}
    lines: list[tuple[str, str]] = []
    checks: list[Check] = []
    for way in WAYS:
        sent, came = move(settings, way)
        figures[way.name] = {"messages": sent.messages, "sent": each(sent), "consumed": each(came)}
        for what, moved in (("sent", sent), ("received and deleted", came)):
            lines.append((f"bytes written for a message {what}, {way.name}", told(moved)))
        checks.append(none(f"messages lost or doubled, {way.name}", astray(sent, came)))
        watch(f"{way.name}: {told(sent)} sent, {told(came)} received and deleted")
    return Outcome(figures=figures, checks=checks, lines=lines)


def move(settings: Settings, way: Way) -> tuple[Moved, Moved]:
    """All are sent, and then received and deleted."""
    count = max(way.batch, round(settings.messages * way.part) // way.batch * way.batch)
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        store = Store(Path(place), crew=way.crew, batch=way.batch)
        try:
            return store.move("produce", QUEUE, count), store.move("consume", QUEUE, count)
        finally:
            store.close()


def each(moved: Moved) -> float:
    """Bytes written for a message."""
    return moved.written / max(1, moved.messages)


def told(moved: Moved) -> str:
    """The same in words."""
    return f"{each(moved):,.0f} ({moved.amplification(BODY):.1f} times its body)"


def steps(_: Settings) -> int:
    """One a way."""
    return len(WAYS)


SCENARIO = Scenario(
    name="writes",
    summary="bytes written to disk for each message, in batches and alone, sent and consumed",
    steps=steps,
    run=run,
)
