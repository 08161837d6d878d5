"""A bit that flips in a file of the real daemon, while it is down or while it serves.

The daemon ends with 65 and a line that says where (78 where it was a setting), or all that was acknowledged
is there.

Damage in the last commit of a log that a crash has left looks like a torn write: there the message that this
commit brought may be missing, and only that one.
"""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

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


def make_left(directory: Path) -> Left:
    """Some thousand messages, in the database and in the log."""
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
                wire.send(QUEUE, alone := f"{life}/{batch}/alone {'x' * 700}")
                bodies.update((*sent, alone))
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


def end_named(daemon: Daemon) -> NoReturn:
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
    bodies = set(left.bodies)
    try:
        if served:
            may_lack = harm_served(daemon, directory, file, chance, bodies)
        else:
            place = directory / "data" if file in left.files else directory
            flip = pick(contents_of(place), file, chance)
            harm(place, flip)
            torn = file == LOG and flip.byte >= last_commit(directory, left.files)
            may_lack = {left.last} if torn else set[str]()
        with start(daemon) as wire:
            found = take(wire, 1 << 30)
        if daemon.stop() != CLEAN:
            end_named(daemon)
    except GONE:
        with suppress(Named):
            end_named(daemon)
        return "named"
    except Named:
        return "named"
    assert len(found) == len(set(found)), "a message came twice"
    assert set(found) <= bodies, f"{len(set(found) - bodies)} messages are back"
    lost = bodies - set(found)
    assert lost <= may_lack, f"{len(lost)} of {len(bodies)} messages are gone"
    return "last commit" if lost else "harmless"


def harm_served(
    daemon: Daemon, directory: Path, file: str, chance: random.Random, bodies: set[str]
) -> set[str]:
    """A flip under a daemon that then works on, until it is stopped or killed; give what may be missing."""
    data = directory / "data"
    last = ""
    with start(daemon) as wire:
        flip = pick(contents_of(data), file, chance)
        harm(data, flip)
        work(daemon, wire, bodies)
        last = "the last one"
        wire.send(QUEUE, last)
        bodies.add(last)
    if chance.random() < 0.5:
        daemon.kill()
    elif daemon.stop() != CLEAN:
        end_named(daemon)
    return {last} if file == LOG and flip.byte >= end_of_log(directory, contents_of(data)) else set()


def pick(files: dict[str, bytes], file: str, chance: random.Random) -> Flip:
    if file in {DATABASE, LOG}:
        return choose({file: files[file]}, chance)
    return Flip(file, chance.randrange(len(files[file])), chance.randrange(8))
