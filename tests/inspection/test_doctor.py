"""What the doctor makes of a disk, a directory and the machine's limits."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ropewayd.inspection import disk
from ropewayd.inspection.disk import Mount, Syncs, measure, mount
from ropewayd.inspection.doctor import Line, examine, judge_mount, judge_syncs
from ropewayd.settings import Settings
from ropewayd.sources import gather

EXT4 = Mount("/", "ext4", "/dev/sda1")
TMPFS = Mount("/tmp", "tmpfs", "tmpfs")


def settings(**flags: str) -> Settings:
    return gather({path.replace("__", "."): value for path, value in flags.items()}, {}).settings


def line(lines: list[Line], what: str) -> Line:
    return next(each for each in lines if each.what == what)


@pytest.mark.parametrize(
    ("p50", "p99", "where", "verdict", "said"),
    [
        (2e-6, 1e-5, TMPFS, "fail", "too fast to be true on tmpfs; nothing is kept"),
        (2e-6, 1e-5, EXT4, "warn", "too fast to be true on ext4; no disk is that fast"),
        (2e-6, 1e-5, None, "warn", "too fast to be true on this file system"),
        (1e-4, 1e-3, EXT4, "ok", "p50 100 us, p99 1.0 ms over 300 writes of 4 KiB, about 10,000 commits"),
        (0.015, 0.04, EXT4, "ok", "about 67 commits a second"),
        (0.1, 0.2, EXT4, "warn", "slow, about 10 commits a second on ext4"),
        (0.001, 0.7, EXT4, "warn", "slow"),
        (0.8, 2.0, EXT4, "fail", "too slow to be useful, 1.2 commits a second on ext4"),
    ],
)
def test_syncs_are_judged(p50: float, p99: float, where: Mount | None, verdict: str, said: str) -> None:
    found = judge_syncs(Syncs(300, p50, p99, p99), where)
    assert found.verdict == verdict
    assert said in found.says


def test_file_systems_are_judged() -> None:
    assert judge_mount(EXT4).verdict == "ok"
    assert judge_mount(TMPFS).verdict == "fail"
    assert judge_mount(Mount("/srv", "nfs4", "box:/srv")).verdict == "warn"


def test_the_mount_is_the_innermost(tmp_path: Path) -> None:
    inner = tmp_path / "with space"
    (inner / "data").mkdir(parents=True)
    escaped = str(inner).replace(" ", "\\040")
    table = (
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        f"30 27 0:26 / {escaped} rw shared:7 - xfs /dev/a\\040b rw\n"
        f"31 27 0:27 / {escaped}er rw - nfs box:/x rw\n"
    )
    assert mount(inner / "data", table) == Mount(str(inner), "xfs", "/dev/a b")
    assert mount(tmp_path, table) == Mount("/", "ext4", "/dev/vda")
    assert mount(tmp_path, "") is None


def test_what_is_measured_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(tmp_path, 20)
    assert found.writes == 20
    assert 0 < found.p50 <= found.p99 <= found.slowest
    assert list(tmp_path.iterdir()) == []

    def fail(handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(disk, "sync", fail)
    failed = examine(tmp_path, settings())
    assert not failed.ok
    assert line(failed.lines, "fsync").says == f"{tmp_path} cannot be written: Input/output error"
    assert list(tmp_path.iterdir()) == []


def test_each_write_is_synced_and_a_slow_disk_is_not_asked_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(disk, "sync", lambda handle: synced.append(os.fstat(handle).st_size))
    measure(tmp_path, 4)
    assert synced == [4096, 8192, 12288, 16384]
    monkeypatch.setattr(disk, "PATIENCE", 0.0)
    assert measure(tmp_path).writes == 1


def test_others_may_not_get_in(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.mkdir(mode=0o700)
    assert line(examine(place, settings()).lines, "directory").verdict == "ok"
    (place / "ropeway.db").touch(mode=0o644)
    found = line(examine(place, settings()).lines, "directory")
    assert found.verdict == "warn"
    assert "ropeway.db has mode 0644, not 0600" in found.says


def test_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    found = examine(tmp_path / "data", settings())
    assert "the first start makes it" in line(found.lines, "directory").says
    assert found.syncs is not None
    assert list(tmp_path.iterdir()) == []


def test_limits_follow_the_settings(tmp_path: Path) -> None:
    found = examine(tmp_path, settings(protocol__max_connections="1000000"))
    assert "1,016,064" in line(found.lines, "open files").says


@pytest.mark.parametrize(
    ("free", "verdict", "said"),
    [
        (
            10,
            "fail",
            "10.0 MiB of 100 GiB are free; below kernel.low_space_bytes, 64.0 MiB, sends are refused",
        ),
        (80, "fail", "the daemon itself may need 88.0 MiB"),
        (2000, "warn", "a backlog would soon fill it"),
        (50_000, "ok", "48.8 GiB of 100 GiB are free"),
    ],
)
def test_room_is_judged_by_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, verdict: str, said: str
) -> None:
    real = os.statvfs(tmp_path)
    fields = list(real)
    fields[0:5] = 4096, 1 << 20, 100 << 10, free, free  # block, fragment, blocks, free, free to us
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))
    found = line(examine(tmp_path, settings()).lines, "space")
    assert (found.verdict, said in found.says) == (verdict, True), found.says
