"""A bit that flips in a file of the real daemon, while it is down or while it serves: see rot_daemon.py."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from ropewayd.exits import CLEAN
from ropewayd.queues.records import MESSAGES
from tests.faults.rot import DATABASE, LOG, Flip, contents_of, harm
from tests.faults.rot_daemon import GONE, Left, Named, end_named, lay_out, make_left, take, trial
from tests.service.wire import Wire


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return make_left(tmp_path_factory.mktemp("left"))


@pytest.fixture(scope="session")
def closed(left: Left, tmp_path_factory: pytest.TempPathFactory) -> Left:
    """The same after a stop in order: all of it is in the database, and no log has a newer page."""
    directory = tmp_path_factory.mktemp("closed")
    daemon = lay_out(directory, left.files)
    daemon.start()
    assert daemon.stop() == CLEAN
    return left._replace(files=contents_of(directory / "data"))


PLAN: Final = 5 * [(DATABASE, False), (DATABASE, True)] + 3 * [(LOG, False), (LOG, True)]
PLAN_SMALL: Final = [("lock", False), ("lock", True), ("ropeway.toml", False), ("ropeway.toml", False)]


@pytest.mark.proof
@pytest.mark.parametrize("number", range(20))
def test_each_of_twenty_flips(left: Left, tmp_path: Path, number: int) -> None:
    file, served = (PLAN + PLAN_SMALL)[number]
    assert trial(left, tmp_path, number, file, served) in {"named", "harmless", "last commit"}


def bodies_in(left: Left, place: Path, query: str) -> set[str]:
    """Bodies that stand in what a query finds in the database."""
    place.write_bytes(left.files[DATABASE])
    with closing(sqlite3.connect(f"file:{place}?immutable=1", uri=True)) as db:
        found = b"\n".join(row[0] for row in db.execute(query))
    return {body for body in left.bodies if body.encode() in found}


@pytest.mark.parametrize(
    ("sent", "named"), [("/49 ", r"Journal row \d+ is"), ("/alone ", r"Record \d+ of messages")]
)
@pytest.mark.parametrize("served", [False, True])
def test_a_flip_in_a_message_is_named(
    closed: Left, tmp_path: Path, served: bool, sent: str, named: str
) -> None:
    """Those of a batch are in its journal row; one that was sent alone has a row of its own."""
    own = bodies_in(closed, tmp_path / "copy", f"SELECT value FROM space_{MESSAGES.number}")
    together = bodies_in(closed, tmp_path / "copy", "SELECT events FROM journal") - own
    body = max(body for body in (own if "Record" in named else together) if sent in body)
    daemon = lay_out(tmp_path, closed.files)
    if served:
        daemon.start()
    for found in re.finditer(body.encode(), closed.files[DATABASE]):  # what was trimmed may be there too
        harm(tmp_path / "data", Flip(DATABASE, found.start() + 100, 3))
    if not served:
        daemon.start()
    with pytest.raises(GONE), Wire(daemon.addresses[0]) as wire:
        take(wire, 1 << 30)
    with pytest.raises(Named, match=named):
        end_named(daemon)
