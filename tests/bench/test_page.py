"""A page says everything a run's JSON says of its ratios and targets, and needs nothing from elsewhere."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import __main__ as command
from bench import page, report
from bench.figures import at_least
from bench.scenario import Outcome, Scenario, Settings, compared
from bench.scenarios.queue_cycle import BATCHES
from tests.bench.test_command import RESULT

PLACE = {
    "processor": "A <fast> one",
    "cores": 2,
    "cores_usable": 1,
    "system": "Linux",
    "file_system": "ext4",
    "sync_us": 250.4,
    "load_average": 0.0,
}


def run_file(path: Path) -> Path:
    """The JSON of a run, made as a run makes it."""
    comparison = compared(BATCHES, {"bare loop": [RESULT] * 3, "ropeway & co": [RESULT] * 3})
    outcome = Outcome([comparison], {}, [at_least("a|ratio", 0.5, 0.25), at_least("more", 0.5, 1.0)])
    scenario = Scenario("tiny", "a tiny one", lambda _: 0, lambda *_: outcome)
    settings = Settings(seconds=3, rounds=3, directory=Path("/nowhere"))
    report.write(path, report.document(scenario, settings, PLACE, outcome))
    return path


def test_markdown_has_every_contestant_and_every_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["report", str(run_file(tmp_path / "run.json"))]) == command.HELD
    said = capsys.readouterr().out
    assert "| ropeway & co | 100 | 1.00 | 1.00 to 1.00 | - |" in said
    assert "| a\\|ratio | 0.5 | 0.25 | NO |" in said
    assert "| more | 0.5 | 1 | yes |" in said
    assert "python -m bench run tiny --rounds 3 --seconds 3" in said
    assert "/nowhere" not in said


def test_html_opens_without_a_network(tmp_path: Path) -> None:
    runs, target = [run_file(tmp_path / "run.json")] * 2, tmp_path / "page.html"
    assert command.main(["report", *map(str, runs), "--html", str(target)]) == command.HELD
    said = target.read_text()
    assert "A &lt;fast&gt; one" in said
    assert not re.search(r"https?:|//|src=|href=", said)
    plots = re.findall(r"<svg.*?</svg>", said)
    assert len(plots) == 2
    bars = ET.fromstring(plots[0]).findall("rect")  # our own
    assert len(bars) == 2


def test_several_runs_have_all_their_targets_in_one_table_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(run_file(tmp_path / "run.json"))
    assert command.main(["report", path, path]) == command.HELD
    said = capsys.readouterr().out
    assert said.startswith("## All targets")
    assert said.count("| tiny: more | 0.5 | 1 | yes |") == 2


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"format": 1}))
    assert command.main(["report", str(other)]) == command.FAILED
    assert "format 2" in capsys.readouterr().err
    other.write_text("no JSON")
    assert command.main(["report", str(other)]) == command.FAILED
    assert page.markdown([]) == ""
