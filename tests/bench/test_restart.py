"""restart: every message is there afterwards, and each figure misses its own target."""

from dataclasses import replace
from pathlib import Path

from bench.figures import spread
from bench.scenario import Settings
from bench.scenarios import restart as scenario

FOUND = scenario.Restarts(1_000_000, 0, stopped=spread([1.0, 2.0]), killed=spread([1.0, 2.0]))


def test_each_figure_misses_its_own_target() -> None:
    def missed(each: scenario.Restarts) -> list[str]:
        return [check.name for check in scenario.checks([each]) if not check.holds]

    assert missed(FOUND) == []
    assert "after a stop" in missed(replace(FOUND, stopped=spread([1.0, 2.1])))[0]
    assert "kill -9" in missed(replace(FOUND, killed=spread([2.1])))[0]
    assert "lost" in missed(replace(FOUND, missing=1))[0]
    assert missed(replace(FOUND, messages=10_000_000, stopped=spread([5.0]))) == []


def test_messages_are_there_after_every_restart(tmp_path: Path) -> None:
    settings = Settings(seconds=0.05, rounds=1, directory=tmp_path, sizes=(1_000, 2_000))
    said: list[str] = []
    outcome = scenario.run(settings, said.append)
    assert len(said) == scenario.steps(settings) == 2
    assert [each["messages"] for each in outcome.figures["restarts"]] == [1_000, 2_000]
    assert outcome.checks[-1].holds
    assert list(tmp_path.iterdir()) == []
