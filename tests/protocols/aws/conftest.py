from collections.abc import Iterator
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.protocols.aws.clients import sqs
from tests.protocols.aws.raw import Http


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One for a whole module: each test has queues of its own."""
    with Daemon(tmp_path_factory.mktemp("daemon"), http="127.0.0.1:0") as running:
        yield running


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Any]:
    """boto3's, as a program makes it that was written for AWS."""
    made = sqs(daemon.endpoint)
    yield made
    made.close()


@pytest.fixture
def http(daemon: Daemon) -> Iterator[Http]:
    """A connection that says what the test writes."""
    with Http(daemon.endpoint) as connection:
        yield connection
