"""Daemon and reference model agree, whatever is asked of queues; and a bug in either would be seen."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from ropewayd.queues.attempts import Attempts
from ropewayd.queues.queue import Queue
from ropewayd.queues.redrive import Redrive
from ropewayd.queues.throttle import Bucket
from tests.model.machine import KINDS, LIFE, Fifo, Machine, Standard, live
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


def _knows_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attempts, "held", lambda self, id_, now, find: None)


def _lets_twice_as_many_through(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Bucket.take
    monkeypatch.setattr(
        Bucket, "take", lambda self, count, rate, now: take(self, (count + 1) // 2, rate, now)
    )


def _forgets_the_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Queue._put

    def put(self: Any, event: Any, fresh: Any) -> Any:
        size = sent(self, event, fresh)
        self.attributes = msgspec.structs.replace(self.attributes, delay=0)
        return size

    monkeypatch.setattr(Queue, "_put", put)


PLANTS = [
    (Standard, _shows_delayed_ones),
    (Standard, _kills_too_late),
    (Standard, _forgets_the_delay),
    (Fifo, _knows_no_attempt),
    (Fifo, _lets_twice_as_many_through),
]


@pytest.mark.parametrize(("kind", "plant"), PLANTS, ids=[plant.__name__ for _, plant in PLANTS])
def test_a_planted_bug_is_found(kind: type[Machine], plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    quick = settings(
        max_examples=300,
        stateful_step_count=LIFE,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises((Wrong, AssertionError)):
        run_state_machine_as_test(kind, settings=quick)
