"""The histories of the simulation on the real store and a disk that fails. See sqlite_world.py."""

from __future__ import annotations

import hashlib

import pytest

from ropewayd.store.protocol import StoreError
from tests.simulation.__main__ import command
from tests.simulation.line import Violation
from tests.simulation.sqlite_world import SqliteWorld, simulate_on_sqlite

SEEDS = 400
SHARDS = 20


def live(seed: int) -> SqliteWorld:
    try:
        return simulate_on_sqlite(seed)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error}\nreplay it: {command(seed, sqlite=True)}") from error


@pytest.mark.parametrize("seed", range(6))
def test_history(seed: int) -> None:
    live(seed)


@pytest.mark.proof
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_histories(shard: int) -> None:
    many = SEEDS // SHARDS
    for seed in range(shard * many, (shard + 1) * many):
        live(seed)


def test_histories_are_full_of_events() -> None:
    said: list[str] = []
    worlds = [simulate_on_sqlite(seed, say=said.append) for seed in (5, 44, 68, 77)]
    assert sum(world.disk.trims for world in worlds) > 100
    assert sum(world.disk.spilled for world in worlds) > 1_000
    assert sum(world.disk.kept for world in worlds) > 30
    text = "\n".join(said)
    for what in (
        "meets: cut",
        "meets: kill",
        "meets: error",
        "meets: full",
        "the power is back",
        "a sync",
        "a read",
    ):
        assert what in text, f"no {what}"


def test_a_seed_is_a_history() -> None:
    def digest(seed: int) -> str:
        steps = hashlib.sha256()
        simulate_on_sqlite(seed, say=lambda step: steps.update(step.encode()))
        return steps.hexdigest()

    assert digest(9) == digest(9) != digest(10)


class SyncsTooLittle(SqliteWorld):
    def rewrite(self, statement: str) -> str:
        return statement.replace("synchronous = FULL", "synchronous = NORMAL")


@pytest.mark.parametrize("bug", [SyncsTooLittle])
def test_a_planted_bug_is_found(bug: type[SqliteWorld]) -> None:
    for seed in range(60):
        try:
            simulate_on_sqlite(seed, bug)
        except (Violation, StoreError):
            return
    pytest.fail(f"{bug.__name__} is not found")
