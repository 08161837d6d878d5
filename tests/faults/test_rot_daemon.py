"""A bit that flips in a file of the real daemon, while it is down or while it serves: see rot_daemon.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.faults.rot import DATABASE, LOG, Flip, harm
from tests.faults.rot_daemon import GONE, Left, Named, end_named, lay_out, make_left, take, trial
from tests.service.wire import Wire


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return make_left(tmp_path_factory.mktemp("left"))


PLAN: Final = 5 * [(DATABASE, False), (DATABASE, True)] + 3 * [(LOG, False), (LOG, True)]
PLAN_SMALL: Final = [("lock", False), ("lock", True), ("ropeway.toml", False), ("ropeway.toml", False)]


@pytest.mark.proof
@pytest.mark.parametrize("number", range(20))
def test_each_of_twenty_flips(left: Left, tmp_path: Path, number: int) -> None:
    file, served = (PLAN + PLAN_SMALL)[number]
    assert trial(left, tmp_path, number, file, served) in {"named", "harmless", "last commit"}


@pytest.mark.parametrize(
    ("sent", "named"), [("/49 ", r"Journal row \d+ is"), ("/alone ", r"Record \d+ of messages")]
)
@pytest.mark.parametrize("served", [False, True])
def test_a_flip_in_a_message_is_named(
    left: Left, tmp_path: Path, served: bool, sent: str, named: str
) -> None:
    """Those of a batch are in its journal row; one that was sent alone has a row of its own."""
    body = max(body for body in left.bodies if sent in body and body.encode() in left.files[DATABASE])
    daemon = lay_out(tmp_path, left.files)
    if served:
        daemon.start()
    for found in re.finditer(body.encode(), left.files[DATABASE]):  # what was trimmed may be there too
        harm(tmp_path / "data", Flip(DATABASE, found.start() + 100, 3))
    if not served:
        daemon.start()
    with pytest.raises(GONE), Wire(daemon.addresses[0]) as wire:
        take(wire, 1 << 30)
    with pytest.raises(Named, match=named):
        end_named(daemon)
