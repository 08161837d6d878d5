"""Libraries of AWS that the project does not install, which pip fetches once for all tests of a checkout."""

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
EXTENDED_CLIENT = "amazon-sqs-extended-client==1.0.1"

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
    return _fetched(f"{OLD_BOTO3}-{OLD_BOTOCORE}", OLD_BOTO3, OLD_BOTOCORE)


def extended_client() -> Path:
    """The same of the extended client alone: it uses the boto3 that is installed."""
    return _fetched(EXTENDED_CLIENT, "--no-deps", EXTENDED_CLIENT)


def _fetched(name: str, *what: str) -> Path:
    place = CACHE / name
    with _alone():
        if not place.exists():
            made = place.with_name(f"{place.name}.{os.getpid()}")
            subprocess.run([*PIP, "install", "--target", str(made), *what], check=True, timeout=300)
            made.rename(place)
    return place
