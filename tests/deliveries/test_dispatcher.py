"""Push subscriptions, from a publish to who gets it: the real daemon, boto3, and a server that listens."""

import asyncio
import base64
import functools
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from aiohttp import ClientSession, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from ropeway import connect
from ropewayd.deliveries.delivery import DELIVERED, REFUSED, RETRY, Answer
from ropewayd.deliveries.dispatcher import Dispatcher, Lane
from ropewayd.deliveries.settings import DispatchLimits
from ropewayd.queues import actions as q
from ropewayd.topics.topic import Meter
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import NotFound, OverLimit, ServiceUnavailable
from tests.daemon import PATIENCE, Daemon
from tests.deliveries.making import delivery

AT_ONCE = json.dumps({"healthyRetryPolicy": {"numRetries": 2, "numNoDelayRetries": 2}})


class Hook:
    """A subscriber: it keeps what it gets, and confirms. `answer` says with which status."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.got: list[tuple[dict[str, str], str]] = []
        self.answer: Callable[[str], int] = lambda text: 200
        self.hang = asyncio.Event()
        self._hung: list[asyncio.BaseTransport | None] = []
        self._news = asyncio.Condition()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.raw.append(await request.read())
        text = self.raw[-1].decode(errors="replace")
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append(({**headers, ":path": request.path}, text))
        async with self._news:
            self._news.notify_all()
        if request.path == "/hangs" and request.headers["x-amz-sns-message-type"] == "Notification":
            self._hung.append(request.transport)
            await self.hang.wait()
        return web.Response(status=self.answer(text))

    def hanging(self) -> list[asyncio.BaseTransport]:
        """Connections of those that wait for an answer still."""
        return [each for each in self._hung if each is not None and not _ended(each)]

    async def until(self, enough: Callable[[], bool]) -> None:
        async with self._news, asyncio.timeout(PATIENCE):
            await self._news.wait_for(enough)

    def of(self, kind: str) -> list[str]:
        return [text for headers, text in self.got if headers["x-amz-sns-message-type"] == kind]


def _ended(connection: asyncio.BaseTransport) -> bool:
    """Whether it is closed on the other side: the system knows before this process's loop has been told."""
    if connection.is_closing():
        return True
    with socket.socket(fileno=os.dup(connection.get_extra_info("socket").fileno())) as same:
        try:
            return not same.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    made = Hook()
    app = web.Application()
    app.router.add_post("/{any}", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    made.hang.set()
    await runner.cleanup()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, "--subscribers-timeout", "2", http="127.0.0.1:0") as made:
        yield made


def client(daemon: Daemon, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=daemon.endpoint,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )


async def call(method: Any, **given: Any) -> Any:
    return await asyncio.to_thread(lambda: method(**given))


async def subscribe(sns: Any, hook: Hook, topic: str, path: str = "hook", **attributes: str) -> str:
    """A web hook that has confirmed; gives its ARN."""
    before = len(hook.of("SubscriptionConfirmation"))
    told = await call(
        sns.subscribe,
        TopicArn=topic,
        Protocol="http",
        Endpoint=f"{hook.url}/{path}",
        Attributes=attributes,
        ReturnSubscriptionArn=True,
    )
    await hook.until(lambda: len(hook.of("SubscriptionConfirmation")) > before)
    asked = json.loads(hook.of("SubscriptionConfirmation")[-1])
    async with ClientSession() as session, session.get(asked["SubscribeURL"]) as response:
        assert response.status == 200
        assert told["SubscriptionArn"] in await response.text()
    return str(told["SubscriptionArn"])


async def settled(check: Callable[[], Any]) -> Any:
    """What `check` gives, once that is something."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await asyncio.to_thread(check)):  # noqa: ASYNC110  # another process does it
            await asyncio.sleep(0.02)
    return found


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_web_hook_confirms_and_gets_what_is_published_signed(
    daemon: Daemon, hook: Hook, version: str
) -> None:
    sns = client(daemon, "sns")
    made = await call(sns.create_topic, Name="news", Attributes={"SignatureVersion": version})
    topic = made["TopicArn"]
    told = await call(sns.subscribe, TopicArn=topic, Protocol="http", Endpoint=f"{hook.url}/hook")
    assert told["SubscriptionArn"] == "pending confirmation"
    await call(sns.publish, TopicArn=topic, Message="too soon")
    listed = await call(sns.list_subscriptions_by_topic, TopicArn=topic)
    assert [each["SubscriptionArn"] for each in listed["Subscriptions"]] == ["PendingConfirmation"]
    arn = await subscribe(sns, hook, topic)
    attributes = (await call(sns.get_subscription_attributes, SubscriptionArn=arn))["Attributes"]
    assert attributes["PendingConfirmation"] == "false"
    assert attributes["ConfirmationWasAuthenticated"] == "false"
    said = {"k": {"DataType": "String", "StringValue": "v"}}
    await call(sns.publish, TopicArn=topic, Message="hello", Subject="s", MessageAttributes=said)
    await hook.until(lambda: bool(hook.of("Notification")))
    [(headers, text)] = [each for each in hook.got if each[0]["x-amz-sns-message-type"] == "Notification"]
    message = json.loads(text)
    assert (message["Message"], message["Subject"], message["TopicArn"]) == ("hello", "s", topic)
    assert message["MessageAttributes"] == {"k": {"Type": "String", "Value": "v"}}
    assert headers["x-amz-sns-topic-arn"] == topic
    assert headers["x-amz-sns-subscription-arn"] == arn
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    async with ClientSession() as session, session.get(message["SigningCertURL"]) as response:
        key: Any = x509.load_pem_x509_certificate(await response.read()).public_key()
    names = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    signed = "".join(f"{name}\n{message[name]}\n" for name in names).encode()
    algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
    key.verify(base64.b64decode(message["Signature"]), signed, padding.PKCS1v15(), algorithm)
    async with ClientSession() as session, session.get(message["UnsubscribeURL"]) as response:
        assert response.status == 200
    assert not (await call(sns.list_subscriptions_by_topic, TopicArn=topic))["Subscriptions"]


async def test_who_unsubscribes_is_told_so_and_can_have_the_subscription_again(
    daemon: Daemon, hook: Hook
) -> None:
    sns = client(daemon, "sns")
    topic = (await call(sns.create_topic, Name="news"))["TopicArn"]
    arn = await subscribe(sns, hook, topic, RawMessageDelivery="true")
    hook.answer = lambda text: 503
    await call(sns.unsubscribe, SubscriptionArn=arn)
    await hook.until(lambda: bool(hook.of("UnsubscribeConfirmation")))
    assert not (await call(sns.list_subscriptions_by_topic, TopicArn=topic))["Subscriptions"]
    # It is not forgotten by a daemon that is killed.
    await asyncio.to_thread(daemon.kill)
    hook.got.clear()
    hook.answer = lambda text: 200
    await asyncio.to_thread(daemon.start)
    await hook.until(lambda: bool(hook.of("UnsubscribeConfirmation")))
    sns = client(daemon, "sns")
    told = json.loads(hook.of("UnsubscribeConfirmation")[-1])
    assert (told["Type"], told["TopicArn"]) == ("UnsubscribeConfirmation", topic)
    assert arn in told["Message"]
    assert f"&Token={told['Token']}" in told["SubscribeURL"]
    async with ClientSession() as session, session.get(told["SigningCertURL"]) as response:
        key: Any = x509.load_pem_x509_certificate(await response.read()).public_key()
    names = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    signed = "".join(f"{name}\n{told[name]}\n" for name in names).encode()
    key.verify(base64.b64decode(told["Signature"]), signed, padding.PKCS1v15(), hashes.SHA1())
    await call(sns.publish, TopicArn=topic, Message="not for it")
    # Its host is another by now: the port is a free one at each start.
    again = f"{daemon.endpoint}/?{told['SubscribeURL'].partition('?')[2]}"
    for _ in range(2):
        async with ClientSession() as session, session.get(again) as response:
            assert response.status == 200
    [listed] = (await call(sns.list_subscriptions_by_topic, TopicArn=topic))["Subscriptions"]
    assert listed["SubscriptionArn"].startswith(topic + ":")
    assert listed["Endpoint"] == f"{hook.url}/hook"
    await call(sns.publish, TopicArn=topic, Message="hello")
    await hook.until(lambda: bool(hook.of("Notification")))
    assert hook.of("Notification") == ["hello"]


async def test_what_fails_is_tried_again_and_then_a_dead_letter(daemon: Daemon, hook: Hook) -> None:
    sns, sqs = client(daemon, "sns"), client(daemon, "sqs")
    topic = (await call(sns.create_topic, Name="news"))["TopicArn"]
    letters = (await call(sqs.create_queue, QueueName="lost"))["QueueUrl"]
    redrive = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:lost"})
    arn = await subscribe(sns, hook, topic, DeliveryPolicy=AT_ONCE, RedrivePolicy=redrive)
    answers = iter([503, 200, 500, 500, 500, 404])
    hook.answer = lambda text: next(answers)
    for body, wanted in {"second time": 2, "never": 5, "refused": 6}.items():
        await call(sns.publish, TopicArn=topic, Message=body)
        await hook.until(functools.partial(lambda n: len(hook.of("Notification")) == n, wanted))
    found: list[str] = []

    def all_letters() -> bool:
        got = sqs.receive_message(QueueUrl=letters, MaxNumberOfMessages=10).get("Messages", [])
        found.extend(json.loads(each["Body"])["Message"] for each in got)
        return len(found) == 2

    await settled(all_letters)
    assert sorted(found) == ["never", "refused"]
    assert [json.loads(each)["Message"] for each in hook.of("Notification")] == [
        *(["second time"] * 2),
        *(["never"] * 3),
        "refused",
    ]
    attempts = [(e["attempt"], e["outcome"], e["code"]) for e in daemon.events("delivery")]
    assert (1, "refused", 404) in attempts
    assert (3, "retry", 500) in attempts
    assert (await call(sns.get_subscription_attributes, SubscriptionArn=arn))["Attributes"]


async def test_raw_and_a_message_for_each_protocol(daemon: Daemon, hook: Hook, tmp_path: Path) -> None:
    sns = client(daemon, "sns")
    topic = (await call(sns.create_topic, Name="news"))["TopicArn"]
    await subscribe(sns, hook, topic, RawMessageDelivery="true")
    said = json.dumps({"default": "for all", "http": "for the web", "email": "for people"})
    await call(sns.publish, TopicArn=topic, Message=said, MessageStructure="json")
    await hook.until(lambda: bool(hook.of("Notification")))
    assert hook.of("Notification") == ["for the web"]
    assert hook.got[-1][0]["x-amz-sns-rawdelivery"] == "true"


async def test_a_mailbox_confirms_by_its_letter(daemon: Daemon) -> None:
    sns = client(daemon, "sns")
    topic = (await call(sns.create_topic, Name="news"))["TopicArn"]
    await call(sns.subscribe, TopicArn=topic, Protocol="email", Endpoint="me@example.org")
    outbox = daemon.data_dir / "outbox"
    [letter] = await settled(lambda: list(outbox.glob("*.eml")))
    text = letter.read_text().replace("=\n", "").replace("=3D", "=")
    token = text.partition("Token=")[2][:80].split()[0]
    await call(sns.confirm_subscription, TopicArn=topic, Token=token)
    await call(sns.publish, TopicArn=topic, Subject="Weather", Message="It rains.")
    letters = await settled(lambda: len(found := list(outbox.glob("*.eml"))) == 2 and found)
    assert any("It rains." in each.read_text() for each in letters)


async def test_a_hook_that_hangs_slows_nobody(daemon: Daemon, hook: Hook) -> None:
    sns = client(daemon, "sns")
    topic = (await call(sns.create_topic, Name="news"))["TopicArn"]
    await subscribe(sns, hook, topic, "hangs", RawMessageDelivery="true")
    await subscribe(sns, hook, topic, "quick", RawMessageDelivery="true")
    many = [f"{n}" for n in range(30)]
    for body in many:
        await call(sns.publish, TopicArn=topic, Message=body)

    def quick() -> list[str]:
        return [text for headers, text in hook.got if headers[":path"] == "/quick" and text in many]

    # Those that hang would take much longer, with all that one subscriber may have under way.
    await hook.until(lambda: set(quick()) == set(many))
    assert sum(headers[":path"] == "/hangs" for headers, _ in hook.got) < len(many)


@pytest.mark.proof
async def test_many_that_hang_leave_turns_to_the_others(tmp_path: Path, hook: Hook) -> None:
    """They are more than there are turns. All that began before they were in doubt is over when it is looked
    at."""
    turns, hanging, answering = 20, 40, 20
    limits = ("--subscribers-timeout", "1", "--topics-deliveries", str(turns))
    async with AsyncExitStack() as stack:
        daemon = stack.enter_context(Daemon(tmp_path, *limits, http="127.0.0.1:0"))
        broker = await stack.enter_async_context(connect(daemon.url))
        topic = await broker.create_topic("news")
        for n in range(hanging + answering):
            place = "hangs" if n < hanging else "answers"
            await topic.subscribe(f"{hook.url}/{place}?{n}", raw=True)
        await hook.until(lambda: len(hook.of("SubscriptionConfirmation")) == hanging + answering)
        for asked in hook.of("SubscriptionConfirmation"):
            await broker.confirm_subscription(json.loads(asked)["Token"])
        await topic.publish_many([f"first {n}" for n in range(5)])

        def late() -> int:
            said = list(daemon.events("delivery"))
            retried = [each for each in said if each["outcome"] == "retry"]
            return len({(each["subscription"], each["message"]) for each in retried})

        await settled(lambda: late() == 5 * hanging)
        held: list[int] = []

        def answer(text: str) -> int:
            held.append(len(hook.hanging()))
            return 200

        hook.answer = answer
        before = len(hook.got)
        await topic.publish_many([f"then {n}" for n in range(40)])

        def came() -> int:
            return sum(
                headers[":path"] == "/answers" and "then" in text for headers, text in hook.got[before:]
            )

        await hook.until(lambda: came() == answering * 40)
        assert max(held) <= turns // 2
        hook.hang.set()


async def test_what_is_under_way_at_a_stop_is_sent_again_at_once(tmp_path: Path, hook: Hook) -> None:
    """Not when its visibility timeout is over, which is far beyond this test's patience."""
    with Daemon(tmp_path, "--subscribers-timeout", "300", http="127.0.0.1:0") as daemon:
        sns = client(daemon, "sns")
        topic = (await call(sns.create_topic, Name="news"))["TopicArn"]
        await subscribe(sns, hook, topic, "hangs", RawMessageDelivery="true")
        await call(sns.publish, TopicArn=topic, Message="hello")
        await hook.until(lambda: hook.of("Notification") == ["hello"])
        await asyncio.to_thread(daemon.stop)
        hook.hang.set()
        await asyncio.to_thread(daemon.start)
        await hook.until(lambda: hook.of("Notification") == ["hello"] * 2)


async def test_nothing_is_lost_when_the_daemon_dies(daemon: Daemon, hook: Hook) -> None:
    sns = client(daemon, "sns")
    topic = (await call(sns.create_topic, Name="news"))["TopicArn"]
    await subscribe(sns, hook, topic, RawMessageDelivery="true", DeliveryPolicy=AT_ONCE)
    many = [f"{n}" for n in range(40)]
    for at in range(0, len(many), 10):
        entries = [{"Id": body, "Message": body} for body in many[at : at + 10]]
        await call(sns.publish_batch, TopicArn=topic, PublishBatchRequestEntries=entries)
    await hook.until(lambda: len(hook.of("Notification")) >= 5)
    await asyncio.to_thread(daemon.kill)
    await asyncio.to_thread(daemon.start)
    await hook.until(lambda: set(hook.of("Notification")) == set(many))


@pytest.mark.parametrize(
    ("said", "done", "counted"),
    [
        (b"an id", q.DeleteMessage, (1, 0)),
        (NotFound("There is no such queue."), q.DeleteMessage, (0, 1)),
        (OverLimit("It is full."), q.ChangeMessageVisibility, (0, 0)),
        (ServiceUnavailable("The disk is full."), q.ChangeMessageVisibility, (0, 0)),
    ],
)
async def test_a_dead_letter_waits_for_room(
    said: object, done: type[Action], counted: tuple[int, int]
) -> None:
    asked: list[Action] = []

    def submit(action: Action, reply: Any) -> None:
        asked.append(action)
        reply.deliver(reply.prepare([said] if isinstance(action, q.SendMessage) else [None]))

    dispatcher: Any = Dispatcher(SimpleNamespace(submit=submit), None, {}, DispatchLimits(longest={}))  # type: ignore[arg-type]
    subscription = SimpleNamespace(letters="lost", meter=Meter())
    refused = Answer(REFUSED, 404, "", 1)
    made = delivery("http", "http://127.0.0.1/")
    await dispatcher._settle(SimpleNamespace(queue="h"), None, subscription, b"handle", made, refused)
    assert [type(each) for each in asked] == [q.SendMessage, done]
    assert (subscription.meter.dead_lettered, subscription.meter.failed) == counted


async def test_a_message_that_waits_for_its_turn_stays_the_dispatchers() -> None:
    """However long it waits: else it would come again, and its attempts be used up without one."""
    renewed, sent = asyncio.Semaphore(0), asyncio.Event()
    done: list[type[Action]] = []

    def submit(action: Action, reply: Any) -> None:
        if isinstance(action, q.ReceiveMessage):
            return
        done.append(type(action))
        renewed.release()
        reply.deliver(reply.prepare([None]))

    class Sending:
        async def send(self, delivery: Any) -> Answer:
            sent.set()
            return Answer(DELIVERED, 200, "", 1)

    limits = DispatchLimits(longest={"email": 0.05}, deliveries=1)
    dispatcher: Any = Dispatcher(SimpleNamespace(submit=submit), None, {"email": Sending()}, limits)  # type: ignore[arg-type, dict-item]
    await dispatcher._turns.acquire()
    made = delivery("email", "ann@example.org")
    lane = Lane(dispatcher, "", "hidden", 0.05, lambda message: made)
    loop = asyncio.get_running_loop()
    delivering = loop.create_task(dispatcher._deliver(lane, [None, b"handle"], loop.time() + 0.1))
    for _ in range(3):
        await renewed.acquire()
    assert not sent.is_set()
    dispatcher._turns.release()
    await delivering
    assert sent.is_set()
    assert set(done[:-1]) == {q.ChangeMessageVisibility}
    assert done[-1] is q.DeleteMessage


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        (Answer(DELIVERED, 200, "", 20_000), True),
        (Answer(RETRY, 503, "", 20_000), True),
        (Answer(RETRY, None, "refused", 5), True),
        (Answer(RETRY, None, "it took too long", 999), False),  # of the second that it may take
        (Answer(RETRY, None, "it took too long", 20_000), False),
    ],
)
async def test_who_was_silent_for_long_is_in_doubt(said: Answer, answers: bool) -> None:
    def submit(action: Action, reply: Any) -> None:
        if not isinstance(action, q.ReceiveMessage):
            reply.deliver(reply.prepare([None]))

    async def send(delivery: Any) -> Answer:
        return said

    limits = DispatchLimits(longest={"email": 30})
    senders = {"email": SimpleNamespace(send=send)}
    dispatcher: Any = Dispatcher(SimpleNamespace(submit=submit), None, senders, limits)  # type: ignore[arg-type]
    lane = Lane(dispatcher, "", "hidden", 30, lambda message: delivery("email", "ann@example.org"))
    lane.answers = not answers
    await dispatcher._deliver(lane, [None, b"handle"], asyncio.get_running_loop().time() + 60)
    assert lane.answers is answers


async def test_bytes_arrive_raw_as_bytes(daemon: Daemon, hook: Hook) -> None:
    sns = client(daemon, "sns")
    topic = (await call(sns.create_topic, Name="news"))["TopicArn"]
    await subscribe(sns, hook, topic, RawMessageDelivery="true")
    async with connect(daemon.url) as broker:
        await broker.topic("news").publish("ü and no more".encode("latin-1"))
        await hook.until(lambda: len(hook.raw) == 2)
    assert hook.raw[-1] == "ü and no more".encode("latin-1")


@pytest.mark.parametrize(
    ("protocol", "endpoint"),
    [
        ("http", "https://example.org/"),
        ("https", "https:///path"),
        ("http", "http://a b/"),
        ("email", "nobody"),
        ("email", "a@b\r\nBcc: c@d"),
        ("sms", "030123456"),
        ("lambda", "arn:aws:lambda:us-east-1:1:function:f"),
        ("firehose", "arn:aws:sqs:us-east-1:000000000000:q"),
    ],
)
async def test_an_endpoint_must_match_its_protocol(daemon: Daemon, protocol: str, endpoint: str) -> None:
    sns = client(daemon, "sns")
    topic = (await call(sns.create_topic, Name="news"))["TopicArn"]
    with pytest.raises(sns.exceptions.InvalidParameterException, match="must match the specified protocol"):
        await call(sns.subscribe, TopicArn=topic, Protocol=protocol, Endpoint=endpoint)


@pytest.mark.proof
async def test_one_of_a_hundred_that_hangs_slows_nobody(tmp_path: Path, hook: Hook) -> None:
    with Daemon(tmp_path, "--subscribers-timeout", "60", http="127.0.0.1:0") as daemon:
        sns = client(daemon, "sns")
        topic = (await call(sns.create_topic, Name="news"))["TopicArn"]
        for path in ["hangs", *(f"hook{number}" for number in range(99))]:
            await subscribe(sns, hook, topic, path)
        for number in range(20):
            await call(sns.publish, TopicArn=topic, Message=f"{number}")

        def paths() -> list[str]:
            return [
                headers[":path"]
                for headers, _ in hook.got
                if headers["x-amz-sns-message-type"] == "Notification"
            ]

        await hook.until(lambda: sum(path != "/hangs" for path in paths()) >= 99 * 20)
        # Its share is under way, for the first time, and nothing of it has been answered.
        assert paths().count("/hangs") == DispatchLimits(longest={}).share
