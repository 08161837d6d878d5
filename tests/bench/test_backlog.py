"""The backlog scenario: each figure misses its own target, and what moves is counted and compared."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.figures import Check, ratios
from bench.histogram import Latency
from bench.probe import for_seconds, lone_sends
from bench.scenarios.backlog import LONG, Drained, Standing, Waits, checks, emptied, tenths
from bench.store import Moved, Store, astray, summed
from bench.wire import ATTRIBUTES, CREATE, PURGE

MOVED = Moved(messages=1000, digest=7, seconds=1.0, written=2**20)
QUIET = Latency(count=1000, p50=300.0, p90=500.0, p99=1000.0, p999=2000.0, highest=5000.0)


def judged(
    *,
    messages: int = 1_000_000,
    memory: int = 256 << 20,
    restart: float = 2.0,
    killed: float = 2.0,
    drain: float = 0.6,
    astray: int = 0,
    spilled: float = 4999.0,
    expired: float = 4999.0,
    purged: float = 4999.0,
) -> list[Check]:
    """The checks of a run with these figures; where they are not given, they are just good enough."""
    waits = Waits(
        1000.0,
        [replace(QUIET, p99=p99) for p99 in (900.0, 1000.0, 5000.0)],
        *(replace(QUIET, p99=p99) for p99 in (spilled, expired, purged)),
    )
    drained = Drained([MOVED], [MOVED], ratios([drain], [1.0]), astray)
    return checks(messages, memory, Standing(MOVED, restart, [0.5, killed]), drained, waits)


def test_a_backlog_holds_when_every_figure_is_at_its_target() -> None:
    assert [check.name for check in judged() if not check.holds] == []
    large = judged(messages=10_000_000, memory=512 << 20, restart=5.0, killed=5.0)
    assert [check.name for check in large if not check.holds] == []


@pytest.mark.parametrize(
    ("figures", "named"),
    [
        ({"memory": (256 << 20) + 1}, "memory"),
        ({"restart": 2.01}, "first answer"),
        ({"killed": 2.01}, "kill -9"),
        ({"drain": 0.59}, "drain"),
        ({"astray": -1}, "lost or doubled"),
        ({"spilled": 5000.0}, "spilled"),
        ({"expired": 5000.0}, "expires"),
        ({"purged": 5000.0}, "purged"),
    ],
)
def test_each_figure_of_a_backlog_misses_its_own_target(figures: dict[str, float], named: str) -> None:
    missed = [check.name for check in judged(**figures) if not check.holds]  # type: ignore[arg-type]
    assert len(missed) == 1
    assert named in missed[0]


def test_what_was_sent_comes_back_after_kill_9_and_a_lone_send_is_timed_beside_a_load(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    try:
        store.server.ask(CREATE, queue=LONG)
        sent = store.move("produce", LONG, 3000)
        assert sent.messages == 3000
        assert sent.rate > 0
        assert sent.amplification(1024) > 1  # each body was written at least once
        assert store.restart(store.server.kill) > 0
        first = store.move("consume", LONG, 300)
        assert 300 <= first.messages < 3000  # and what was outstanding by then
        came = summed([first, store.move("consume", LONG, 3000 - first.messages)])
        assert (came.messages, came.digest) == (3000, sent.digest)
        assert astray(sent, came) == 0
        assert astray(sent, first) == 3000 - first.messages
        assert astray(sent, replace(came, digest=came.digest + 1)) == -1

        store.move("produce", LONG, 40, rate=1000.0)
        assert not emptied(store.server, LONG, every=0.0)()
        store.server.ask(PURGE, queue=LONG)
        assert emptied(store.server, LONG, every=0.0)()
        with store.busy(rate=1000.0):
            waited = lone_sends(store.server, for_seconds(0.1))
        assert waited.count >= 2
        assert 0 < waited.p50 <= waited.highest
        assert store.server.ask(ATTRIBUTES, queue="probe")["visible"] == waited.count + 1
        assert store.peak() > 2**20
    finally:
        store.close()


def test_progress_is_told_once_each_tenth() -> None:
    told: list[str] = []
    tell = tenths(1000, "sent", told.append)
    for so_far in (0, 99, 100, 100, 350, 1000, 1000):
        tell(so_far)
    assert told == [f"sent {100 * (number + 1)} messages" for number in range(9)] + ["sent 1,000 messages"]
