"""Whichever operation of the disk fails, and however: a definite error, and all that was acknowledged is
there.

What a store may say: Refused, and then nothing of it is there and work goes on; Unknown, and then it is done
with, and what was under way is there or not, whole; Unusable, where it could not be opened. It never says
Corrupt for want of an answer. A failure that harms nothing may pass without a word.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.operations import CHAPTERS, MOMENTS, fail_all

SHARDS = 25


def test_some_operations_fail(tmp_path: Path) -> None:
    figures = fail_all(11, tmp_path, range(CHAPTERS), every=700)
    for ending in ("Unknown", "refused", "unharmed"):
        assert figures[ending] > 0, figures


def test_some_operations_of_a_start_after_a_crash_fail(tmp_path: Path) -> None:
    figures = fail_all(11, tmp_path, range(CHAPTERS, CHAPTERS + len(MOMENTS)), every=60)
    for ending in ("Unknown", "unharmed"):
        assert figures[ending] > 0, figures


@pytest.mark.proof
@pytest.mark.parametrize("half", range(2))
def test_each_operation_of_a_start_after_a_crash_fails(tmp_path: Path, half: int) -> None:
    figures = fail_all(2, tmp_path, range(CHAPTERS + half, CHAPTERS + len(MOMENTS), 2))
    assert figures["Unknown"] + figures["Unusable"] > 10 * len(MOMENTS) // 2


@pytest.mark.proof
@pytest.mark.parametrize("shard", range(SHARDS))
def test_each_operation_fails(tmp_path: Path, shard: int) -> None:
    figures = fail_all(1, tmp_path, range(shard, CHAPTERS, SHARDS))
    assert figures["Unknown"] > 100
    assert figures["refused"] > 100
