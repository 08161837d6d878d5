"""The command line: what is listed, what the JSON holds, and which exit status says what."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import __main__ as command
from bench.contestants import BareLoop, ContestantFailed
from bench.figures import Check, at_least, spread
from bench.idle import Idle
from bench.match import Crew, Result, Workload
from bench.scenario import Outcome, Scenario, Settings, Watch, compared, interleaved
from bench.scenarios import SCENARIOS, queue_cycle

RESULT = Result(
    rate=100.0,
    server_us=10.0,
    load_us=5.0,
    server_busy=0.9,
    load_busy=0.3,
    sent=300,
    consumed=300,
    left=0,
    lost=0,
    doubled=0,
    messages_a_receive=10.0,
    memory=2**25,
    latency_us=None,
)
QUIET = Idle(queues=1000, polls=100, seconds=21.0, renewals=100, share=0.001)
TINY = Workload("tiny", "a tiny cycle", 10, Crew(1, 2), Crew(1, 4), backlog=100, body=16)


def judged(
    *,
    batches: float = 60.0,
    sends: float = 60.0,
    lone: float = 60.0,
    lost: int = 0,
    start: float = 0.3,
    idle: float = 0.001,
) -> list[Check]:
    """The checks of a run with these figures, where the bare loop did 100 a second."""
    rates = {"batches": batches, "singles": 30.0, "sends": sends, "lone": lone}
    comparisons = [
        compared(
            workload,
            {
                "bare loop": [RESULT] * 3,
                "ropeway": [replace(RESULT, rate=rates[workload.name], lost=lost)] * 3,
            },
        )
        for workload in queue_cycle.WORKLOADS
    ]
    return queue_cycle.checks(comparisons, spread([start]), replace(QUIET, share=idle))


def test_queue_cycle_holds_when_every_figure_is_at_its_target() -> None:
    checks = judged(batches=55.0, sends=50.0, lone=50.0, start=0.4999, idle=0.0049)
    assert len(checks) == 6
    assert [check.name for check in checks if not check.holds] == []


@pytest.mark.parametrize(
    ("figures", "named"),
    [
        ({"batches": 54.9}, "batches of 10"),
        ({"sends": 49.9}, "sends alone"),
        ({"lone": 49.9}, "one outstanding"),
        ({"lost": 1}, "lost or doubled"),
        ({"start": 0.5}, "start-up"),
        ({"idle": 0.005}, "idle"),
    ],
)
def test_each_figure_of_queue_cycle_misses_its_own_target(figures: dict[str, float], named: str) -> None:
    missed = [check.name for check in judged(**figures) if not check.holds]  # type: ignore[arg-type]
    assert len(missed) == 1
    assert named in missed[0]


def planted(*checks: Check, failure: Exception | None = None) -> Scenario:
    def run(settings: Settings, watch: Watch) -> Outcome:
        if failure is not None:
            raise failure
        comparisons = interleaved([TINY], [BareLoop()], settings, watch)
        return Outcome(comparisons, {"planted": True}, list(checks))

    return Scenario("planted", "for tests", steps=lambda settings: settings.rounds, run=run)


def ask(monkeypatch: pytest.MonkeyPatch, scenario: Scenario, tmp_path: Path, *more: str) -> int:
    monkeypatch.setitem(SCENARIOS, "planted", scenario)
    options = ["--seconds", "0.05", "--rounds", "2", "--directory", str(tmp_path)]
    return command.main(["run", "planted", *options, *more])


def test_a_run_writes_json_and_lines_and_ends_with_0(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "figures.json"
    assert ask(monkeypatch, planted(at_least("speed", 1.0, 2.0)), tmp_path, "--json", str(path)) == 0
    content = json.loads(path.read_text())
    assert content["scenario"] == "planted"
    assert content["settings"]["rounds"] == 2
    assert content["machine"]["cores"] >= 1
    assert content["versions"]["python"].startswith("3.")
    assert content["figures"] == {"planted": True}
    assert content["checks"] == [{"name": "speed", "target": 1.0, "measured": 2.0, "holds": True}]
    (workload,) = content["workloads"]
    assert (workload["name"], workload["batch"], workload["body"]) == ("tiny", 10, 16)
    bare = workload["contestants"]["bare loop"]
    assert len(bare["rounds"]) == 2
    assert bare["ratio"]["median"] == 1.0
    assert all(result["sent"] == result["consumed"] > 0 for result in bare["rounds"])
    output = capsys.readouterr().out
    assert "round 2 of 2, tiny, bare loop" in output
    assert "speed\t1\t2\tyes" in output
    assert "\x1b" not in output


def test_a_missed_target_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = planted(at_least("speed", 1.0, 2.0), at_least("more", 1.0, 0.5))
    assert ask(monkeypatch, scenario, tmp_path) == 1
    assert "more\t1\t0.5\tNO" in capsys.readouterr().out


def test_a_run_that_fails_ends_with_2_and_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(monkeypatch, planted(failure=ContestantFailed("it fell over")), tmp_path) == 2
    assert capsys.readouterr().err == "bench: it fell over\n"


@pytest.mark.parametrize(
    "wrong",
    [
        ["run", "nothing"],
        ["run"],
        [],
        ["run", "queue-cycle", "--rounds", "0"],
        ["run", "restart", "--sizes", "5000,1000"],
    ],
)
def test_a_wrong_command_line_ends_with_2(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(wrong)
    assert ended.value.code == 2


def test_list_names_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list"]) == 0
    names = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == list(SCENARIOS)
    assert "queue-cycle" in names


def test_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert ask(monkeypatch, planted(), tmp_path) == 0
    assert list(tmp_path.iterdir()) == []
