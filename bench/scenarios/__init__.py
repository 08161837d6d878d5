"""What can be run. A scenario is one small file: workloads, sizes, targets, and what is measured beside them.

Each has a `SCENARIO`, and is listed here.
"""

from __future__ import annotations

from bench.scenario import Scenario
from bench.scenarios import backlog, queue_cycle, slow_disk

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario for scenario in (queue_cycle.SCENARIO, backlog.SCENARIO, slow_disk.SCENARIO)
}
