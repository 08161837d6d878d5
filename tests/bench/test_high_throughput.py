"""high-throughput: the queue is in high throughput, and each figure misses its own target."""

from dataclasses import replace
from pathlib import Path

from bench.scenario import Settings, compared
from bench.scenarios import high_throughput as scenario
from bench.scenarios.fifo_groups import CYCLE
from bench.wire import ATTRIBUTES
from tests.bench.test_command import RESULT


def missed(rate: float = 80.0, accepted: float = 9000.0, lost: int = 0) -> list[str]:
    rounds = {"FIFO": [RESULT], "high throughput": [replace(RESULT, rate=rate, lost=lost)]}
    offer = scenario.Accepted(13_500.0, accepted, 13_500.0 - accepted)
    judged = scenario.checks(compared(CYCLE, rounds), offer)
    return [check.name for check in judged if not check.holds]


def test_each_figure_misses_its_own_target() -> None:
    assert missed() == []
    for name in (*missed(rate=79.0), *missed(accepted=9181.0), *missed(accepted=8819.0), *missed(lost=1)):
        assert any(word in name for word in ("full cycle", "off the limit", "lost")), name
    assert len(missed(rate=79.0, accepted=1.0, lost=1)) == 3


def test_the_queue_is_in_high_throughput(tmp_path: Path) -> None:
    server = scenario.FAR.start(tmp_path / "server")
    try:
        attributes = server.ask(ATTRIBUTES, queue=server.queue)
    finally:
        server.stop()
    assert attributes["fifo_throughput_limit"] == "perMessageGroupId"


def test_what_is_over_the_partitions_is_throttled(tmp_path: Path) -> None:
    offer = scenario.offered(Settings(seconds=0.2, rounds=1, directory=tmp_path))
    assert offer.accepted > 0
