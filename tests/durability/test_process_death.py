"""What was acknowledged is there after kill -9, and what was acknowledged as deleted is not."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import ropeway.sync
from tests.daemon import PATIENCE, Daemon
from tests.durability.load import QUEUE

CLIENTS = 3
SMALL_TAIL = {"ROPEWAY_KERNEL_TAIL_BYTES": "1048576", "ROPEWAY_KERNEL_IDLE_SPILL_AFTER": "0.2"}
"""So that spilling and trimming go on all the time."""


@pytest.mark.parametrize(
    ("kills", "environ"),
    [
        pytest.param(3, SMALL_TAIL, id="3"),
        pytest.param(30, SMALL_TAIL, id="30 while spilling", marks=pytest.mark.proof),
        pytest.param(30, {}, id="30", marks=pytest.mark.proof),
    ],
)
def test_nothing_acknowledged_is_lost_and_nothing_deleted_returns(
    tmp_path: Path, kills: int, environ: dict[str, str]
) -> None:
    chance = random.Random(kills)
    with Daemon(tmp_path, environ=environ) as daemon:
        with ropeway.sync.connect(daemon.url) as broker:
            broker.create_queue(QUEUE, visibility_timeout=5)
        notes = [tmp_path / f"client-{seed}" for seed in range(CLIENTS)]
        clients = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.durability.load", daemon.url, str(path), str(seed)]
            )
            for seed, path in enumerate(notes)
        ]
        try:
            for note in notes:
                grow([note], 1)
            for _ in range(kills):
                grow(notes, chance.randint(200, 20_000))
                daemon.kill()
                daemon.start()
            grow(notes, 5000)
        finally:
            for client in clients:
                client.terminate()
            codes = [client.wait(PATIENCE) for client in clients]
        assert codes == [0] * CLIENTS
        left = drain(daemon.url)
    check(notes, left)


def grow(notes: list[Path], by: int) -> None:
    """Wait until the clients have written down so many bytes more: work goes on."""
    until = size(notes) + by
    patience = time.monotonic() + PATIENCE
    while size(notes) < until:
        assert time.monotonic() < patience, "the clients make no progress"
        time.sleep(0.002)


def size(notes: list[Path]) -> int:
    return sum(path.stat().st_size for path in notes if path.exists())


def drain(url: str) -> Counter[str]:
    """Everything that is left, until the queue says that nothing is."""
    found: Counter[str] = Counter()
    with ropeway.sync.connect(url) as broker:
        queue = broker.queue(QUEUE)
        while True:
            messages = queue.receive(1000, wait=1, visibility_timeout=600)
            found.update(str(message.body) for message in messages)
            for message in messages:
                message.delete()
            said = queue.attributes()
            if not messages and said["visible"] + said["in_flight"] + said["delayed"] == 0:
                return found


def check(notes: list[Path], left: Counter[str]) -> None:
    sent: set[str] = set()
    tried: set[str] = set()
    deleted: set[str] = set()
    for path in notes:
        for line in path.read_text().splitlines():
            letter, _, body = line.partition(" ")
            {"S": sent, "T": tried, "D": deleted}.get(letter, set()).add(body)
    assert len(sent) > 100
    assert len(deleted) > 20
    lost = sent - set(left) - tried
    assert not lost, f"{len(lost)} acknowledged messages are gone, {sorted(lost)[:3]}"
    returned = deleted & set(left)
    assert not returned, f"{len(returned)} deleted messages are back, {sorted(returned)[:3]}"
    doubled = [body for body, count in left.items() if count > 1]
    assert not doubled, f"{len(doubled)} messages came twice within their visibility timeout, {doubled[:3]}"
