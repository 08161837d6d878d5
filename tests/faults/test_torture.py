"""`make torture` goes on with new seeds, tells how far it is, and says how to see a failure again."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.faults import __main__ as torturing
from tests.faults.__main__ import HARNESSES, Trial, once, torture


def test_it_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torturing, "PACE", 0)
    assert torture(0.01, 5, 2, ("rot",)) == 0
    said = capsys.readouterr().out.splitlines()
    assert re.match(r"0:0\d of 0:00: \d+ seeds, 0 failed; rot \d+", said[0])
    assert re.match(r"rot: \d+ harmless", said[-2])
    assert re.match(r"(\d+) of \1 seeds hold\.", said[-1])


def failing(harness: str, seed: int) -> Trial:
    return harness, seed, Counter(), f"{harness} finds something\n"


def test_it_says_how_to_see_a_failure_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert torture(0.001, 5, 1, ("power",), failing) > 0
    said = capsys.readouterr().out
    assert "power finds something" in said
    assert "replay with: python -m tests.faults power --seed 5" in said


@pytest.mark.proof
@pytest.mark.parametrize("harness", HARNESSES)
def test_each_harness_takes_a_seed(harness: str) -> None:
    assert once(harness, 11).total() > 0
