"""A daemon is watched from the side: what waits is seen, and a restart only leaves a gap."""

import time
from collections.abc import Callable
from pathlib import Path

from bench.samples import Sample, thinned, waiting, watched
from bench.store import Store
from bench.wire import QUEUE


def test_samples_follow_the_backlog_through_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    try:
        with watched(lambda: store.server, (QUEUE, "not-there"), interval=0.01) as samples:
            store.move("produce", QUEUE, 100)
            until(lambda: bool(samples) and samples[-1].backlog == 100)
            store.restart(store.server.kill)
            seen = len(samples)
            until(lambda: len(samples) > seen + 1)
        assert samples[-1].backlog == 100 == waiting(store.server, QUEUE)
    finally:
        store.close()
    assert all(sample.memory > 0 for sample in samples)
    assert [sample.at for sample in samples] == sorted(sample.at for sample in samples)


def until(seen: Callable[[], bool]) -> None:
    """Waits for it; a test that waits for ever is ended by its runner."""
    while not seen():
        time.sleep(0.005)


def test_a_long_run_is_drawn_by_a_few_of_its_samples() -> None:
    samples = [Sample(at, 1, at) for at in range(1000)]
    kept = thinned(samples, 300)
    assert len(kept) == 250
    assert kept[0].at == 0
    assert thinned(samples[:7], 300) == samples[:7]
    assert thinned([], 300) == []
