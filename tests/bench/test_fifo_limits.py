"""The fifo-limits scenario: what a queue accepts at twice its rate is counted, and judged by its limit."""

from pathlib import Path

import pytest

from bench.contestants import FifoDaemon
from bench.scenario import Settings
from bench.scenarios import fifo_limits as scenario
from bench.store import Store
from bench.wire import CREATE


@pytest.mark.parametrize(
    ("accepted", "throttled", "limit", "holds"),
    [
        (300.0, 300.0, 300.0, True),
        (305.9, 294.0, 300.0, True),
        (306.1, 293.9, 300.0, False),
        (293.9, 306.1, 300.0, False),
        (580.0, 12.0, None, True),
        (580.0, 12.1, None, False),
    ],
)
def test_a_rate_is_judged_by_its_limit(
    accepted: float, throttled: float, limit: float | None, holds: bool
) -> None:
    offer = scenario.Offer("aws", 1, 2, 600.0, limit, accepted, throttled)
    assert [check.holds for check in scenario.checks([offer])] == [holds]


def test_what_is_over_the_rate_is_throttled_and_counted(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", FifoDaemon(), scenario.CREW)
    try:
        store.server.ask(CREATE, queue="q.fifo", attributes={"fifo": True})
        settings = Settings(seconds=0.3, rounds=1, directory=tmp_path)
        accepted, throttled = scenario.counted(store, "q.fifo", 10, 1, 3000.0, settings)
    finally:
        store.close()
    assert accepted > 0
    assert throttled > 0
    assert store.server.process.returncode is not None


def test_each_kind_of_send_is_a_step() -> None:
    assert scenario.steps(Settings(seconds=1, rounds=1, directory=Path())) == 21
