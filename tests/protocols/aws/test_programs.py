"""Programs that know nothing of Ropeway, each as a process of its own, against the daemon as one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.certificate import self_signed
from tests.daemon import PATIENCE, Daemon
from tests.protocols.aws.clients import client, sqs
from tests.protocols.aws.wheels import extended_client, old_boto3

pytestmark = pytest.mark.proof  # it installs packages, and other people's programs take their time

HERE = Path(__file__).parent


def needs_file(path: str) -> pytest.MarkDecorator:
    """A test that needs a library of Debian's, which not every machine has; on CI it must be there."""
    absent = not Path(path).exists() and os.environ.get("ROPEWAY_TEST_ALL") != "1"
    return pytest.mark.skipif(absent, reason=f"there is no {path}")


PACKAGES = (
    "@aws-sdk/client-sqs@^3.900",
    "@aws-sdk/client-sns@^3.900",
    "sqs-consumer@^14",
    "sns-validator@^0.3.5",
)


def environment(daemon: Daemon, **more: str) -> dict[str, str]:
    """As a user switches a program over: by variables alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ROPEWAY_"))}
    return kept | {
        "AWS_ENDPOINT_URL": daemon.endpoint,
        "AWS_ACCESS_KEY_ID": "anyone",
        "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }


def run(command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=180, check=False)


# The aws CLI


@pytest.fixture
def aws(daemon: Daemon) -> Callable[..., Any]:
    # Version 1 of the command line does not ask the variable for the endpoint of SQS.
    command = [sys.executable, "-m", "awscli", "--endpoint-url", daemon.endpoint]

    def aws(*arguments: str, code: int = 0) -> Any:
        done = run([*command, *arguments], environment(daemon))
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else done.stderr

    return aws


def test_the_aws_command_line(aws: Callable[..., Any]) -> None:
    assert aws("sts", "get-caller-identity")["Account"] == "000000000000"
    given = ["--attributes", "VisibilityTimeout=60"]
    url = aws("sqs", "create-queue", "--queue-name", "cli", *given)["QueueUrl"]
    given = ["--message-attributes", '{"a": {"DataType": "String", "StringValue": "v"}}']
    sent = aws("sqs", "send-message", "--queue-url", url, "--message-body", "hi", *given)
    given = ["--attribute-names", "All", "--message-attribute-names", "All"]
    [got] = aws("sqs", "receive-message", "--queue-url", url, *given)["Messages"]
    assert (got["Body"], got["MessageId"]) == ("hi", sent["MessageId"])
    assert got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    handle = ["--receipt-handle", got["ReceiptHandle"]]
    assert aws("sqs", "delete-message", "--queue-url", url, *handle) == ""
    assert url in aws("sqs", "list-queues")["QueueUrls"]
    said = aws("sqs", "get-queue-url", "--queue-name", "no-such", code=255)
    assert "AWS.SimpleQueueService.NonExistentQueue" in said


def test_the_aws_command_line_with_topics(aws: Callable[..., Any]) -> None:
    topic = aws("sns", "create-topic", "--name", "cli-news", "--tags", "Key=team,Value=a")["TopicArn"]
    queue = "arn:aws:sqs:us-east-1:000000000000:cli-reader"
    given = ["--attributes", '{"RawMessageDelivery": "true"}']
    asked = ["--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", queue]
    assert aws("sns", "subscribe", *asked, *given)["SubscriptionArn"].startswith(topic)
    assert aws("sns", "publish", "--topic-arn", topic, "--message", "hi")["MessageId"]


# boto3 of the days of the Query protocol


def test_boto3_of_2023_speaks_query(daemon: Daemon) -> None:
    environ = environment(daemon, PYTHONPATH=str(old_boto3()))
    done = run([sys.executable, str(HERE / "old_program.py"), daemon.endpoint], environ)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    url = f"{daemon.endpoint}/000000000000/old"
    assert said == {
        "botocore": "1.31.80",
        "protocol": "query",
        "found": [
            ["1 < 2 & ä\r\n", {"StringValue": "v", "DataType": "String"}],
            *[[f"body {n}", None] for n in range(3)],
        ],
        "code": "AWS.SimpleQueueService.NonExistentQueue",
        "tags": {"who": "me"},
        "timeout": "60",
        "left": "0",
        "listed": [url],
        "moved": [],
    }


# A program that says nothing of an endpoint


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"])
def test_one_variable_switches_a_program_over(daemon: Daemon, variable: str) -> None:
    environ = environment(daemon)
    del environ["AWS_ENDPOINT_URL"]
    environ[variable] = daemon.endpoint
    done = run([sys.executable, str(HERE / "plain_program.py")], environ)
    assert (done.stdout, done.returncode) == ("one order tea\n0\n", 0), done.stderr


# The extended client


def test_the_extended_client_s_pointers_and_handles_come_back(daemon: Daemon) -> None:
    environ = environment(daemon, PYTHONPATH=str(extended_client()))
    done = run([sys.executable, str(HERE / "extended_program.py")], environ)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "same": True,
        "stored": [3 << 20],
        "names": [[str(n) for n in range(9)]] * 2,
        "left": "0",
        "objects": 0,
    }


# PHP and Go, with what Debian has of AWS's SDKs

LEFT = {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0"}


@pytest.mark.needs("php")
@needs_file("/usr/share/php/AsyncAws/Sqs/autoload.php")
def test_php(daemon: Daemon) -> None:
    done = run(["php", str(HERE / "php" / "program.php"), daemon.endpoint, "php"], environment(daemon))
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == {
        "received": ["hello", "1 < 2 & ä"],
        "attribute": "v",
        "left": LEFT,
        "error": "AWS.SimpleQueueService.NonExistentQueue",
    }


@pytest.mark.needs("go")
@needs_file("/usr/share/gocode/src/github.com/aws/aws-sdk-go-v2")
def test_go(daemon: Daemon, tmp_path: Path) -> None:
    program = str(tmp_path / "program")
    environ = environment(daemon, GO111MODULE="off", GOPATH="/usr/share/gocode")
    built = run(["go", "build", "-o", program, str(HERE / "go" / "main.go")], environ)
    assert built.returncode == 0, built.stderr
    done = run([program, daemon.endpoint, "go"], environ)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "received": ["hello", "1 < 2 & ä"],
        "attribute": "v",
        "left": LEFT,
        "typed error": True,
    }


# Celery


@pytest.fixture
def celery(daemon: Daemon, tmp_path: Path) -> Callable[..., list[str]]:
    environ = environment(
        daemon,
        DONE=str(tmp_path / "done"),
        PYTHONPATH=str(HERE),
    )

    def celery(queue: str, broker: str, *tasks: str) -> list[str]:
        """What a worker did, in order, when it has done all of these tasks and was shut down."""
        environ["QUEUE"], environ["BROKER_URL"] = queue, broker
        done = tmp_path / "done"
        done.write_text("")
        sent = run([sys.executable, str(HERE / "celery_app.py"), *tasks], environ)
        assert sent.returncode == 0, sent.stderr
        log = (tmp_path / "worker.log").open("w")
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "-Q", queue, "--pool", "solo"],
            env=environ,
            cwd=tmp_path,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()
        try:
            end = time.monotonic() + 2 * PATIENCE
            while len(done.read_text().splitlines()) < len(tasks) and time.monotonic() < end:
                assert worker.poll() is None, (tmp_path / "worker.log").read_text()
                time.sleep(0.05)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(PATIENCE) == 0, (tmp_path / "worker.log").read_text()
        finally:
            worker.kill()
        return done.read_text().splitlines()

    return celery


def left(daemon: Daemon, queue: str) -> int:
    """Messages that a queue still holds."""
    client = sqs(daemon.endpoint)
    counts = client.get_queue_attributes(
        QueueUrl=f"/000000000000/{queue}",
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    client.close()
    return sum(map(int, counts.values()))


def test_a_celery_worker_does_tasks_retries_and_tasks_for_later(
    daemon: Daemon, celery: Callable[..., list[str]]
) -> None:
    broker = f"sqs://anyone:anything@{daemon.endpoint.removeprefix('http://')}//"
    done = celery("celery-standard", broker, "later", "plain", "plain", "retry")
    assert sorted(done) == ["later", "plain", "plain", "retry"]
    assert done[-1] != "plain"
    assert left(daemon, "celery-standard") == 0


def test_a_celery_worker_on_a_fifo_queue_that_one_variable_leads_here(
    daemon: Daemon, celery: Callable[..., list[str]]
) -> None:
    # An application that was written for AWS, switched over by AWS_ENDPOINT_URL alone.
    assert celery("celery.fifo", "sqs://", "one", "two", "three") == ["one", "two", "three"]
    assert left(daemon, "celery.fifo") == 0


# kombu's fan-out exchange, which is a topic


def test_a_fan_out_exchange_of_kombu_is_a_topic(daemon: Daemon) -> None:
    broker = f"sqs://anyone:anything@{daemon.endpoint.removeprefix('http://')}//"
    done = run([sys.executable, str(HERE / "fanout_program.py")], environment(daemon, BROKER_URL=broker))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: ["first", "second"] for name in ("news-one", "news-two")}
    with closing(client("sns", daemon.endpoint)) as sns:
        subscribed = sns.list_subscriptions_by_topic(TopicArn="arn:aws:sns:us-east-1:000000000000:news")
    assert len(subscribed["Subscriptions"]) == 2


# JavaScript


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which AWS's SDK for JavaScript, its validator and sqs-consumer are found."""
    place = tmp_path_factory.mktemp("node")
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(place), *PACKAGES]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    for program in ("program.mjs", "topics.mjs"):
        shutil.copy(HERE / "node" / program, place)
    return place


@pytest.mark.needs("node", "npm")
@pytest.mark.parametrize("constructed", [True, False], ids=["endpoint", "AWS_ENDPOINT_URL"])
def test_the_sdk_for_javascript_and_sqs_consumer(daemon: Daemon, node: Path, constructed: bool) -> None:
    # Without an endpoint in its constructor the SDK sends to the QueueUrl's own host.
    arguments = [f"js-{constructed}", *([daemon.endpoint] if constructed else [])]
    done = run(["node", str(node / "program.mjs"), *arguments], environment(daemon))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "received": ["hello"],
        "attributes": {"kind": {"DataType": "String", "StringValue": "v"}},
        "error": "QueueDoesNotExist",
        "consumed": [f"job {n}" for n in range(5)],
        "left": "0",
    }


@pytest.mark.needs("node", "npm", "openssl")
def test_topics_in_javascript_and_the_validator_of_what_they_send(tmp_path: Path, node: Path) -> None:
    # The validator takes certificates from https alone.
    certificate, key = self_signed(tmp_path, "IP:127.0.0.1")
    with Daemon(
        tmp_path, "--tls-certificate", str(certificate), "--tls-key", str(key), http="127.0.0.1:0"
    ) as daemon:
        endpoint = daemon.endpoint.replace("http://", "https://")
        environ = environment(daemon, AWS_ENDPOINT_URL=endpoint, NODE_EXTRA_CA_CERTS=str(certificate))
        done = run(["node", str(node / "topics.mjs")], environ)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "batch": [["good"], [["bad", "InvalidParameter"]]],
        "filtered": ["one", "two"],
        "tags": [{"Key": "team", "Value": "shop"}],
        "subscriptions": ["0", "1"],
        "steps": ["a", "b", "c"],
        "missing": "NotFoundException",
        "invalid": "InvalidParameterException",
        "pages": [100, 7],
        "hook": [
            ["SubscriptionConfirmation", "valid"],
            ["version 1", "1", "valid"],
            "The message signature is invalid.",
            ["version 2", "2", "valid"],
            "The message signature is invalid.",
        ],
    }
