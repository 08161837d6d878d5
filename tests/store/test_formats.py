"""Every format of a released version stays readable: a small store of each is kept here."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest

from ropewayd.store import tables
from tests.store.damage import Contents, read
from tests.store.formats import CONTENTS, HERE, STATES

ARCHIVES = sorted(HERE.glob("format-*.tar.xz"))


def ordered(contents: Contents) -> Contents:
    return Contents(
        contents.small, contents.tail, sorted(contents.paged, key=lambda r: (r.space.number, r.key))
    )


def number_of(archive: Path) -> int:
    return int(re.findall(r"format-(\d+)\.", archive.name)[0])


def test_there_is_one_of_each_format() -> None:
    assert [*map(number_of, ARCHIVES)] == [*CONTENTS] == [*range(1, tables.FORMAT + 1)]
    assert set(tables.MIGRATIONS) == set(range(1, tables.FORMAT))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
def test_it_is_read(tmp_path: Path, archive: Path, state: str) -> None:
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    assert ((tmp_path / state) / "ropeway.db-wal").exists() == (state == "crashed")
    expected = ordered(CONTENTS[number_of(archive)])
    assert ordered(read(tmp_path / state)) == expected
    # And again, after the first start has brought it up to date.
    assert ordered(read(tmp_path / state)) == expected
