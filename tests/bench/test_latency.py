"""The scenarios latency and sizes: each figure misses its own target."""

from dataclasses import replace

import pytest

from bench.figures import Check
from bench.histogram import Latency
from bench.match import Result
from bench.scenario import compared
from bench.scenarios import latency, queue_cycle, sizes
from tests.bench.test_command import RESULT

LATENCY = Latency(count=1000, p50=100.0, p90=200.0, p99=500.0, p999=1000.0, highest=2000.0)


def lone(p50: float) -> list[Result]:
    return [replace(RESULT, latency_us=replace(LATENCY, p50=p50))]


def judged(*, p50: float = 150.0, p999: float = 1000.0, lost: int = 0) -> list[Check]:
    """The checks of a run with these figures, where the bare loop's p50 was 100."""
    comparison = compared(queue_cycle.LONE, {"bare loop": lone(100.0), "ropeway": lone(p50)})
    return latency.checks(comparison, [latency.Paced(1000.0, replace(LATENCY, p999=p999))], lost)


def test_latency_holds_when_every_figure_is_at_its_target() -> None:
    assert [check.name for check in judged() if not check.holds] == []


@pytest.mark.parametrize(
    ("figures", "named"),
    [({"p50": 151.0}, "lone send"), ({"p999": 1001.0}, "p99.9"), ({"lost": 1}, "lost or doubled")],
)
def test_each_figure_of_latency_misses_its_own_target(figures: dict[str, float], named: str) -> None:
    missed = [check.name for check in judged(**figures) if not check.holds]  # type: ignore[arg-type]
    assert len(missed) == 1
    assert named in missed[0]


@pytest.mark.parametrize(("rate", "lost", "holds"), [(50.0, 0, [True, True]), (49.0, 1, [False, False])])
def test_sizes_judges_the_largest(rate: float, lost: int, holds: list[bool]) -> None:
    comparisons = [
        compared(each, {"bare loop": [RESULT], "ropeway": [replace(RESULT, rate=rate, lost=lost)]})
        for each in sizes.WORKLOADS
    ]
    assert [check.holds for check in sizes.checks(comparisons)] == holds


def test_no_size_has_more_outstanding_than_the_daemon_takes() -> None:
    for each in sizes.WORKLOADS:
        crew = each.producers
        assert crew.outstanding * each.batch * each.body <= 4 * sizes.MIB
        assert each.batch >= 1
