"""The writes scenario: each message is written once at least, and more often where it has a commit alone."""

from __future__ import annotations

from pathlib import Path

from bench.scenario import Settings
from bench.scenarios import writes


def test_a_message_alone_costs_more_than_in_a_batch(tmp_path: Path) -> None:
    told: list[str] = []
    settings = Settings(seconds=0.1, rounds=1, directory=tmp_path, messages=4_000)
    outcome = writes.run(settings, told.append)
    assert all(check.holds for check in outcome.checks)
    assert len(told) == writes.steps(settings) == len(writes.WAYS)
    assert len(outcome.lines) == 2 * len(writes.WAYS)
    sent = [outcome.figures[way.name]["sent"] for way in writes.WAYS]
    assert sent[-1] > sent[0] > 1024, outcome.figures  # a disk in memory has written nothing
