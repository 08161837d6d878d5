"""A topic's messages on devices: a daemon between boto3 and a server of HTTP/2 as Apple's."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import PATIENCE, Daemon
from tests.deliveries.push.http2_server import Http2Server, serving
from tests.deliveries.push.test_apns import PEM, TEAM
from tests.protocols.aws.clients import client as client_of
from tests.protocols.aws.test_mobile import HERE, attributes_of, endpoint, error

TOKEN = "abcdef0123456789"
NO_ENDPOINT = "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified"


def daemon_at(directory: Path, server: Http2Server) -> Daemon:
    return Daemon(directory, "--push-apns-url", server.url, "--push-timeout", "2", http="127.0.0.1:0")


def device(sns: Any) -> str:
    """A device of a new application; its ARN."""
    given = {"PlatformPrincipal": "KEY1234567", "PlatformCredential": PEM} | TEAM
    made = sns.create_platform_application(Name="app", Platform="APNS", Attributes=given)
    return endpoint(sns, made["PlatformApplicationArn"], TOKEN)


def subscribed(sns: Any, arn: str) -> str:
    """A topic that the device subscribes to."""
    topic = str(sns.create_topic(Name="news")["TopicArn"])
    made = sns.subscribe(TopicArn=topic, Protocol="application", Endpoint=arn)["SubscriptionArn"]
    assert made.startswith(topic + ":")  # nobody has to confirm it
    return topic


def publish(sns: Any, topic: str, **texts: str) -> None:
    sns.publish(TopicArn=topic, MessageStructure="json", Message=json.dumps({"default": "plain", **texts}))


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until this holds; the daemon is another process."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nothing tells of what the daemon does
            await asyncio.sleep(0)


async def test_a_message_reaches_the_device_in_the_words_for_its_platform(tmp_path: Path) -> None:
    async with serving() as server:
        with daemon_at(tmp_path, server) as daemon:
            sns = client_of("sns", daemon.endpoint)
            arn = device(sns)
            topic = subscribed(sns, arn)
            apple = {"aps": {"alert": "for Apple"}}
            publish(sns, topic, APNS=json.dumps(apple), GCM="for Google", APNS_SANDBOX="no")
            await until(lambda: server.asked)
            [asked] = server.asked
            assert asked.headers[":path"] == f"/3/device/{TOKEN}"
            assert json.loads(asked.body) == apple
            publish(sns, topic, GCM="for Google")
            await until(lambda: len(server.asked) == 2)
            assert json.loads(server.asked[1].body) == {"aps": {"alert": "plain"}}
            sns.close()
            daemon.stop()
            assert PEM.splitlines()[1] not in json.dumps(daemon.log)


async def test_a_token_that_apple_knows_no_more_is_disabled_for_good(tmp_path: Path) -> None:
    async with serving() as server:
        server.status, server.text = 410, b'{"reason": "Unregistered"}'
        with daemon_at(tmp_path, server) as daemon:
            sns = client_of("sns", daemon.endpoint)
            arn = device(sns)
            topic = subscribed(sns, arn)
            publish(sns, topic)
            await until(lambda: attributes_of(sns, arn)["Enabled"] == "false")
            sns.close()
            daemon.kill()
            daemon.start()
            sns = client_of("sns", daemon.endpoint)
            told = attributes_of(sns, arn)
            assert told == {"Enabled": "false", "Token": TOKEN}
            # A new token makes it reachable again.
            server.status, server.text = 200, b""
            attributes = {"Token": TOKEN + "00", "Enabled": "true"}
            sns.set_endpoint_attributes(EndpointArn=arn, Attributes=attributes)
            publish(sns, topic)
            await until(lambda: server.asked[-1].headers[":path"] == f"/3/device/{TOKEN}00")
            sns.close()


async def test_what_waits_for_a_device_survives_a_crash(tmp_path: Path) -> None:
    async with serving() as server:
        server.status = 503
        with daemon_at(tmp_path, server) as daemon:
            sns = client_of("sns", daemon.endpoint)
            arn = device(sns)
            topic = subscribed(sns, arn)
            publish(sns, topic)
            await until(lambda: server.asked)
            sns.close()
            daemon.kill()
            server.asked.clear()
            server.status = 200
            daemon.start()
            await until(lambda: server.asked)
            assert json.loads(server.asked[0].body) == {"aps": {"alert": "plain"}}


def test_an_endpoint_that_is_none_is_refused(tmp_path: Path) -> None:
    with Daemon(tmp_path, http="127.0.0.1:0") as daemon:
        sns = client_of("sns", daemon.endpoint)
        topic = sns.create_topic(Name="news")["TopicArn"]
        other = f"arn:aws:sns:us-east-1:111122223333:endpoint/GCM/a/{'0' * 8}-0000-0000-0000-{'0' * 12}"
        for wrong in ("device", other.replace("endpoint", "app"), other):
            asked = {"TopicArn": topic, "Protocol": "application", "Endpoint": wrong}
            assert error(sns.subscribe, **asked)[0] == "InvalidParameter"
        sns.close()


def push(sns: Any, arn: str, text: str, **given: Any) -> str:
    """Publish to the device itself; the message's id."""
    return str(sns.publish(TargetArn=arn, Message=text, **given)["MessageId"])


async def test_a_message_to_a_device_itself_is_sent_in_the_words_for_its_platform(tmp_path: Path) -> None:
    async with serving() as server:
        with daemon_at(tmp_path, server) as daemon:
            sns = client_of("sns", daemon.endpoint)
            arn = device(sns)
            apple = {"aps": {"alert": "for Apple"}}
            words = json.dumps({"default": "plain", "APNS": json.dumps(apple), "GCM": "for Google"})
            ttl = {"AWS.SNS.MOBILE.APNS.PRIORITY": {"DataType": "String", "StringValue": "5"}}
            first = push(sns, arn, words, MessageStructure="json", MessageAttributes=ttl)
            await until(lambda: server.asked)
            [asked] = server.asked
            assert asked.headers[":path"] == f"/3/device/{TOKEN}"
            assert asked.headers["apns-priority"] == "5"
            assert json.loads(asked.body) == apple
            assert push(sns, arn, "plain") != first
            await until(lambda: len(server.asked) == 2)
            assert json.loads(server.asked[1].body) == {"aps": {"alert": "plain"}}
            # A topic's ARN is a topic's, whatever the parameter is called.
            topic = subscribed(sns, arn)
            push(sns, topic, "by the topic")
            await until(lambda: len(server.asked) == 3)
            assert json.loads(server.asked[2].body) == {"aps": {"alert": "by the topic"}}
            sns.close()


async def test_what_was_published_to_a_device_is_sent_after_kill_9(tmp_path: Path) -> None:
    async with serving() as server:
        server.status = 503
        with daemon_at(tmp_path, server) as daemon:
            sns = client_of("sns", daemon.endpoint)
            arn = device(sns)
            push(sns, arn, "hello")
            await until(lambda: server.asked)
            sns.close()
            daemon.kill()
            server.asked.clear()
            server.status = 200
            daemon.start()
            await until(lambda: server.asked)
            assert json.loads(server.asked[0].body) == {"aps": {"alert": "hello"}}
            # The store is as it should be after a stop, and the queue from before is still the way out.
            daemon.stop()
            daemon.start()
            sns = client_of("sns", daemon.endpoint)
            push(sns, arn, "again")
            await until(lambda: len(server.asked) == 2)
            sns.delete_platform_application(PlatformApplicationArn=f"{HERE}:app/APNS/app")
            said = error(sns.publish, TargetArn=arn, Message="gone")
            assert said == ("InvalidParameter", NO_ENDPOINT, 400)
            sns.close()


async def test_a_message_to_a_token_that_apple_knows_no_more_disables_the_endpoint(tmp_path: Path) -> None:
    async with serving() as server:
        server.status, server.text = 410, b'{"reason": "Unregistered"}'
        with daemon_at(tmp_path, server) as daemon:
            sns = client_of("sns", daemon.endpoint)
            arn = device(sns)
            push(sns, arn, "hello")
            await until(lambda: attributes_of(sns, arn)["Enabled"] == "false")
            said = error(sns.publish, TargetArn=arn, Message="hello")
            assert said == ("EndpointDisabled", "Endpoint is disabled", 400)
            with pytest.raises(sns.exceptions.EndpointDisabledException):
                push(sns, arn, "hello")
            server.status, server.text = 200, b""
            sns.set_endpoint_attributes(EndpointArn=arn, Attributes={"Enabled": "true"})
            push(sns, arn, "back")
            await until(lambda: json.loads(server.asked[-1].body) == {"aps": {"alert": "back"}})
            sns.close()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"TargetArn": f"{HERE}:endpoint/APNS/app/{'0' * 8}-0000-0000-0000-{'0' * 12}"}, "No endpoint found"),
        ({"TargetArn": f"{HERE}:endpoint/APNS/app"}, "TargetArn Reason: "),
        ({"TargetArn": f"{HERE}:endpoint/APNS/app".replace("us-east-1", "eu-west-1")}, "TargetArn"),
        ({"Message": ""}, "Empty message"),
        ({"Message": "x" * 262_145}, "Message too long"),
        ({"Message": "{}", "MessageStructure": "json"}, "No default entry in JSON message body"),
        ({"Subject": "a\nb"}, "Subject"),
    ],
)
def test_what_is_no_message_to_a_device(sns_with_device: tuple[Any, str], given: Any, text: str) -> None:
    sns, arn = sns_with_device
    code, said, status = error(sns.publish, **({"TargetArn": arn, "Message": "x"} | given))
    assert (code, status) == ("InvalidParameter", 400)
    assert text in said


@pytest.fixture(scope="module")
def sns_with_device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    with Daemon(tmp_path_factory.mktemp("push"), http="127.0.0.1:0") as daemon:
        sns = client_of("sns", daemon.endpoint)
        yield sns, device(sns)
        sns.close()
