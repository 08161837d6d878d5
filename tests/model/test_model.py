"""Daemon and reference model agree, whatever is asked of queues; and a bug in either would be seen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from ropewayd.queues.queue import Queue
from ropewayd.queues.redrive import Redrive
from tests.model.machine import KINDS, LIFE, Machine, Standard, live
from tests.model.reference import Wrong


@pytest.mark.parametrize("kind", KINDS)
def test_the_daemon_does_as_the_model(kind: type[Machine]) -> None:
    live(kind, 1_000)


@pytest.mark.proof
@pytest.mark.parametrize("kind", KINDS)
def test_the_daemon_does_as_the_model_for_long(kind: type[Machine]) -> None:
    live(kind, 15_000)


def _shows_delayed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    hold = Queue._hold

    def shorter(self: Any, message: Any, state: int, deadline: int, lease: Any) -> None:
        hold(self, message, state, deadline - 10, lease)

    monkeypatch.setattr(Queue, "_hold", shorter)


def _kills_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    sift = Redrive.sift

    def later(self: Any, queue: Any, count: int, horizon: int, most: int, *more: Any, **fair: bool) -> Any:
        return sift(self, queue, count, horizon, most + 1 if most else 0, *more, **fair)

    monkeypatch.setattr(Redrive, "sift", later)


@pytest.mark.parametrize("plant", [_shows_delayed_ones, _kills_too_late])
def test_a_planted_bug_is_found(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    quick = settings(
        max_examples=300,
        stateful_step_count=LIFE,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises((Wrong, AssertionError)):
        run_state_machine_as_test(Standard, settings=quick)
