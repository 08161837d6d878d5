"""What a thread allocates comes from the one heap that there is."""

import subprocess
import sys
from pathlib import Path

import pytest

COUNT = """
import ctypes, sys, threading
from ropewayd import heap
if sys.argv[1] == "share":
    heap.share()
held = []
thread = threading.Thread(target=lambda: held.extend(bytes(2000) for _ in range(1000)))
thread.start()
thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, out)
libc.fclose(out)
"""


def heaps(path: Path, how: str) -> int:
    subprocess.run([sys.executable, "-c", COUNT, how, str(path)], check=True)
    return path.read_text().count("<heap nr=")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's heaps")
def test_threads_share_one_heap(tmp_path: Path) -> None:
    assert heaps(tmp_path / "own", "own") == 2  # else this test shows nothing
    assert heaps(tmp_path / "shared", "share") == 1
