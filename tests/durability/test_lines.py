"""Exactly once and in order, through kill -9 of the daemon, with producers and workers that know nothing of
it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

import ropeway.sync
from tests.daemon import PATIENCE, Daemon
from tests.durability.lines import QUEUE

PRODUCERS = ("a", "b")
WORKERS = 2
FREE = {"ROPEWAY_QUEUES_LIMITS": "none"}


class Handled(NamedTuple):
    """One message in a worker's hands."""

    at: int
    group: str
    number: int
    id: str


def process(*arguments: str, inherited: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.durability.lines", *arguments]
    return subprocess.Popen(command, pass_fds=inherited)


def lived(daemon: Daemon, count: int, kills: int) -> list[Handled]:
    """Everything that the workers handled, until each of `count` messages was. The daemon dies on the way."""
    each = count // len(PRODUCERS)
    reading, writing = os.pipe()
    handled: list[Handled] = []
    seen: set[tuple[str, int]] = set()
    marks = [count * (n + 1) // (kills + 1) for n in range(kills)]
    working = [process("work", daemon.url, str(writing), inherited=(writing,)) for _ in range(WORKERS)]
    producing = [process("produce", daemon.url, name, str(each)) for name in PRODUCERS]
    os.close(writing)
    try:
        with os.fdopen(reading) as lines:
            for line in lines:
                at, group, number, id_ = line.split()
                handled.append(Handled(int(at), group, int(number), id_))
                seen.add((group, int(number)))
                if marks and len(seen) >= marks[0]:
                    del marks[0]
                    daemon.kill()
                    daemon.start()
                if len(seen) == count and working[0].poll() is None:
                    assert [each.wait(PATIENCE) for each in producing] == [0] * len(producing)
                    for worker in working:
                        worker.send_signal(signal.SIGTERM)
        assert [worker.wait(PATIENCE) for worker in working] == [0] * len(working)
    finally:
        for one in [*producing, *working]:
            one.kill()
            one.wait()
    assert not marks
    return sorted(handled)


def check(handled: list[Handled], count: int) -> None:
    """0 duplicates, 0 gaps, 0 reordered. A message whose delete died with the daemon may be handled again:
    the same message, before the next of its group."""
    ids: dict[tuple[str, int], set[str]] = defaultdict(set)
    lines: dict[str, list[int]] = defaultdict(list)
    for each in handled:
        ids[each.group, each.number].add(each.id)
        lines[each.group].append(each.number)
    assert [place for place, found in ids.items() if len(found) > 1] == [], "accepted twice"
    for group, numbers in lines.items():
        assert sorted(set(numbers)) == list(range(len(set(numbers)))), f"a gap in {group}"
        steps = {after - before for before, after in pairwise(numbers)}
        assert steps <= {0, 1}, f"reordered in {group}: {numbers}"
    assert len(ids) == count


@pytest.mark.parametrize(
    ("count", "kills"),
    [
        pytest.param(4_000, 2, id="4,000"),
        pytest.param(100_000, 10, id="100,000", marks=pytest.mark.proof),
    ],
)
def test_every_message_comes_once_and_in_order(tmp_path: Path, count: int, kills: int) -> None:
    with Daemon(tmp_path, environ=FREE) as daemon:
        with ropeway.sync.connect(daemon.url) as broker:
            broker.create_queue(QUEUE, fifo=True)
        check(lived(daemon, count, kills), count)
        with ropeway.sync.connect(daemon.url) as broker:
            found = broker.queue(QUEUE).attributes()
            assert (found["visible"], found["in_flight"], found["delayed"]) == (0, 0, 0)


def test_a_message_that_is_there_twice_is_found() -> None:
    """The control."""
    once = [Handled(n, "a1", n, f"{n}") for n in range(5)]
    check(once, 5)
    for wrong, why in [
        ([*once, Handled(9, "a1", 4, "other")], "accepted twice"),
        (once[:3] + once[4:], "a gap"),
        ([once[1], once[0], *once[2:]], "reordered"),
    ]:
        with pytest.raises(AssertionError, match=why):
            check(wrong, 5)
