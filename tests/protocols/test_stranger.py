"""A client in another language, written from docs/protocol.md alone, works."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon import Daemon

CLIENT = Path(__file__).parent / "node" / "client.js"
PACKAGE = "@msgpack/msgpack@^3.1"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the client with these arguments."""
    modules = tmp_path_factory.mktemp("node")
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(modules), PACKAGE]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    environ = os.environ | {"NODE_PATH": str(modules / "node_modules")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["node", str(CLIENT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=120, check=False)

    return run


@pytest.mark.needs("node", "npm")
def test_a_stranger_sends_receives_and_deletes(tmp_path: Path, run: Run) -> None:
    with Daemon(tmp_path, listen=[f"unix:{tmp_path / 'socket'}", "127.0.0.1:0"]) as daemon:
        for address in daemon.addresses:
            done = run(address.removeprefix("unix:"))
            assert done.returncode == 0, done.stderr
            said = json.loads(done.stdout)
            assert said["server"].startswith("ropewayd/")
            assert (said["keys"], said["account"]) == (False, "000000000000")


@pytest.mark.needs("node", "npm")
def test_a_stranger_proves_its_key_and_has_the_daemon_prove_it(tmp_path: Path, run: Run) -> None:
    with Daemon(tmp_path, environ={"ROPEWAY_KEYS_SECRETS": "stranger:pässword-of-sixteen"}) as daemon:
        socket = daemon.addresses[0].removeprefix("unix:")
        done = run(socket, "stranger", "pässword-of-sixteen")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["keys"] is True
        for wrong in ([], ["stranger", "another-of-sixteen"], ["you", "pässword-of-sixteen"]):
            done = run(socket, *wrong)
            assert done.returncode == 1
            assert "AccessDenied" in done.stderr
