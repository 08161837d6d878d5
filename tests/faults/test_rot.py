"""A bit that flips, while nobody looks or under a store that is open, is named or does no harm.

tests/store/test_damage.py looks at the log's scan and at single tables, tests/faults/test_rot_daemon.py at
the real daemon; here every file of many stores is hit.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.faults.rot import FLIPS, rot

SHARDS = 5
SAMPLES = 5
"""In each shard: 2,500 flips in all, 500 of them under a store that is open."""


def count(seeds: range, directory: Path, flips: int = FLIPS) -> Counter[str]:
    figures: Counter[str] = Counter()
    for seed in seeds:
        figures += rot(seed, directory, flips)
    return figures


def test_some_flips(tmp_path: Path) -> None:
    figures = count(range(900, 902), tmp_path, 40)
    assert figures.total() - figures["served"] == 80
    assert figures["served"] == 16
    assert figures["named"] > 10, figures


@pytest.mark.proof
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_flips(tmp_path: Path, shard: int) -> None:
    figures = count(range(100 + shard * SAMPLES, 100 + (shard + 1) * SAMPLES), tmp_path)
    assert figures.total() - figures["served"] == SAMPLES * FLIPS
    assert figures["named"] > 50, figures
    assert figures["named while served"] > 2, figures
    # What only looks like a torn write is in the last commit alone, which is small.
    assert figures["last commit"] < 40, figures
