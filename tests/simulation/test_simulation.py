"""Histories of clients, crashes and restarts, in which nothing may ever be wrong. See world.py and
checker.py.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.__main__ import command
from tests.simulation.world import World, simulate

FAST = 25
SEEDS = 5_200
SHARDS = 20
LEAST = 5_000_000
"""Operations in all histories: of messages that are sent, received, deleted or changed, and of other
calls, those that were acknowledged."""


def live(seed: int) -> World:
    try:
        return simulate(seed)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error}\nreplay it: {command(seed)}") from error


@pytest.mark.parametrize("seed", range(FAST))
def test_history(seed: int) -> None:
    live(seed)


def operations_in(seeds: range) -> int:
    """Live these histories."""
    return sum(live(seed).checker.operations for seed in seeds)


@pytest.mark.proof
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_histories(shard: int) -> None:
    many = SEEDS // SHARDS
    seeds = range(shard * many, (shard + 1) * many)
    # In a process of its own: what a history made stays, in cycles that no collection looks into.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        assert alone.submit(operations_in, seeds).result() >= LEAST // SHARDS


def test_a_seed_is_a_history() -> None:
    """The same seed gives the same steps, each at the same time."""

    def digest(seed: int) -> str:
        steps = hashlib.sha256()
        simulate(seed, say=lambda step: steps.update(step.encode()))
        return steps.hexdigest()

    assert digest(6) == digest(6) != digest(7)


def test_histories_are_full_of_events() -> None:
    """What the histories are to show does happen in them: otherwise they show nothing."""
    said: list[str] = []
    worlds = [simulate(seed, say=said.append) for seed in range(133, 145)]
    assert sum(world.disk.trims for world in worlds) > 100
    assert sum(world.disk.spilled for world in worlds) > 1_000
    assert sum(world.disk.kept for world in worlds) > 300
    assert sum(len(world.lives) for world in worlds) > 50
    assert sum(world.checker.undone for world in worlds) > 5
    assert sum(world.checker.acknowledged for world in worlds) > 2_000
    text = "\n".join(said)
    for what in (
        *("MessagesSent", "MessagesReceived", "MessagesDeleted", "MessagesReturned", "MessagesExpired"),
        *("VisibilityChanged", "QueueCreated", "QueueDeleted", "QueuePurged", "AttributesSet"),
        *(
            "MessagesMoved",
            "MoveStarted",
            "COMPLETED",
            "CANCELLED",
            "FAILED",
            "crash",
            "takeover",
            "stop",
            "set by 3600000",
            "set by -3600000",
            "gives up on",
            "has enough",
            "a read fails",
            "a page",
            "Fenced",
        ),
        *("not written: Refused", "written, but Unknown", "not written, and Unknown"),
        *("the process ends before it is written", "the process ends after it is written"),
    ):
        assert what in text, f"no {what}"
