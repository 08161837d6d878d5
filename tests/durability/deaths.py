"""Kills of the real daemon, and what each client was told, held against what is there afterwards."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL, SIGTERM

import ropeway.sync
from tests.daemon import PATIENCE, Daemon
from tests.durability.load import QUEUE
from tests.service.wire import CREATE_QUEUE, DELETE, DELETE_QUEUE, PURGE_QUEUE, RECEIVE, Wire

CLIENTS = 3
SPILLING = {"ROPEWAY_KERNEL_TAIL_BYTES": "1048576", "ROPEWAY_KERNEL_IDLE_SPILL_AFTER": "0.2"}
"""So that spilling and trimming go on all the time."""
MOMENT = 0.08
"""Seconds that the store's part of a start, a stop or a purge takes: the kill comes at any moment of them."""
BACKLOG = 2000

Kill = Callable[[Daemon, random.Random], None]


def at_work(daemon: Daemon, chance: random.Random) -> None:
    daemon.signal(SIGKILL)


def in_a_start(daemon: Daemon, chance: random.Random) -> None:
    daemon.kill()
    daemon.launch()
    assert daemon.process is not None
    mark = f"pid {daemon.process.pid},"
    patience = time.monotonic() + PATIENCE
    while mark not in (daemon.data_dir / "lock").read_text():
        assert time.monotonic() < patience, "it does not open its store"
        time.sleep(0.0005)
    time.sleep(chance.uniform(0, MOMENT))
    daemon.signal(SIGKILL)


def in_a_stop(daemon: Daemon, chance: random.Random) -> None:
    daemon.signal(SIGTERM)
    time.sleep(chance.uniform(0, MOMENT))
    daemon.signal(SIGKILL)


def live(
    daemon: Daemon, directory: Path, kill: Kill, kills: int, seed: int = 0
) -> tuple[list[Path], Counter[str]]:
    """Clients work while the daemon is killed; give what they have noted, and what is left at the end."""
    chance = random.Random(f"{kill.__name__} {kills} {seed}")
    with daemon:
        with ropeway.sync.connect(daemon.url) as broker:
            broker.create_queue(QUEUE, visibility_timeout=5)
        notes = [directory / f"client-{seed}" for seed in range(CLIENTS)]
        said = directory / "clients.err"
        with said.open("w") as errors:
            clients = [
                subprocess.Popen(
                    [sys.executable, "-m", "tests.durability.load", daemon.url, str(path), str(seed)],
                    stderr=errors,
                )
                for seed, path in enumerate(notes)
            ]
        try:
            for note in notes:
                grow([note], 1)
            killed = 0
            while killed < kills:
                grow(notes, chance.randint(200, 20_000))
                kill(daemon, chance)
                killed += daemon.wait() == -SIGKILL  # a stop may have come to its end before
                daemon.start()
            grow(notes, 5000)
        finally:
            for client in clients:
                client.terminate()
            codes = [end(client) for client in clients]
        assert codes == [0] * CLIENTS, said.read_text()[-2000:]
        return notes, drain(daemon.url)


def end(client: subprocess.Popen[bytes]) -> int:
    """Wait for its end, and see to it if need be; gives the exit code."""
    try:
        return client.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        client.kill()
        return client.wait()


def end_queues(directory: Path, kills: int, seed: int = 0) -> None:
    """Large queues are purged or deleted while the daemon is killed: as long as that is not acknowledged, all
    of it has happened or nothing; then all of it, and what is sent later stays."""
    chance = random.Random(f"{kills} {seed}")
    with Daemon(directory, environ=SPILLING) as daemon:
        for number in range(kills):
            with Wire(daemon.addresses[0]) as wire:
                wire.call(CREATE_QUEUE, {"queue": QUEUE})
                before = [f"{number}.{index}." + "x" * 1000 for index in range(BACKLOG)]
                for at in range(0, BACKLOG, 500):
                    wire.send(QUEUE, *before[at : at + 500])
            end = Ending(daemon.addresses[0], chance.choice((PURGE_QUEUE, DELETE_QUEUE)), f"{number}.late")
            end.start()
            time.sleep(chance.uniform(0, chance.choice((MOMENT / 30, MOMENT / 8, MOMENT))))
            daemon.kill()
            end.join(PATIENCE)
            daemon.start()
            with Wire(daemon.addresses[0]) as wire:
                wire.call(CREATE_QUEUE, {"queue": QUEUE})
                found = sorted(take_all(wire))
            ways = [[], ["late"]] if end.acknowledged else [sorted(before), [], ["late"]]
            if end.sent:
                ways = [["late"]]
            shown = ["late"] if found == [f"{number}.late"] else found
            assert shown in ways, f"{len(found)} of {BACKLOG} messages are left, {found[:3]}"


class Ending(threading.Thread):
    """Purges or deletes the queue, and sends a message when that is acknowledged."""

    def __init__(self, address: str, action: int, late: str) -> None:
        super().__init__()
        self._wire = Wire(address)
        self._action = action
        self._late = late
        self.acknowledged = False
        self.sent = False

    def run(self) -> None:
        try:
            with self._wire as wire:
                wire.call(self._action, {"queue": QUEUE})
                self.acknowledged = True
                wire.call(CREATE_QUEUE, {"queue": QUEUE})
                wire.send(QUEUE, self._late)
                self.sent = True
        except (EOFError, OSError):
            pass  # killed


def take_all(wire: Wire) -> list[str]:
    """Receive and delete all that is visible."""
    found: list[str] = []
    while messages := wire.call(RECEIVE, {"queue": QUEUE, "max_messages": 1000, "wait": 0}):
        found += [message[2] for message in messages]
        wire.call(DELETE, {"queue": QUEUE, "handles": [message[1] for message in messages]})
    return found


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
