"""README's blocks for people with a program at hand: each is run as it stands, at the test's own port."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import PATIENCE, Daemon

pytestmark = pytest.mark.proof  # it installs packages, and other people's programs take their time

REPOSITORY = Path(__file__).parents[3]
ENDPOINT = "127.0.0.1:4566"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, http="127.0.0.1:0") as running:
        yield running


def block(daemon: Daemon, title: str) -> str:
    """The block under this heading, with the test's port in it."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = text.partition(f"## Use it with {title}\n")[2].partition("\n## ")[0]
    [found] = re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)
    assert ENDPOINT in found
    return str(found).replace(ENDPOINT, daemon.endpoint.removeprefix("http://"))


def run(command: list[str], **environ: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        command, env=kept | environ, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_boto3(daemon: Daemon) -> None:
    assert run([sys.executable, "-c", block(daemon, "boto3")]) == "resize cat.jpg\n"


def test_the_aws_command_line(daemon: Daemon) -> None:
    aws = f'aws() {{ {shlex.quote(sys.executable)} -m awscli "$@"; }}\nset -e\n'
    assert '"Body": "resize cat.jpg"' in run(["sh", "-c", aws + block(daemon, "the aws command line")])


def test_celery(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(block(daemon, "Celery"))
    environ = {"PYTHONPATH": str(tmp_path)}
    run([sys.executable, "-c", "import app; app.resize.delay('cat.jpg')"], **environ)
    log = tmp_path / "log"
    with log.open("w") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "app", "worker", "--pool", "solo"],
            env=os.environ | environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + 2 * PATIENCE
        while "resized cat.jpg" not in log.read_text() and time.monotonic() < end:
            assert worker.poll() is None, log.read_text()
            time.sleep(0.05)
        assert "resized cat.jpg" in log.read_text()
    finally:
        worker.terminate()
        worker.wait(PATIENCE)


@pytest.mark.needs("node", "npm")
def test_javascript(daemon: Daemon, tmp_path: Path) -> None:
    run(
        ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(tmp_path), "@aws-sdk/client-sqs@^3.900"]
    )
    (tmp_path / "program.mjs").write_text(block(daemon, "JavaScript"))
    run(["node", str(tmp_path / "program.mjs")])
    [received] = re.findall(r"print\((sqs\.receive.*)\)\n", block(daemon, "boto3"))
    program = block(daemon, "boto3").partition("sqs.send_message")[0] + f"print({received})"
    assert run([sys.executable, "-c", program]) == "resize cat.jpg\n"
