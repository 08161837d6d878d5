"""What can be run. A scenario is one small file: workloads, sizes, targets, and what is measured beside them.

Each has a `SCENARIO`, and is listed here.
"""

from __future__ import annotations

from bench.scenario import Scenario
from bench.scenarios import (
    backlog,
    bad_peers,
    concurrency,
    cost_growth,
    fan_out,
    fifo_groups,
    fifo_limits,
    filters,
    high_throughput,
    http,
    latency,
    long_poll,
    many_queues,
    noisy_tenant,
    peers,
    queue_cycle,
    restart,
    sizes,
    slow_disk,
    writes,
)

_MODULES = (
    queue_cycle,
    latency,
    sizes,
    concurrency,
    backlog,
    restart,
    slow_disk,
    http,
    long_poll,
    many_queues,
    bad_peers,
    fifo_groups,
    fifo_limits,
    high_throughput,
    noisy_tenant,
    peers,
    fan_out,
    filters,
    cost_growth,
    writes,
)

SCENARIOS: dict[str, Scenario] = {each.SCENARIO.name: each.SCENARIO for each in _MODULES}
