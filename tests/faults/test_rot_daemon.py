"""A bit that flips in a file of the real daemon, while it is down or while it serves.

The daemon ends with 65 and a line that says where (78 where it was a setting), or all that was acknowledged
is there.

Damage in the last commit of a log that a crash has left looks like a torn write: there the message that this
commit brought may be missing, and only that one.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from ropewayd.exits import CLEAN, CONFIGURATION, CORRUPT
from tests.daemon import Daemon, Ended
from tests.faults.rot import DATABASE, LOG, Flip, choose, contents_of, end_of_log, harm, last_commit
from tests.service.wire import CREATE_QUEUE, DELETE, RECEIVE, Wire

QUEUE = "jobs"
SETTINGS: Final = """\
# Little memory, so that what is on disk is read from there.
[kernel]
tail_bytes = 1048576
slice_bytes = 65536
idle_spill_after = 0.05

[queues]
memory_bytes = 1048576

[store]
cache_bytes = 1048576
wal_bytes = 1048576
"""
GONE = (EOFError, ConnectionError, RuntimeError)
"""The connection has ended, or the answer was an error."""


class Left(NamedTuple):
    """A data directory that a crash has left, what is in it, and the body that came last."""

    files: dict[str, bytes]
    bodies: frozenset[str]
    last: str


def daemon_in(directory: Path) -> Daemon:
    return Daemon(directory, "--config", str(directory / "ropeway.toml"))


def lay_out(directory: Path, files: dict[str, bytes]) -> Daemon:
    data = directory / "data"
    data.mkdir(mode=0o700)
    for name, content in files.items():
        (data / name).write_bytes(content)
        (data / name).chmod(0o600)
    (directory / "ropeway.toml").write_text(SETTINGS)
    return daemon_in(directory)


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """Some thousand messages, in the database and in the log."""
    directory = tmp_path_factory.mktemp("left")
    daemon = lay_out(directory, {})
    bodies: set[str] = set()
    last = ""
    for life in range(2):
        daemon.start()
        with Wire(daemon.addresses[0]) as wire:
            wire.call(CREATE_QUEUE, {"queue": QUEUE})
            for batch in range(30):
                sent = [f"{life}/{batch}/{index} {'x' * 700}" for index in range(50)]
                wire.send(QUEUE, *sent)
                bodies.update(sent)
            gone = wire.call(RECEIVE, {"queue": QUEUE, "max_messages": 200, "visibility_timeout": 600_000})
            wire.call(DELETE, {"queue": QUEUE, "handles": [message[1] for message in gone]})
            bodies -= {message[2] for message in gone}
            last = f"{life}/last"
            wire.send(QUEUE, last)
            bodies.add(last)
        if life:
            daemon.kill()
        else:
            assert daemon.stop() == CLEAN
    return Left(contents_of(directory / "data"), frozenset(bodies), last)


def take(wire: Wire, limit: int) -> list[str]:
    """Receive and delete up to `limit` messages."""
    found: list[str] = []
    while len(found) < limit:
        messages = wire.call(RECEIVE, {"queue": QUEUE, "max_messages": 100, "wait": 0})
        if not messages:
            break
        wire.call(DELETE, {"queue": QUEUE, "handles": [message[1] for message in messages]})
        found += [message[2] for message in messages]
    return found


class Named(Exception):
    """The daemon has ended for the damage, and said so."""


def end_named(daemon: Daemon) -> None:
    code = daemon.wait()
    said = daemon.said + " ".join(line["event"] for line in daemon.log if line["level"] == "error")
    assert "Traceback" not in said
    assert code in {CORRUPT, CONFIGURATION}, (code, said)
    assert said.strip(), "it says nothing"
    raise Named(said)


def start(daemon: Daemon) -> Wire:
    try:
        daemon.start()
        return Wire(daemon.addresses[0])
    except Ended:
        end_named(daemon)
        raise


def work(daemon: Daemon, wire: Wire, bodies: set[str]) -> None:
    """Send some more, and take half of all."""
    for batch in range(4):
        sent = [f"more/{batch}/{index} {'x' * 700}" for index in range(50)]
        wire.send(QUEUE, *sent)
        bodies.update(sent)
    bodies.difference_update(take(wire, len(bodies) // 2))


def trial(left: Left, directory: Path, seed: int, file: str, served: bool) -> str:
    """What comes of one flip."""
    chance = random.Random(seed)
    daemon = lay_out(directory, left.files)
    data, bodies, excepted = directory / "data", set(left.bodies), set[str]()
    try:
        if served:
            with start(daemon) as wire:
                flip = pick(contents_of(data), file, chance)
                harm(data, flip)
                work(daemon, wire, bodies)
            if chance.random() < 0.5:
                daemon.kill()
            elif daemon.stop() != CLEAN:
                end_named(daemon)
            files = contents_of(data)
            torn = flip.byte >= end_of_log(directory, files)
        else:
            place = data if file in left.files else directory
            flip = pick(contents_of(place), file, chance)
            harm(place, flip)
            torn = flip.byte >= last_commit(directory, left.files)
            excepted = {left.last}
        with start(daemon) as wire:
            found = take(wire, 1 << 30)
        if daemon.stop() != CLEAN:
            end_named(daemon)
    except GONE:
        with pytest.raises(Named):
            end_named(daemon)
        return "named"
    except Named:
        return "named"
    assert len(found) == len(set(found)), "a message came twice"
    if file == LOG and torn and set(found) == bodies - excepted:
        return "last commit"
    assert set(found) == bodies, (flip, len(bodies - set(found)), len(set(found) - bodies))
    return "harmless"


def pick(files: dict[str, bytes], file: str, chance: random.Random) -> Flip:
    if file in {DATABASE, LOG}:
        return choose({file: files[file]}, chance)
    return Flip(file, chance.randrange(len(files[file])), chance.randrange(8))


PLAN: Final = 5 * [(DATABASE, False), (DATABASE, True)] + 3 * [(LOG, False), (LOG, True)]
PLAN_SMALL: Final = [("lock", False), ("lock", True), ("ropeway.toml", False), ("ropeway.toml", False)]


@pytest.mark.proof
@pytest.mark.parametrize("number", range(20))
def test_each_of_twenty_flips(left: Left, tmp_path: Path, number: int) -> None:
    file, served = (PLAN + PLAN_SMALL)[number]
    assert trial(left, tmp_path, number, file, served) in {"named", "harmless", "last commit"}


@pytest.mark.parametrize("served", [False, True])
def test_a_flip_in_a_message_is_named(left: Left, tmp_path: Path, served: bool) -> None:
    body = max(body for body in left.bodies if body.encode() in left.files[DATABASE])
    daemon = lay_out(tmp_path, left.files)
    at = left.files[DATABASE].index(body.encode())
    if served:
        daemon.start()
    harm(tmp_path / "data", Flip(DATABASE, at + 100, 3))
    if not served:
        daemon.start()
    with pytest.raises(GONE), Wire(daemon.addresses[0]) as wire:
        take(wire, 1 << 30)
    with pytest.raises(Named, match=r"Record \d+ of messages"):
        end_named(daemon)
