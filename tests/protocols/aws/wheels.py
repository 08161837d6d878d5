"""Wheels that pip downloads once for all tests of a machine, into a directory of the checkout's own."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

OLD_BOTOCORE = "botocore==1.31.80"
"""The last whose model of SQS describes the Query protocol."""
OLD_BOTO3 = "boto3==1.28.80"

CACHE = Path(__file__).parents[3] / ".venv" / "wheels"


def wheel(requirement: str) -> Path:
    """The file of this requirement."""
    name, _, version = requirement.partition("==")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = list(CACHE.glob(f"{name}-{version}-*.whl"))
        if not found:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--no-deps", "--dest", str(CACHE), requirement], check=True, timeout=300)
            found = list(CACHE.glob(f"{name}-{version}-*.whl"))
    return found[0]
