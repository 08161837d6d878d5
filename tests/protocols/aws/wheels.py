"""Old versions of AWS's libraries, which pip fetches once for all tests of a checkout."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OLD_BOTOCORE = "botocore==1.31.80"
"""The last whose model of SQS describes the Query protocol."""
OLD_BOTO3 = "boto3==1.28.80"

CACHE = Path(__file__).parents[3] / ".venv" / "old"
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


@contextmanager
def _alone() -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def old_boto3() -> Path:
    """A directory for PYTHONPATH that has them, with all that they need."""
    place = CACHE / f"{OLD_BOTO3}-{OLD_BOTOCORE}"
    with _alone():
        if not place.exists():
            made = place.with_name(f"{place.name}.{os.getpid()}")
            install = [*PIP, "install", "--target", str(made), OLD_BOTO3, OLD_BOTOCORE]
            subprocess.run(install, check=True, timeout=300)
            made.rename(place)
    return place
