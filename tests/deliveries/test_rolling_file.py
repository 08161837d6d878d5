"""Lines in files: on disk when an append returns, whole, and no more of them than the bounds say."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from ropewayd.deliveries.rolling_file import RollingFile, RollingLimits


def content(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in sorted(folder.iterdir())}


async def test_lines_are_appended_also_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    for each in (b"one", b"two"):
        await RollingFile(folder, "news", RollingLimits()).append(each)
    assert content(folder) == {"news-000001.ndjson": b"one\ntwo\n"}
    file = folder / "news-000001.ndjson"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_what_comes_together_is_synced_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = 0
    sync = os.fsync

    def count(handle: int) -> None:
        nonlocal synced
        synced += 1
        sync(handle)

    monkeypatch.setattr(os, "fsync", count)
    file = RollingFile(tmp_path, "news", RollingLimits())
    await asyncio.gather(*(file.append(b"%d" % each) for each in range(200)))
    assert sorted(content(tmp_path)["news-000001.ndjson"].split()) == sorted(
        b"%d" % each for each in range(200)
    )
    assert synced <= 4


async def test_a_file_is_bounded_and_so_is_their_number(tmp_path: Path) -> None:
    file = RollingFile(tmp_path, "news", RollingLimits(bytes=10, files=3))
    for each in range(10):
        await file.append(b"l%d" % each)  # three lines of three bytes fit
    await file.append(b"a line that is longer than a file")
    assert content(tmp_path) == {
        "news-000003.ndjson": b"l6\nl7\nl8\n",
        "news-000004.ndjson": b"l9\n",
        "news-000005.ndjson": b"a line that is longer than a file\n",
    }


async def test_a_batch_that_rolls_loses_nothing(tmp_path: Path) -> None:
    file = RollingFile(tmp_path, "news", RollingLimits(bytes=10, files=100))
    await asyncio.gather(*(file.append(b"%03d" % each) for each in range(50)))
    assert b"".join(content(tmp_path).values()).split() == [b"%03d" % each for each in range(50)]
    assert all(len(each) <= 10 for each in content(tmp_path).values())


@pytest.mark.parametrize("torn", [b"", b"half a li", b"x" * 200_000])
async def test_half_a_line_that_a_crash_left_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / "news-000007.ndjson").write_bytes(b"one\ntwo\n" + torn)
    await RollingFile(tmp_path, "news", RollingLimits()).append(b"three")
    assert content(tmp_path) == {"news-000007.ndjson": b"one\ntwo\nthree\n"}


async def test_an_append_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = RollingFile(tmp_path, "news", RollingLimits())
    await file.append(b"one")

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space"):
            await file.append(b"two")
    # It is not known whether it is there: what was not acknowledged may be, whole.
    (tmp_path / "news-000001.ndjson").write_bytes(b"one\ntw")
    await file.append(b"three")
    assert content(tmp_path) == {"news-000001.ndjson": b"one\nthree\n"}
