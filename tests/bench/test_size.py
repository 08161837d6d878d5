"""size: what is said follows from what was measured; sizes and times are read and written as people do."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import size
from bench.size import Calibration, Load
from tests.bench.test_command import RESULT
from tests.bench.test_latency import LATENCY

FOUND = Calibration(
    fastest=replace(RESULT, rate=9_000.0, memory=100),
    paced=replace(RESULT, server_us=50.0, latency_us=LATENCY),
    written=3_000.0,
    kept=2_500.0,
    restart=0.5,
    peak=200,
)


def test_what_is_said_follows_by_proportion() -> None:
    expected = size.expectation(Load(rate=3_000.0, message=2_048, backlog=60.0), FOUND)
    assert expected.headroom == 3.0
    assert expected.cores == pytest.approx(0.15)
    assert expected.written_a_second == 9_000_000
    assert expected.disk == 3_000 * 60 * 2_500
    assert (expected.memory, expected.restart, expected.p99_us) == (200, 0.5, LATENCY.p99)
    assert all(check.holds for check in size.checks(FOUND, expected))


def test_a_load_without_room_is_a_missed_target() -> None:
    load = Load(rate=9_001.0, message=2_048, backlog=60.0)
    expected = size.expectation(load, FOUND)
    assert [check.holds for check in size.checks(FOUND, expected)] == [False, True]
    assert "NOT ENOUGH" in dict(size.lines(load, expected))["headroom"]


@pytest.mark.parametrize(("text", "bytes_"), [("512", 512), ("2KiB", 2_048), ("1 MiB", 1 << 20), ("1B", 1)])
def test_sizes_are_read(text: str, bytes_: int) -> None:
    assert size.size(text) == bytes_


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("1.5m", 90), ("1h", 3_600), ("2d", 172_800)])
def test_times_are_read(text: str, seconds: float) -> None:
    assert size.duration(text) == seconds


@pytest.mark.parametrize("wrong", [["--message", "2KB"], ["--message", "2MiB"], ["--backlog", "1 week"]])
def test_what_is_neither_is_named(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["size", "--rate", "10", *wrong])
    assert ended.value.code == 2
    assert f"argument {wrong[0]}: {wrong[1]!r} is no" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("count", "text"), [(5, "5 B"), (2_048, "2.0 KiB"), (300 << 20, "300 MiB"), (2**41, "2.0 TiB")]
)
def test_sizes_are_written(count: int, text: str) -> None:
    assert size.sized(count) == text


def test_it_measures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(size, "FILL_BYTES", 1 << 20)
    told = ["--rate", "50", "--message", "4KiB", "--backlog", "10s", "--seconds", "0.3"]
    target = tmp_path / "size.json"
    ended = command.main(["size", *told, "--directory", str(tmp_path), "--json", str(target)])
    figures = json.loads(target.read_text())["figures"]
    assert ended == (0 if figures["expected"]["headroom"] > 1 else 1)
    assert figures["measured"]["kept"] > 4_096
    assert figures["measured"]["written"] > 4_096
    assert figures["expected"]["disk"] == pytest.approx(500 * figures["measured"]["kept"])
    assert "headroom" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [target]
