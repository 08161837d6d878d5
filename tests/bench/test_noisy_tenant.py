"""The noisy-tenant scenario: waits are those of quiet tenants, and each percentile misses its own target."""

from dataclasses import replace
from pathlib import Path

from bench.histogram import Latency
from bench.scenario import Settings
from bench.scenarios import noisy_tenant as scenario

WITHOUT = Latency(count=100, p50=1000.0, p90=1500.0, p99=2000.0, p999=2000.0, highest=2000.0)
FAIR = replace(WITHOUT, p50=499.0, p99=999.0)


def test_each_percentile_is_judged() -> None:
    def holds(fair: Latency) -> list[bool]:
        return [check.holds for check in scenario.checks([fair], [WITHOUT])]

    assert holds(FAIR) == [True, True]
    assert holds(replace(FAIR, p50=500.0)) == [False, True]
    assert holds(replace(FAIR, p99=1000.0)) == [True, False]


def test_every_message_of_a_quiet_tenant_is_timed(tmp_path: Path) -> None:
    waits = scenario.one_round(Settings(seconds=0.3, rounds=1, directory=tmp_path), groups=True)
    assert 1 <= waits.count <= 0.3 / scenario.QUIET_SECONDS * scenario.QUIET_TENANTS + 1
    assert 0 < waits.p50 <= waits.highest
