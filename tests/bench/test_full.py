"""The full run: what fails is tried again and keeps nobody up, and the page is what the JSON makes of it."""

import json
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import full
from bench.contestants import ContestantFailed
from bench.figures import at_least
from bench.full import MARKER, PLAN, Part
from bench.scenario import Outcome, Scenario, Settings, Watch
from bench.scenarios import SCENARIOS

PARTS = [Part("queue-cycle"), Part("latency"), Part("sizes")]


def ended(tmp_path: Path, failures: dict[str, int], missed: str = "") -> tuple[full.Ended, list[str]]:
    """A full run in which scenarios fail so many times, and one misses a target."""
    tried: list[str] = []

    def run(scenario: Scenario, settings: Settings, target: Path) -> bool:
        assert settings.directory == tmp_path
        tried.append(scenario.name)
        if tried.count(scenario.name) <= failures.get(scenario.name, 0):
            raise ContestantFailed("it fell over")
        target.write_text("{}")
        return scenario.name != missed

    return full.full(PARTS, tmp_path / "results", tmp_path, run, lambda _: None), tried


def test_what_fails_is_tried_again_and_the_others_go_on(tmp_path: Path) -> None:
    result, tried = ended(tmp_path, {"queue-cycle": 1, "latency": 2}, missed="sizes")
    assert tried == ["queue-cycle", "queue-cycle", "latency", "latency", "sizes"]
    assert result == full.Ended(missed=("sizes",), failed=("latency",))
    assert sorted(path.stem for path in (tmp_path / "results").iterdir()) == ["queue-cycle", "sizes"]


def test_what_cannot_be_measured_any_more_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "latency.json").write_text("{}")
    ended(tmp_path, {"latency": 2})
    assert not (tmp_path / "results" / "latency.json").exists()


def test_everything_in_the_plan_is_there_once() -> None:
    names = [part.scenario for part in (*PLAN, full.PEERS)]
    assert len(set(names)) == len(names)
    assert set(names) == set(SCENARIOS) - {"writes"}  # which has no target, and no yardstick
    assert full.chosen([], peers=False) == list(PLAN)
    assert full.chosen(["sizes", "peers"], peers=False) == [Part("sizes", rounds=2), full.PEERS]
    with pytest.raises(ValueError, match="nowhere: not in the full run"):
        full.chosen(["nowhere"], peers=False)


def test_one_command_measures_and_writes_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(settings: Settings, watch: Watch) -> Outcome:
        assert settings.rounds == 1
        watch("a step")
        return Outcome(checks=[at_least("speed", 1.0, 0.5)])

    monkeypatch.setitem(SCENARIOS, "sizes", Scenario("sizes", "planted", lambda _: 1, run))
    target = tmp_path / "page.md"
    asked = ["full", "sizes", "--quick", "--results", str(tmp_path / "results"), "--page", str(target)]
    asked += ["--directory", str(tmp_path)]
    target.write_text("# A page\n")
    assert command.main(asked) == command.FAILED
    assert "no line" in capsys.readouterr().err
    target.write_text(f"# A page\n\n{MARKER}\nof old\n")
    assert command.main(asked) == command.MISSED
    said = target.read_text()
    assert said.startswith(f"# A page\n\n{MARKER}\n\n## sizes\n")
    assert "| speed | 1 | 0.5 | NO |" in said
    assert "of old" not in said
    assert "speed" in target.with_suffix(".html").read_text()
    assert json.loads((tmp_path / "results" / "sizes.json").read_text())["took_seconds"] >= 0
    assert "a target is missed in: sizes" in capsys.readouterr().out


def test_the_page_in_docs_is_what_its_runs_make() -> None:
    said = (full.ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert said == full.placed(said, full.found(full.RESULTS))
