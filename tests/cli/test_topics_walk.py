"""docs/topics.md, step by step: each of its commands does and prints what stands there."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.walk import walked
from tests.daemon import PATIENCE, Daemon

pytestmark = pytest.mark.proof  # a web hook is down until it is tried again, which is after 20 seconds

SECTION = (
    (Path(__file__).parents[2] / "docs" / "topics.md")
    .read_text()
    .partition("\n## Step by step")[2]
    .partition("\n## ")[0]
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def printed(command: str, pattern: str, place: Path, environ: dict[str, str]) -> None:
    """What it is to print may take a moment: somebody else has a part in it."""
    end = time.monotonic() + PATIENCE
    again = command.startswith(("cat", "grep", "ropeway topic deliveries"))
    while True:
        done = subprocess.run(
            ["sh", "-c", command], cwd=place, env=environ, capture_output=True, text=True, check=False
        )
        said = done.stdout.replace("\r", "").rstrip("\n") + "\n"
        if done.returncode == 0 and re.fullmatch(pattern, said, re.DOTALL):
            return
        assert again, (command, said, done.stderr)
        assert time.monotonic() < end, (command, said, done.stderr)
        time.sleep(0.1)


@pytest.mark.needs("curl")
def test_a_queue_a_web_hook_that_is_down_for_a_while_and_a_mailbox(tmp_path: Path) -> None:
    with Daemon(tmp_path, listen=["127.0.0.1:0"], http="127.0.0.1:0") as daemon:
        hook = f"127.0.0.1:{free_port()}"
        text = SECTION.replace("127.0.0.1:4566", daemon.endpoint.removeprefix("http://"))
        text = text.replace("127.0.0.1:8080", hook).replace("8080", hook.partition(":")[2])
        [program] = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        (tmp_path / "hook.py").write_text(program)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environ = os.environ | {"PATH": path, "ROPEWAY_URL": daemon.url}
        running: subprocess.Popen[bytes] | None = None
        steps = walked(text)
        assert len(steps) > 12
        try:
            for command, says in steps:
                if command.endswith("&"):
                    with (tmp_path / "heard").open("a") as heard:
                        running = subprocess.Popen([sys.executable, "hook.py"], cwd=tmp_path, stdout=heard)
                    wait_for(hook)
                elif command == "kill %1":
                    assert running is not None
                    running.kill()
                    running.wait(PATIENCE)
                else:
                    pattern = ".*".join(re.escape(part) for part in says.split("…"))
                    printed(command, pattern, tmp_path, environ)
        finally:
            if running is not None:
                running.kill()
                running.wait(PATIENCE)


def wait_for(address: str) -> None:
    """Until something listens there."""
    host, _, port = address.partition(":")
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.02)
    raise TimeoutError(address)
