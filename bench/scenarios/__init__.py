"""What can be run. A scenario is one small file: workloads, sizes, targets, and what is measured beside them.

Each has a `SCENARIO`, and is listed here.
"""

from __future__ import annotations

from bench.scenario import Scenario
from bench.scenarios import backlog, fifo_groups, http, queue_cycle, slow_disk

SCENARIOS: dict[str, Scenario] = {
    each.SCENARIO.name: each.SCENARIO for each in (queue_cycle, backlog, slow_disk, http, fifo_groups)
}
