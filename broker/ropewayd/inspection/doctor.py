"""Is this machine fit for the daemon, and its disk for the promises that the daemon makes?

Each line has a verdict: ok; warn, for what works but deserves a thought; fail, for what breaks a promise or
stops the daemon. What a disk does in a loss of power cannot be seen from here. That it answers a sync faster
than any can is a hint.
"""

from __future__ import annotations

import os
import platform
import resource
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from ropewayd.descriptors import BESIDE, asked_for
from ropewayd.inspection.disk import Mount, Syncs, measure, mount
from ropewayd.inspection.layout import duration, size
from ropewayd.settings import Settings

Verdict = Literal["ok", "warn", "fail"]

TOO_FAST: Final = 30e-6
"""Seconds. A synced append is two writes to the device at least, one after the other, and the file system's
work besides. Memory takes 1 to 5 microseconds."""
SLOW: Final = 0.05
"""Seconds. A disk that turns takes 10 to 20 ms."""
USELESS: Final = 0.5
"""Seconds. Two commits a second."""

VOLATILE: Final = frozenset({"tmpfs", "ramfs", "devtmpfs"})
REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "afs", "fuse.sshfs"})

LEAST_FREE: Final = 1 << 30


class Line(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    says: str


class Diagnosis(msgspec.Struct, frozen=True):
    """`ok`: nothing failed. `syncs`: what was measured, null where nothing could be written."""

    directory: str
    ok: bool
    lines: list[Line]
    syncs: Syncs | None


def examine(directory: Path, settings: Settings) -> Diagnosis:
    """Look at `directory`, or where it is going to be, and at the machine. A file is written there, and
    removed."""
    place, lines = directory, []
    if not directory.exists() and directory.absolute().parent.is_dir():
        place = directory.absolute().parent
        lines.append(Line("directory", "ok", f"{directory} is not there yet; the first start makes it"))
    elif directory.is_dir():
        lines.append(_modes(directory))
    else:
        missing = "no directory" if directory.exists() else "not there, and neither is its parent"
        lines.append(Line("directory", "fail", f"{directory} is {missing}"))
    syncs = None
    if lines[0].verdict != "fail":
        where = mount(place)
        if where is not None:
            lines.append(judge_mount(where))
        try:
            syncs = measure(place)
            lines.append(judge_syncs(syncs, where))
        except OSError as error:
            lines.append(Line("fsync", "fail", f"{place} cannot be written: {error.strerror}"))
        lines += _room(place, settings)
    lines += [_limits(settings), *_versions()]
    return Diagnosis(str(directory), all(each.verdict != "fail" for each in lines), lines, syncs)


def judge_syncs(syncs: Syncs, where: Mount | None) -> Line:
    """What the times of a disk's syncs mean."""
    on = where.kind if where is not None else "this file system"
    said = f"p50 {duration(syncs.p50)}, p99 {duration(syncs.p99)} over {syncs.writes} writes of 4 KiB"
    if syncs.p50 < TOO_FAST:
        why = (
            "nothing is kept"
            if on in VOLATILE
            else "no disk is that fast: something answers before it has written"
        )
        return Line(
            "fsync", "fail" if on in VOLATILE else "warn", f"{said}: too fast to be true on {on}; {why}"
        )
    if syncs.p50 > USELESS:
        return Line(
            "fsync", "fail", f"{said}: too slow to be useful, {syncs.rate:.1f} commits a second on {on}"
        )
    if syncs.p50 > SLOW or syncs.p99 > USELESS:
        return Line("fsync", "warn", f"{said}: slow, about {syncs.rate:.0f} commits a second on {on}")
    return Line("fsync", "ok", f"{said}, about {syncs.rate:,.0f} commits a second one after the other")


def judge_mount(where: Mount) -> Line:
    """Whether a file system is one to keep promises on."""
    if where.kind in VOLATILE:
        return Line("file system", "fail", f"{where} is memory: everything is gone when the machine stops")
    if where.kind in REMOTE:
        return Line(
            "file system", "warn", f"{where} is a network's, and may not keep its word on fsync and locks"
        )
    return Line("file system", "ok", str(where))


def _modes(directory: Path) -> Line:
    """Who may read what the queues hold."""
    problems: list[str] = []
    try:
        info = directory.stat()
        if info.st_uid != os.geteuid():
            return Line(
                "directory",
                "warn",
                f"{directory} belongs to user {info.st_uid}; run this as the user who runs the daemon",
            )
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            return Line("directory", "fail", f"{directory} may not be written")
        files = [file for file in sorted(directory.iterdir()) if file.is_file()]
        for path, wanted in [(directory, 0o700), *((file, 0o600) for file in files)]:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                problems.append(f"{path.name} has mode {mode:04o}, not {wanted:04o}")
    except OSError as error:
        return Line("directory", "fail", f"{directory}: {error.strerror}")
    if problems:
        return Line("directory", "warn", f"{directory}: others may get in ({'; '.join(problems[:5])})")
    return Line("directory", "ok", f"{directory} is its owner's alone")


def _room(place: Path, settings: Settings) -> Iterator[Line]:
    """Whether there is room for what the daemon needs for itself, and then some."""
    room = os.statvfs(place)
    free, whole = room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
    # The log grows by half before it is folded in, and what is folded in needs its room in the database.
    needed = 2 * settings.store.wal_bytes + settings.store.reserve_bytes + settings.kernel.tail_bytes
    said = f"{size(free)} of {size(whole)} are free"
    low = settings.kernel.low_space_bytes
    if free < low:
        yield Line("space", "fail", f"{said}; below kernel.low_space_bytes, {size(low)}, sends are refused")
    elif free < needed:
        yield Line("space", "fail", f"{said}; the daemon itself may need {size(needed)}")
    elif free < max(LEAST_FREE, whole // 20):
        yield Line("space", "warn", f"{said}: a backlog would soon fill it")
    else:
        yield Line("space", "ok", said)
    if room.f_files and room.f_favail < 100:
        yield Line("files", "fail", f"{room.f_favail} more files can be made on this disk")
    ceiling, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if ceiling != resource.RLIM_INFINITY:
        yield Line(
            "file size", "warn", f"a file may have {size(ceiling)} (ulimit -f): the database ends there"
        )


def _limits(settings: Settings) -> Line:
    """Whether there are file descriptors for all connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = asked_for(settings) + BESIDE
    if hard != resource.RLIM_INFINITY and hard < needed:
        return Line(
            "open files",
            "warn",
            f"at most {hard:,}, and all max_connections ask for {needed:,} (ulimit -Hn, LimitNOFILE=)",
        )
    raised = "" if soft >= needed else f", which the daemon raises from {soft:,}"
    return Line("open files", "ok", f"{needed:,} for all connections{raised}")


def _versions() -> Iterator[Line]:
    """The interpreter and SQLite."""
    system = f"{platform.system()} {platform.release()}"
    yield Line("Python", "ok", f"{platform.python_version()} on {system}; the oldest that works is 3.11")
    said = f"{sqlite3.sqlite_version}"
    if (3, 7, 0) <= sqlite3.sqlite_version_info <= (3, 51, 2):
        said += "; its bug in resetting a log needs two connections, and the daemon has one"
    yield Line("SQLite", "ok", said)
