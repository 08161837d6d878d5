"""The long-poll scenario: its consumers wait on both protocols, and each figure misses its own target."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.contestants import Daemon
from bench.histogram import Latency
from bench.idle import Idle
from bench.scenario import Settings
from bench.scenarios import long_poll as scenario

QUIET = Latency(count=100, p50=500.0, p90=800.0, p99=1000.0, p999=1000.0, highest=1000.0)
WAITING = scenario.Waiting(
    Idle(queues=10, polls=10, seconds=21.0, renewals=10, share=0.05, memory=200 << 20),
    QUIET,
    replace(QUIET, p99=3000.0),
)


def test_each_figure_is_judged() -> None:
    def holds(waiting: scenario.Waiting) -> list[bool]:
        return [check.holds for check in scenario.checks("face", waiting)]

    assert holds(WAITING) == [True, True, True]
    assert holds(replace(WAITING, idle=replace(WAITING.idle, share=0.051))) == [False, True, True]
    assert holds(replace(WAITING, idle=replace(WAITING.idle, memory=201 << 20))) == [True, False, True]
    assert holds(replace(WAITING, crowded_us=replace(QUIET, p99=3001.0))) == [True, True, False]


@pytest.mark.parametrize("face", scenario.FACES, ids=[each.name for each in scenario.FACES])
def test_consumers_renew_their_polls_and_are_woken(tmp_path: Path, face: Daemon) -> None:
    settings = Settings(seconds=1, rounds=1, directory=tmp_path, polls=12, idle_seconds=1.5)
    found = scenario.one_face(face, settings, wakes=15, poll_ms=1000)
    assert (found.idle.queues, found.idle.polls) == (12, 12)
    assert found.idle.renewals > 0
    assert found.idle.memory > 0
    assert (found.quiet_us.count, found.crowded_us.count) == (15, 15)
    assert list(tmp_path.iterdir()) == []
