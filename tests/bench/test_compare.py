"""Two runs are compared by their ratios and by what was measured for their targets."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command
from bench.compare import Change, changes


def spread(*rounds: float) -> dict[str, Any]:
    return {"median": sorted(rounds)[len(rounds) // 2], "low": min(rounds), "high": max(rounds)}


def run(ours: dict[str, Any], measured: float, scenario: str = "queue-cycle") -> dict[str, Any]:
    contestants = {"bare loop": {"ratio": spread(1.0)}, "ropeway": {"ratio": ours}}
    return {
        "format": 2,
        "scenario": scenario,
        "workloads": [{"name": "batches", "contestants": contestants}],
        "checks": [{"name": "start-up", "target": 0.5, "measured": measured, "holds": True}],
    }


def test_what_both_runs_have_is_compared() -> None:
    before, after = run(spread(0.4, 0.5, 0.6), 0.25), run(spread(0.61, 0.75, 0.8), 0.5)
    assert changes(before, after) == [
        Change("batches, ropeway", 0.5, 0.75, apart=True),
        Change("start-up", 0.25, 0.5, apart=None),
    ]
    assert [change.share for change in changes(before, after)] == pytest.approx([0.5, 1.0])
    assert changes(after, before)[0].apart is True
    assert changes(before, before)[0].apart is False
    other = {**run(spread(1.0), 1.0), "workloads": [], "checks": []}
    assert changes(before, other) == []


def test_runs_of_two_scenarios_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text(json.dumps(run(spread(0.5), 0.25)))
    two.write_text(json.dumps(run(spread(0.5), 0.25, scenario="backlog")))
    assert command.main(["compare", str(one), str(two)]) == command.FAILED
    assert "scenario is 'queue-cycle' and 'backlog'" in capsys.readouterr().err
    assert command.main(["compare", str(one), str(tmp_path / "none.json")]) == command.FAILED


def test_the_command_says_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text(json.dumps(run(spread(0.5), 0.0)))
    two.write_text(json.dumps(run(spread(0.6), 0.1)))
    assert command.main(["compare", str(one), str(two)]) == command.HELD
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert ["batches, ropeway", "0.5", "0.6", "+20.0%", "apart"] in lines
    assert ["start-up", "0", "0.1", "-", "-"] in lines
