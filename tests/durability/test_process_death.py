"""What was acknowledged is there after kill -9, and what was acknowledged as deleted is not.

The kill comes at work, while the daemon spills and trims, in a start, in a stop, and while large queues are
purged and deleted.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.durability.deaths import SPILLING, Kill, at_work, check, end_queues, in_a_start, in_a_stop, live


@pytest.mark.parametrize(
    ("kill", "kills", "environ"),
    [
        pytest.param(at_work, 3, SPILLING, id="3"),
        pytest.param(at_work, 25, SPILLING, id="25 while spilling", marks=pytest.mark.proof),
        pytest.param(at_work, 25, {}, id="25 at work", marks=pytest.mark.proof),
        pytest.param(in_a_start, 15, SPILLING, id="15 in a start, after spilling", marks=pytest.mark.proof),
        pytest.param(in_a_start, 10, {}, id="10 in a start", marks=pytest.mark.proof),
        pytest.param(in_a_stop, 10, SPILLING, id="10 in a stop", marks=pytest.mark.proof),
    ],
)
def test_nothing_acknowledged_is_lost_and_nothing_deleted_returns(
    tmp_path: Path, kill: Kill, kills: int, environ: dict[str, str]
) -> None:
    check(*live(Daemon(tmp_path, environ=environ), tmp_path, kill, kills))


def test_an_answer_before_the_commit_is_found(tmp_path: Path) -> None:
    """The control: a daemon with a bug, and the same kills."""
    daemon = Daemon(tmp_path)
    daemon.command[daemon.command.index("ropewayd")] = "tests.durability.hasty"
    with pytest.raises(AssertionError, match="acknowledged messages are gone"):
        check(*live(daemon, tmp_path, at_work, 3))


@pytest.mark.parametrize(
    "kills", [pytest.param(2, id="2"), pytest.param(15, id="15", marks=pytest.mark.proof)]
)
def test_a_purge_is_whole_or_not_at_all(tmp_path: Path, kills: int) -> None:
    end_queues(tmp_path, kills)
