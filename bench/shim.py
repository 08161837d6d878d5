"""A library that is loaded before the C library into a real daemon: its syncs fail, or take their time, or
its disk is small.

shim.c says which environment variables it listens to. It is compiled when it is used, where there is a C
compiler.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror")


class NoCompiler(Exception):
    """There is none on the PATH."""


def compiled(directory: Path) -> Path:
    """The library, in a directory. Raises NoCompiler."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise NoCompiler(f"a C compiler is needed, and none of {', '.join(COMPILERS)} is on the PATH")
    target = directory / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([compiler, *FLAGS, "-o", str(target), str(source), "-ldl"], check=True)
    return target


def small_disk(library: Path, directory: Path, size: int) -> dict[str, str]:
    """The environment of a process whose files in `directory` have room for so many bytes."""
    return {"LD_PRELOAD": str(library), "DISK_DIR": str(directory), "DISK_BYTES": str(size)}


def slow_syncs(library: Path, milliseconds: int) -> dict[str, str]:
    """The environment of a process whose every sync takes so much longer."""
    return {"LD_PRELOAD": str(library), "SYNC_SLOW_MS": str(milliseconds)}
