"""Bugs that are planted, each of which a harness must find: otherwise it would say nothing where it is
silent."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from ropewayd.store import engine, journal, records, wal
from ropewayd.store.engine import Engine
from ropewayd.store.failures import translate
from ropewayd.store.protocol import Claim, Refused, Slice, StoreError, Unknown
from ropewayd.store.sqlite import SqliteStore
from tests.faults.ledger import Broken
from tests.faults.operations import fail_all
from tests.faults.power import history
from tests.faults.rot import rot

SEEDS = range(2000, 2020)


def found(trial: Callable[[int], object]) -> Broken:
    """What the first seeds find."""
    for seed in SEEDS:
        try:
            trial(seed)
        except Broken as broken:
            return broken
    raise AssertionError("the bug is not found")


# Power loss


class AnswersEarly(SqliteStore):
    """Answers an append when it has been handed over, before it is committed."""

    async def append(self, claim: Claim, expect: int, batch: bytes, slice: Slice | None = None) -> int:
        self._thread().run(self._engine.append, claim, expect, batch, slice)
        return expect + bool(batch)


def test_an_answer_before_the_commit_loses(tmp_path: Path) -> None:
    assert found(lambda seed: history(seed, tmp_path, store=AnswersEarly)).kind == "lost"


def test_synchronous_normal_loses(tmp_path: Path) -> None:
    def weaken(statement: str) -> str:
        return statement.replace("synchronous = FULL", "synchronous = NORMAL")

    assert found(lambda seed: history(seed, tmp_path, rewrite=weaken)).kind == "lost"


def test_no_sync_at_all_is_found(tmp_path: Path) -> None:
    def weaken(statement: str) -> str:
        return statement.replace("synchronous = FULL", "synchronous = OFF")

    assert found(lambda seed: history(seed, tmp_path, rewrite=weaken)).kind in {"lost", "corrupt"}


def test_a_disk_whose_sync_lies_is_found(tmp_path: Path) -> None:
    assert found(lambda seed: history(seed, tmp_path, lies=True)).kind in {"lost", "corrupt"}


def test_a_slice_outside_its_transaction_is_partial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Engine._append_slice

    def in_two(engine: Engine, claim: Claim, expect: int, batch: bytes, given: Slice) -> int:
        lsn = engine._append(claim, expect, batch) if batch else expect
        whole(engine, claim, lsn, b"", given)
        return lsn

    monkeypatch.setattr(Engine, "_append_slice", in_two)
    assert found(lambda seed: history(seed, tmp_path)).kind == "partial"


def test_a_drop_that_is_forgotten_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Engine._append_slice

    def without_drops(engine: Engine, claim: Claim, expect: int, batch: bytes, given: Slice) -> int:
        return write(engine, claim, expect, batch, msgspec.structs.replace(given, drops=()))

    monkeypatch.setattr(Engine, "_append_slice", without_drops)
    assert found(lambda seed: history(seed, tmp_path)).kind == "returned"


# Operations that fail


def test_an_error_that_is_swallowed_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Swallows(SqliteStore):
        async def append(self, claim: Claim, expect: int, batch: bytes, slice: Slice | None = None) -> int:
            try:
                return await super().append(claim, expect, batch, slice)
            except Unknown:
                return expect + bool(batch)

    with pytest.raises(Broken, match=r"lost|appended"):
        fail_all(3, tmp_path, range(3), every=10, store=Swallows)


def test_a_failed_sync_that_is_taken_for_a_refusal_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "translate", lambda error, doing: Refused(f"{error} while {doing}"))
    with pytest.raises(Broken):
        fail_all(3, tmp_path, range(1, 2), every=10)


def test_a_store_that_goes_on_after_unknown_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(self: Engine, error: sqlite3.Error, doing: str) -> StoreError:
        return translate(error, doing)

    monkeypatch.setattr(Engine, "_judge", judge)
    with pytest.raises(Broken):
        fail_all(3, tmp_path, range(3), every=10)


# Bit rot


def is_damaged(directory: Path) -> Broken:
    return found(lambda seed: rot(seed, directory))


@pytest.mark.parametrize("module", [journal, records], ids=["journal", "records"])
def test_a_checksum_that_is_skipped_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType
) -> None:
    monkeypatch.setattr(module, "matches", lambda *_: True)
    assert "what is read is not what was written" in is_damaged(tmp_path).what


def test_a_log_that_nobody_walks_loses_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "scan", walk_nothing)
    monkeypatch.setattr(wal, "cut_off", lambda path, end: None)  # nobody knows where the log ends
    assert is_damaged(tmp_path).kind == "lost"


def walk_nothing(path: Path) -> wal.Log:
    """As little as the engine needs to go on."""
    return wal.Log(path.exists() and path.stat().st_size > 32)
