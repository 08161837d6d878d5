"""The slow-disk scenario: what slows syncs slows a lone send, and each slower disk misses its own target."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench import shim
from bench.contestants import Daemon
from bench.match import Crew, Result, Workload, play
from bench.scenario import compared
from bench.scenarios import queue_cycle, slow_disk
from tests.bench.test_command import RESULT

ALONE = Workload("alone", "alone", 1, Crew(1, 1), None, backlog=2**40, body=16)


def rounds(rates: dict[str, float], **said: int) -> dict[str, list[Result]]:
    return {name: [replace(RESULT, rate=rate, **said)] for name, rate in rates.items()}  # type: ignore[arg-type]


def test_a_disk_passes_where_throughput_falls_less_than_a_lone_send_slows() -> None:
    lone = {"this disk": 100.0, "1 ms slower": 50.0, "10 ms slower": 9.0, "100 ms slower": 1.0}
    loaded = {"this disk": 1000.0, "1 ms slower": 510.0, "10 ms slower": 80.0, "100 ms slower": 20.0}
    checks = slow_disk.checks(
        compared(slow_disk.LOADED, rounds(loaded, lost=1)), compared(queue_cycle.LONE, rounds(lone))
    )
    assert [check.holds for check in checks] == [True, False, True, False]


@pytest.mark.needs("gcc")
def test_a_lone_send_waits_for_each_slow_sync(tmp_path: Path) -> None:
    environ = shim.slow_syncs(shim.compiled(tmp_path), 40)
    server = Daemon(environ=environ).start(tmp_path / "server")
    try:
        result = play(ALONE, server, tmp_path, seconds=0.4, warm_up=0.0)
    finally:
        server.stop()
    assert 0 < result.rate < 1 / 0.04
    assert (result.lost, result.doubled) == (0, 0)


def test_a_machine_without_a_compiler_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(shim.NoCompiler, match="cc, gcc, clang"):
        shim.compiled(tmp_path)
