"""Files that are cut, missing, or somebody else's: a start says so, and leaves everything as it was.

Newer formats are in tests/store. A log that ends early at a commit cannot be told from one that was never
longer; nor, in the log's last commit, damage from a torn write.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewayd.store.protocol import Corrupt, StoreError
from tests.faults.ledger import Contents, read_all
from tests.faults.rot import Sample, make_sample, store_in

DATABASE, LOG = "ropeway.db", "ropeway.db-wal"
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, Sample]:
    """Of two daemons."""
    path = tmp_path_factory.mktemp("samples")
    one, two = (asyncio.run(make_sample(seed, path / str(seed))) for seed in (5, 2))
    assert one.last_commit > 32  # its log holds more than one commit
    return one, two


def start(path: Path, files: Files) -> Contents | StoreError:
    """What a start in these files gives."""
    path.mkdir(mode=0o700)
    for name, content in files.items():
        (path / name).write_bytes(content)

    async def run() -> Contents | StoreError:
        store = store_in(path)
        try:
            return await read_all(store, await store.claim("foreign"))
        except StoreError as error:
            return error
        finally:
            await store.close()

    return asyncio.run(run())


def refused(path: Path, files: Files) -> str:
    """What is said. Nothing was changed, but that SQLite takes an empty log away."""
    found = start(path, files)
    assert isinstance(found, Corrupt), found
    for name in (DATABASE, LOG):
        if files.get(name):
            assert (path / name).read_bytes() == files[name]
    return str(found)


def test_the_samples_are_in_order(tmp_path: Path, samples: tuple[Sample, Sample]) -> None:
    for number, sample in enumerate(samples):
        assert start(tmp_path / str(number), sample.files) == sample.state.contents()


def test_the_lock_file_of_another_daemon_is_nothing(tmp_path: Path, samples: tuple[Sample, Sample]) -> None:
    one, two = samples
    assert start(tmp_path / "data", {**one.files, "lock": two.files["lock"] * 100}) == one.state.contents()


def test_the_log_or_the_database_of_another_daemon(tmp_path: Path, samples: tuple[Sample, Sample]) -> None:
    one, two = (sample.files for sample in samples)
    for number, (database, log) in enumerate([(one, two), (two, one)]):
        said = refused(tmp_path / str(number), {DATABASE: database[DATABASE], LOG: log[LOG]})
        assert "does not belong to this database" in said
        assert "side by side" in said


def test_a_log_of_before_beside_a_store_that_was_closed(
    tmp_path: Path, samples: tuple[Sample, Sample]
) -> None:
    """The log is whole and of this very store, but what came after it is in the database already."""
    files = samples[0].files
    assert start(tmp_path / "data", files) == samples[0].state.contents()  # and closed, so folded in
    later = (tmp_path / "data" / DATABASE).read_bytes()
    said = refused(tmp_path / "mixed", {DATABASE: later, LOG: files[LOG]})
    assert "is of another time" in said


def noise(content: bytes) -> bytes:
    return random.Random(len(content)).randbytes(len(content))


@pytest.mark.parametrize(
    ("name", "harm", "says"),
    [
        (DATABASE, lambda content: b"", "is missing or empty"),
        (DATABASE, noise, "is not an SQLite database"),
        (DATABASE, lambda content: content[:60], "is not an SQLite database"),
        (DATABASE, lambda content: content[16384:], "is not an SQLite database"),
        (LOG, lambda content: b"", "is missing or empty"),
        (LOG, noise, "The header of"),
        (LOG, lambda content: content[32:], "The header of"),
        (LOG, lambda content: content[:32] + content[16384 + 56 :], "is damaged"),
    ],
)
def test_a_file_that_is_cut_or_noise(
    tmp_path: Path,
    samples: tuple[Sample, Sample],
    name: str,
    harm: Callable[[bytes], bytes],
    says: str,
) -> None:
    files = samples[0].files
    assert says in refused(tmp_path / "data", {**files, name: harm(files[name])})


def test_a_table_whose_definition_is_damaged(tmp_path: Path) -> None:
    files = asyncio.run(make_sample(3, tmp_path / "sample")).files  # closed: all is in the database
    harmed = files[DATABASE].replace(b"number INTEGER", b"numbar INTEGER")
    assert "tables are damaged" in refused(tmp_path / "data", {**files, DATABASE: harmed})


def test_a_database_that_is_cut_short(tmp_path: Path, samples: tuple[Sample, Sample]) -> None:
    files = samples[0].files
    for pages in (1, 2, 5):
        found = start(tmp_path / str(pages), {**files, DATABASE: files[DATABASE][: pages * 16384]})
        # What is missing may be in the log.
        assert isinstance(found, Corrupt) or found == samples[0].state.contents()


def test_a_database_of_another_program(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "other")
    other.execute("CREATE TABLE journal (lsn)")
    other.commit()
    other.close()
    said = refused(tmp_path / "data", {DATABASE: (tmp_path / "other").read_bytes()})
    assert "none of Ropeway's" in said
