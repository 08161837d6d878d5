"""A bit that flips while nobody looks is named at the next start, or does no harm.

tests/store/test_damage.py looks at the log's scan and at single tables; here every file of many stores is
hit.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.faults.rot import FLIPS, MISSING, rot

SHARDS = 4
SAMPLES = 5
"""In each shard: 2,000 flips in all."""


def count(seeds: range, directory: Path, flips: int = FLIPS) -> Counter[str]:
    figures: Counter[str] = Counter()
    for seed in seeds:
        figures += rot(seed, directory, flips)
    return figures


def test_some_flips(tmp_path: Path) -> None:
    figures = count(range(900, 902), tmp_path, 40)
    assert figures.total() == 80
    assert figures["named"] > 12, figures


@pytest.mark.proof
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_flips(tmp_path: Path, shard: int) -> None:
    figures = count(range(100 + shard * SAMPLES, 100 + (shard + 1) * SAMPLES), tmp_path)
    assert figures.total() == SAMPLES * FLIPS
    assert figures["named"] > 100, figures
    # What only looks like a torn write is in the last commit alone, which is small.
    assert figures["last commit"] < 40, figures
    assert figures[MISSING] < 5, figures
