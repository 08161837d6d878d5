"""SIGHUP has the daemon read its access keys again: what is gone opens nothing, and what stays goes on."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import ropeway
import ropeway.sync
from tests.daemon import Daemon

ONE, TWO = "a-secret-of-sixteen", "another-of-sixteen"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.touch(mode=0o600)
    path.write_text(f'one = "{ONE}"\nstays = "{ONE}"\n')
    return path


@pytest.fixture
def daemon(tmp_path: Path, file: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, "--keys-file", str(file), http="127.0.0.1:0") as running:
        yield running


def reload(daemon: Daemon, said: str) -> None:
    before = len(daemon.events(said))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(lambda: len(daemon.events(said)) > before)


def sqs(daemon: Daemon, key: str, secret: str) -> Any:
    return boto3.client(
        "sqs",
        endpoint_url=daemon.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}),
    )


def test_keys_come_and_go_while_the_daemon_serves(daemon: Daemon, file: Path) -> None:
    with (
        ropeway.sync.connect(daemon.url, key="stays", secret=ONE) as staying,
        ropeway.sync.connect(daemon.url, key="one", secret=ONE) as leaving,
    ):
        jobs = staying.create_queue("jobs")
        assert leaving.queue("jobs").send("x")
        assert sqs(daemon, "one", ONE).list_queues()["QueueUrls"]

        file.write_text(f'two = "{TWO}"\nstays = "{ONE}"\n')
        reload(daemon, "keys")

        assert jobs.send("y")
        assert sqs(daemon, "two", TWO).list_queues()["QueueUrls"]
        with pytest.raises(ClientError, match="InvalidClientTokenId"):
            sqs(daemon, "one", ONE).list_queues()
        with pytest.raises(ropeway.RopewayError):
            leaving.queue("jobs").send("z")  # its connection was closed, and a new one is not let in
        assert jobs.attributes()["visible"] == 2


def test_a_file_that_cannot_be_read_changes_nothing(daemon: Daemon, file: Path) -> None:
    for wrong in ("one", f'off = {{ secret = "{ONE}", disabled = true }}\n', ""):
        file.write_text(wrong)
        reload(daemon, "the keys could not be read again; those from before stay")
        assert sqs(daemon, "one", ONE).list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert ONE not in str(daemon.log)
