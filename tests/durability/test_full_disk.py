"""A disk that fills up under a daemon that is sent to: a small tmpfs, where we may mount one, and everywhere
a directory in which the system's own calls say that it is full.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.shim import compiled, small_disk
from tests.daemon import PATIENCE, Daemon
from tests.service.wire import CREATE_QUEUE, DELETE, RECEIVE, Wire

QUEUE = "jobs"
BATCH = 10
SETTINGS = {
    "ROPEWAY_KERNEL_TAIL_BYTES": "1048576",
    "ROPEWAY_KERNEL_IDLE_SPILL_AFTER": "0.1",
    "ROPEWAY_STORE_WAL_BYTES": "1048576",
    "ROPEWAY_STORE_RESERVE_BYTES": "1048576",
}
MIB = 1 << 20
SIZE, LARGER = 24 * MIB, 96 * MIB


class Small:
    """A disk of 24 MiB, on which the data are; as the shim tells the daemon."""

    def __init__(self, path: Path, library: Path | None) -> None:
        self.path = path
        self._library = library
        self.environ = {} if library is None else small_disk(library, path / "data", SIZE)

    def grow(self) -> None:
        """Put the files on a larger one, before the daemon starts again."""
        if self._library is None:
            subprocess.run(["mount", "-o", f"remount,size={LARGER}", str(self.path)], check=True)
        else:
            self.environ |= small_disk(self._library, self.path / "data", LARGER)


@pytest.fixture(
    params=[
        pytest.param("shim", marks=pytest.mark.needs("gcc")),
        pytest.param("tmpfs", marks=pytest.mark.needs("mount", "umount")),
    ]
)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Small]:
    path = tmp_path / "disk"
    path.mkdir()
    if request.param == "shim":
        yield Small(path, compiled(tmp_path))
        return
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"left out for want of: the right to mount a tmpfs ({done.stderr.strip()})")
    yield Small(path, None)
    subprocess.run(["umount", "-l", str(path)], check=True)


def daemon_on(disk: Small, **settings: int) -> Daemon:
    environ = {f"ROPEWAY_KERNEL_{name.upper()}": str(value) for name, value in settings.items()}
    listen = [f"unix:{disk.path.parent / 'socket'}"]
    return Daemon(disk.path, listen=listen, environ=SETTINGS | environ | disk.environ)


def fill(wire: Wire) -> tuple[list[str], list[str], str]:
    """Send until it is refused: what was acknowledged, what was not, and what was said of it."""
    sent: list[str] = []
    for number in range(1000):
        bodies = [f"{number}.{each}." + os.urandom(4000).hex() for each in range(BATCH)]
        try:
            wire.send(QUEUE, *bodies)
        except RuntimeError as refused:
            return sent, bodies, str(refused)
        except EOFError:
            return sent, bodies, "gone"
        sent += bodies
    raise AssertionError("the disk does not fill up")


def take_all(wire: Wire) -> list[str]:
    """Receive and delete all there is."""
    found: list[str] = []
    asked = {"queue": QUEUE, "max_messages": 100, "visibility_timeout": 600_000}
    while messages := wire.call(RECEIVE, asked):
        found += [message[2] for message in messages]
        deleted = wire.call(DELETE, {"queue": QUEUE, "handles": [each[1] for each in messages]})
        assert deleted == [None] * len(messages)
    return found


def test_below_the_mark_sends_are_refused_until_there_is_room_again(disk: Small) -> None:
    with daemon_on(disk, low_space_bytes=8 * MIB, enough_space_bytes=10 * MIB) as daemon:
        process = daemon.process
        with Wire(daemon.addresses[0]) as wire:
            wire.call(CREATE_QUEUE, {"queue": QUEUE})
            for _ in range(2):
                sent, refused, said = fill(wire)
                assert said == "ServiceUnavailable"
                assert len(sent) > 500
                # Nothing of what was refused is there, nothing that was taken is gone, and taking makes room.
                found = take_all(wire)
                assert sorted(found) == sorted(sent)
                patience = time.monotonic() + PATIENCE
                while True:
                    try:
                        wire.send(QUEUE, *refused)
                        break
                    except RuntimeError:
                        assert time.monotonic() < patience, "it never takes messages again"
                        time.sleep(0.05)
                assert sorted(take_all(wire)) == sorted(refused)
        assert daemon.process is process
    assert daemon.code == 0


def test_a_disk_that_is_full_all_the_same_loses_nothing(disk: Small) -> None:
    """Nobody watches the mark here. The daemon ends, and what it said is true on a larger disk."""
    with daemon_on(disk, low_space_bytes=0, enough_space_bytes=0) as daemon:
        with Wire(daemon.addresses[0]) as wire:
            wire.call(CREATE_QUEUE, {"queue": QUEUE})
            sent, refused, said = fill(wire)
        assert said in {"ServiceUnavailable", "gone"}
        assert daemon.wait() == 74
        assert "full" in daemon.log[-1]["event"]
        disk.grow()
        daemon.environ |= disk.environ
        daemon.start()
        with Wire(daemon.addresses[0]) as wire:
            found = take_all(wire)
            wire.send(QUEUE, "and on")
    assert daemon.code == 0
    assert sorted(found) == sorted(sent)
    assert not set(refused) & set(found)  # what was refused for want of room was not written
