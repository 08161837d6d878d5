"""The fan-out and filters scenarios: what they measure happens, and is judged."""

from dataclasses import replace
from pathlib import Path

from bench.scenario import Settings
from bench.scenarios import fan_out, filters

MADE = fan_out.Made(calls=10.0, copies=1000.0, server_us=1.0, lost=0)


def test_copies_are_judged_beside_single_sends() -> None:
    def holds(copies: float, lost: int = 0) -> list[bool]:
        found = {name: [MADE] for name in fan_out.KINDS}
        found["100 queues"] = [replace(MADE, copies=copies, lost=lost)]
        return [check.holds for check in fan_out.checks(found)]

    assert holds(1500.0) == [True, True]
    assert holds(1499.0) == [False, True]
    assert holds(1500.0, lost=1) == [True, False]


def test_every_copy_arrives(tmp_path: Path) -> None:
    made = fan_out.one_round(fan_out.Kind(3, raw=False), Settings(seconds=0.01, rounds=1, directory=tmp_path))
    assert made.lost == 0
    assert made.copies > made.calls > 0


def test_messages_are_held_against_all_policies(tmp_path: Path) -> None:
    for scope in filters.SCOPES:
        took = filters.one_round(scope, Settings(seconds=0.05, rounds=1, directory=tmp_path))
        assert 0 < took.wanted < filters.SUBSCRIPTIONS
        [check] = filters.checks({scope: [replace(took, median=2001.0)]})
        assert not check.holds
