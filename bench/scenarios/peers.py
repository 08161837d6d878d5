"""peers: other brokers beside Ropeway and the bare loop, each as durable: every answer after its sync.

The full cycle at batches of 10, single sends with 64 outstanding and nobody who consumes, and one send at a
time. Those take part whose servers are installed (`make bench-peers`). Nothing of theirs is a target.
"""

from __future__ import annotations

from bench.contestants import BareLoop, Daemon
from bench.figures import none
from bench.peers.servers import PEERS, installed
from bench.scenario import Outcome, Scenario, Settings, Watch, interleaved
from bench.scenarios.queue_cycle import BATCHES, LONE, SENDS

WORKLOADS = (BATCHES, SENDS, LONE)


def run(settings: Settings, watch: Watch) -> Outcome:
    """All matches, in turns."""
    comparisons = interleaved(WORKLOADS, [BareLoop(), Daemon(), *installed()], settings, watch)
    left_out = [peer.name for peer in PEERS if not peer.installed()]
    durability = {peer.name: peer.durability for peer in PEERS}
    astray = sum(comparison.astray for comparison in comparisons)
    return Outcome(
        comparisons,
        {"left_out": left_out, "durability": durability},
        [none("messages lost or doubled", astray)],
        [("not installed, left out", ", ".join(left_out))] if left_out else [],
    )


def steps(settings: Settings) -> int:
    """How many."""
    return settings.rounds * len(WORKLOADS) * (2 + len(installed()))


SCENARIO = Scenario(
    name="peers",
    summary="Redis Streams, beanstalkd, NATS and RabbitMQ at the same durability, where they are installed",
    steps=steps,
    run=run,
)
