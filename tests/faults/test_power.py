"""After a power cut at any moment, all that was acknowledged is there, whole, and nothing else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.faults.power import LIVES, history

SHARDS = 16
HISTORIES = 31
"""In each shard: 20,000 cuts and 300,000 batches in all, with some to spare."""


def test_a_few_histories(tmp_path: Path) -> None:
    figures: Counter[str] = Counter()
    for seed in range(1000, 1002):
        figures += history(seed, tmp_path)
    assert figures["cuts"] + figures["kills"] == 2 * LIVES
    assert figures["cuts"] == 90
    # Power went in every kind of moment, and appends that were under way went either way.
    for what in ("in a start", "at work", "found", "gone", "slices"):
        assert figures[what] > 0, figures


def test_a_seed_gives_the_same_history_again(tmp_path: Path) -> None:
    assert history(7, tmp_path) == history(7, tmp_path)


@pytest.mark.proof
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_histories(tmp_path: Path, shard: int) -> None:
    figures: Counter[str] = Counter()
    for seed in range(shard * HISTORIES, (shard + 1) * HISTORIES):
        figures += history(seed, tmp_path)
    assert figures["cuts"] * SHARDS >= 20_000, figures
    assert figures["batches"] * SHARDS >= 300_000, figures
