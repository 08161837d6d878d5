"""What every figure depends on: the machine, and the versions of what ran on it."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

PACKAGES = ("ropeway", "uvloop", "msgpack", "msgspec", "aiosqlite", "structlog")
SYNCS = 200


def machine(directory: Path) -> dict[str, Any]:
    """The machine, and the file system that a directory is on."""
    return {
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "file_system": file_system(directory),
        "sync_us": round(sync_us(directory), 1),
    }


def versions() -> dict[str, str]:
    """Python, SQLite and the packages that matter here."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def processor() -> str:
    """The processor's name, where Linux tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def file_system(directory: Path) -> str:
    """The type of the file system that holds a directory. In memory a sync is free, and every figure lies."""
    path = directory.resolve()
    kinds = {}
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split(" ")
        kinds[mount] = kind
    return next((kinds[str(place)] for place in (path, *path.parents) if str(place) in kinds), "unknown")


def sync_us(directory: Path) -> float:
    """The median time of a 4 KiB append with fdatasync, in microseconds: what a lone commit pays."""
    path = directory / "sync"
    block = os.urandom(4096)
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            began = time.perf_counter()
            file.write(block)
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1e6)
    path.unlink()
    return median(took)
