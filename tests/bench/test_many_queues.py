"""many-queues: every message goes through the queue that it should, and each figure misses its own target."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.contestants import Daemon
from bench.scenario import Settings
from bench.scenarios import many_queues as scenario
from bench.scenarios.many_queues import Through
from bench.wire import CREATE, SEND, UnexpectedAnswer

ROUND = Through(queues=1, rate=100.0, server_us=10.0, memory=2**25, lost=0, restart=1.0)


@pytest.mark.parametrize("queues", [1, 7])
def test_a_round_moves_every_batch(queues: int, tmp_path: Path) -> None:
    found = scenario.one_round(queues, 80, Settings(seconds=0.1, rounds=1, directory=tmp_path))
    assert (found.queues, found.lost) == (queues, 0)
    assert min(found.rate, found.server_us, found.memory, found.restart) > 0


def test_a_message_that_nobody_sent_is_seen_and_so_is_a_refusal(tmp_path: Path) -> None:
    server = Daemon().start(tmp_path / "server")
    try:
        scenario.asked(server, [(CREATE, {"queue": name}) for name in ("a", "b")])
        assert scenario.through(server, ["a", "b", "a"]) == 0
        scenario.asked(server, [(SEND, {"queue": "a", "entries": [{"body": b"a stranger"}]})])
        assert scenario.through(server, ["a"]) == 2  # the stranger came, and one of those sent did not
        with pytest.raises(UnexpectedAnswer):
            scenario.through(server, ["nowhere"])
    finally:
        server.stop()


def test_each_figure_misses_its_own_target() -> None:
    def missed(**figures: float) -> list[str]:
        many = replace(ROUND, queues=10_000, **figures)  # type: ignore[arg-type]  # figures of several types
        return [check.name for check in scenario.checks([ROUND], [many]) if not check.holds]

    assert missed(rate=50.0, restart=2.0) == []
    assert "in ratio" in missed(rate=49.0)[0]
    assert "restart" in missed(restart=2.1)[0]
    assert "lost" in missed(lost=1)[0]
