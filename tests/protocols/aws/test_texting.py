"""The actions of SNS on telephone numbers, by boto3, on the real daemon."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.daemon import PATIENCE, Daemon
from tests.deliveries.web_server import Server, serving
from tests.protocols.aws.clients import client as client_of

NUMBER = "+4930123456"
OTHER = "+4930123457"
INVALID = "InvalidParameter"
FORM = "Invalid parameter: PhoneNumber Reason: input incorrectly formatted"


@pytest.fixture
def sns(daemon: Daemon) -> Iterator[Any]:
    made = client_of("sns", daemon.endpoint)
    yield made
    made.close()


def error(call: Any, **given: Any) -> tuple[str, str, int]:
    """Code, text and status of what goes wrong."""
    with pytest.raises(ClientError) as raised:
        call(**given)
    said = raised.value.response
    return said["Error"]["Code"], said["Error"]["Message"], said["ResponseMetadata"]["HTTPStatusCode"]


def texts(daemon: Daemon) -> list[Any]:
    """The text messages in the outbox, in order of their times."""
    found = sorted((daemon.data_dir / "outbox").glob("*.sms.json"))
    return [json.loads(each.read_text()) for each in found]


async def until(found: Callable[[], Any]) -> Any:
    """What another process does, once it is done."""
    async with asyncio.timeout(PATIENCE):
        while not (said := found()):  # noqa: ASYNC110  # another process does it
            await asyncio.sleep(0.02)
    return said


@asynccontextmanager
async def beside(daemon: Daemon) -> AsyncIterator[Daemon]:
    """The daemon, while the loop goes on: a server in it answers to the end."""
    await asyncio.to_thread(daemon.__enter__)
    try:
        yield daemon
    finally:
        await asyncio.to_thread(daemon.__exit__, None, None, None)


# What is set


def test_attributes_are_set_told_and_taken_away(sns: Any) -> None:
    assert sns.get_sms_attributes()["attributes"] == {}
    given = {
        "MonthlySpendLimit": "20",
        "DeliveryStatusIAMRole": "arn:aws:iam::000000000000:role/r",
        "DeliveryStatusSuccessSamplingRate": "100",
        "DefaultSenderID": "Weather",
        "DefaultSMSType": "Transactional",
        "UsageReportS3Bucket": "bucket",
    }
    sns.set_sms_attributes(attributes=given)
    assert sns.get_sms_attributes()["attributes"] == given
    asked = ["DefaultSenderID", "MonthlySpendLimit"]
    assert sns.get_sms_attributes(attributes=asked)["attributes"] == {each: given[each] for each in asked}
    sns.set_sms_attributes(attributes=dict.fromkeys(given, "") | {"MonthlySpendLimit": "0"})
    assert sns.get_sms_attributes()["attributes"] == {"MonthlySpendLimit": "0"}
    sns.set_sms_attributes(attributes={"MonthlySpendLimit": ""})
    assert sns.get_sms_attributes()["attributes"] == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MonthlySpendLimit", "-1"),
        ("MonthlySpendLimit", "many"),
        ("MonthlySpendLimit", "1" * 10),
        ("DeliveryStatusSuccessSamplingRate", "101"),
        ("DeliveryStatusSuccessSamplingRate", "1.5"),
        ("DefaultSenderID", "12345"),
        ("DefaultSenderID", "TwelveLetter"),
        ("DefaultSenderID", "no space"),
        ("DefaultSMSType", "promotional"),
        ("UsageReportS3Bucket", "x" * 2049),
        ("NoSuch", "x"),
    ],
)
def test_what_cannot_be_set(sns: Any, name: str, value: str) -> None:
    code, text, status = error(sns.set_sms_attributes, attributes={name: value, "DefaultSMSType": "x"})
    assert (code, status) == (INVALID, 400)
    assert text.startswith("Invalid parameter: ")
    assert sns.get_sms_attributes()["attributes"] == {}


def test_what_is_no_attribute_cannot_be_asked_for(sns: Any) -> None:
    said = error(sns.get_sms_attributes, attributes=["NoSuch"])
    assert said == (INVALID, "Invalid parameter: Attributes Reason: NoSuch is no SMS attribute", 400)


def test_accounts_and_regions_are_apart(daemon: Daemon, sns: Any) -> None:
    sns.set_sms_attributes(attributes={"DefaultSenderID": "Home"})
    for other in (
        client_of("sns", daemon.endpoint, region="eu-west-1"),
        client_of("sns", daemon.endpoint, key="111122223333"),
    ):
        assert other.get_sms_attributes()["attributes"] == {}
        other.close()
    sns.set_sms_attributes(attributes={"DefaultSenderID": ""})


# Numbers


@pytest.mark.parametrize(
    "number", ["4930123456", "+0930123456", "+12345", "+49 30 123456", "x", "+4930123456\n"]
)
def test_what_is_no_number_is_told_to_every_action(sns: Any, number: str) -> None:
    for call in (sns.check_if_phone_number_is_opted_out, sns.opt_in_phone_number):
        assert error(call, phoneNumber=number) == (INVALID, FORM, 400)
    for call, more in (
        (sns.create_sms_sandbox_phone_number, {}),
        (sns.verify_sms_sandbox_phone_number, {"OneTimePassword": "123456"}),
        (sns.delete_sms_sandbox_phone_number, {}),
    ):
        assert error(call, PhoneNumber=number, **more) == (INVALID, FORM, 400)
    code, text, status = error(sns.publish, PhoneNumber=number, Message="x")
    assert (code, status) == (INVALID, 400)
    assert text.startswith("Invalid parameter: PhoneNumber Reason: ")
    assert text.endswith(" is not valid to publish to")


def test_nobody_has_opted_out(sns: Any) -> None:
    assert sns.check_if_phone_number_is_opted_out(phoneNumber=NUMBER)["isOptedOut"] is False
    assert sns.list_phone_numbers_opted_out()["phoneNumbers"] == []
    sns.opt_in_phone_number(phoneNumber=NUMBER)
    assert error(sns.list_phone_numbers_opted_out, nextToken="nonsense")[0] == INVALID


def test_the_settings_opt_numbers_out_in_pages_of_a_hundred(tmp_path: Path) -> None:
    numbers = [f"+49301234{number:03}" for number in range(150)]
    config = tmp_path / "ropeway.toml"
    config.write_text(f"[sms]\nopted_out = {json.dumps(numbers[::-1])}\n")
    with Daemon(tmp_path, "--config", str(config), http="127.0.0.1:0") as daemon:
        sns = client_of("sns", daemon.endpoint)
        first = sns.list_phone_numbers_opted_out()
        rest = sns.list_phone_numbers_opted_out(nextToken=first["nextToken"])
        assert (first["phoneNumbers"], rest["phoneNumbers"]) == (numbers[:100], numbers[100:])
        assert "nextToken" not in rest
        assert sns.check_if_phone_number_is_opted_out(phoneNumber=numbers[7])["isOptedOut"] is True
        code, text, _ = error(sns.opt_in_phone_number, phoneNumber=numbers[7])
        assert (code, "settings" in text) == (INVALID, True)
        said = error(sns.publish, PhoneNumber=numbers[7], Message="x")
        assert said == (INVALID, "Invalid parameter: Cannot publish to opted out phone number", 400)
        said = error(sns.create_sms_sandbox_phone_number, PhoneNumber=numbers[7])
        assert (said[0], said[2]) == ("OptedOut", 400)
        sns.close()


def test_messages_are_from_no_number_of_ours(sns: Any) -> None:
    assert sns.list_origination_numbers(MaxResults=30)["PhoneNumbers"] == []
    said = error(sns.list_origination_numbers, MaxResults=31)
    assert said == (INVALID, "Invalid parameter: MaxResults Reason: it is 1 to 30", 400)
    assert error(sns.list_origination_numbers, NextToken="x")[0] == INVALID


# The sandbox


async def test_a_number_of_the_sandbox_is_verified_by_what_it_is_sent(daemon: Daemon, sns: Any) -> None:
    assert sns.get_sms_sandbox_account_status()["IsInSandbox"] is False
    sns.create_sms_sandbox_phone_number(PhoneNumber=OTHER, LanguageCode="de-DE")
    listed = sns.list_sms_sandbox_phone_numbers()
    assert listed["PhoneNumbers"] == [{"PhoneNumber": OTHER, "Status": "Pending"}]
    assert "NextToken" not in listed
    [sent] = await until(lambda: [each for each in texts(daemon) if each["to"] == OTHER])
    found = re.fullmatch(r"Ihr Bestätigungscode ist ([0-9]{6})\.", sent["text"])
    assert found is not None
    wrong = f"{(int(found[1]) + 1) % 10**6:06}"
    said = error(sns.verify_sms_sandbox_phone_number, PhoneNumber=OTHER, OneTimePassword=wrong)
    assert (said[0], said[2]) == ("VerificationException", 400)
    sns.verify_sms_sandbox_phone_number(PhoneNumber=OTHER, OneTimePassword=found[1])
    listed = sns.list_sms_sandbox_phone_numbers()["PhoneNumbers"]
    assert listed == [{"PhoneNumber": OTHER, "Status": "Verified"}]
    sns.delete_sms_sandbox_phone_number(PhoneNumber=OTHER)
    assert sns.list_sms_sandbox_phone_numbers()["PhoneNumbers"] == []


def test_a_number_that_is_not_in_the_sandbox(sns: Any) -> None:
    for call, more in (
        (sns.verify_sms_sandbox_phone_number, {"OneTimePassword": "123456"}),
        (sns.delete_sms_sandbox_phone_number, {}),
    ):
        code, text, status = error(call, PhoneNumber="+4930999999", **more)
        assert (code, status) == ("ResourceNotFound", 404)
        assert "+4930999999" in text


def test_what_is_no_password_and_no_language(sns: Any) -> None:
    given = {"PhoneNumber": NUMBER, "OneTimePassword": "letters"}
    said = error(sns.verify_sms_sandbox_phone_number, **given)
    assert said[0] == INVALID
    assert said[1].startswith("Invalid parameter: OneTimePassword Reason: ")
    said = error(sns.create_sms_sandbox_phone_number, PhoneNumber=NUMBER, LanguageCode="xx-XX")
    assert said[0] == INVALID
    assert said[1].startswith("Invalid parameter: LanguageCode Reason: ")


def test_the_sandbox_has_ten_numbers_and_comes_in_pages(sns: Any) -> None:
    numbers = [f"+493055500{number:02}" for number in range(10)]
    for number in numbers:
        sns.create_sms_sandbox_phone_number(PhoneNumber=number)
    code, text, status = error(sns.create_sms_sandbox_phone_number, PhoneNumber="+4930555999")
    assert (code, status) == ("UserError", 400)
    assert "10 numbers" in text
    sns.create_sms_sandbox_phone_number(PhoneNumber=numbers[0])  # it is there: it is sent another password
    pages = sns.get_paginator("list_sms_sandbox_phone_numbers").paginate(PaginationConfig={"PageSize": 4})
    found = [[each["PhoneNumber"] for each in page["PhoneNumbers"]] for page in pages]
    assert found == [numbers[:4], numbers[4:8], numbers[8:]]
    for number in numbers:
        sns.delete_sms_sandbox_phone_number(PhoneNumber=number)
    assert error(sns.list_sms_sandbox_phone_numbers, NextToken="x")[0] == INVALID


async def test_in_the_sandbox_only_verified_numbers_get_messages(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--sms-sandbox", "on", http="127.0.0.1:0") as daemon:
        sns = client_of("sns", daemon.endpoint)
        assert sns.get_sms_sandbox_account_status()["IsInSandbox"] is True
        code, text, _ = error(sns.publish, PhoneNumber=NUMBER, Message="x")
        assert code == INVALID
        assert text.endswith("the number is not verified")
        sns.create_sms_sandbox_phone_number(PhoneNumber=NUMBER)
        [sent] = await until(lambda: texts(daemon))
        sns.verify_sms_sandbox_phone_number(PhoneNumber=NUMBER, OneTimePassword=sent["text"][-7:-1])
        topic = sns.create_topic(Name="news")["TopicArn"]
        for number in (NUMBER, OTHER):
            sns.subscribe(TopicArn=topic, Protocol="sms", Endpoint=number)
        sns.publish(TopicArn=topic, Message="to all")
        sns.publish(PhoneNumber=NUMBER, Message="to one")
        found = await until(lambda: len(said := texts(daemon)) == 3 and said)
        daemon.wait_for(lambda: [e for e in daemon.events("delivery") if e["outcome"] == "refused"])
        assert {(each["to"], each["text"]) for each in found[1:]} == {(NUMBER, "to all"), (NUMBER, "to one")}
        sns.close()


# Messages


async def test_a_message_to_a_number_is_sent_as_its_attributes_say(daemon: Daemon, sns: Any) -> None:
    sns.set_sms_attributes(attributes={"DefaultSenderID": "Weather", "DefaultSMSType": "Transactional"})
    plain = sns.publish(PhoneNumber="+4930200001", Message="It rains.")["MessageId"]
    body = json.dumps({"default": "for all", "sms": "for phones"})
    attributes = {
        "AWS.SNS.SMS.SenderID": {"DataType": "String", "StringValue": "News"},
        "AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Promotional"},
    }
    sns.publish(
        PhoneNumber="+4930200002", Message=body, MessageStructure="json", MessageAttributes=attributes
    )

    def sent() -> Any:
        found = {each["to"]: each for each in texts(daemon) if each["to"].startswith("+49302")}
        return len(found) == 2 and found

    found = await until(sent)
    assert found["+4930200001"] == {
        "id": plain,
        "to": "+4930200001",
        "sender": "Weather",
        "type": "Transactional",
        "text": "It rains.",
    }
    told = found["+4930200002"]
    assert (told["text"], told["sender"], told["type"]) == ("for phones", "News", "Promotional")
    sns.set_sms_attributes(attributes={"DefaultSenderID": "", "DefaultSMSType": ""})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"Message": ""}, "Empty message"),
        ({"Message": "x" * 1601}, "Message too long"),
        ({"Message": "x" * 300_000}, "Message too long"),
        ({"Message": "{}", "MessageStructure": "json"}, "No default entry in JSON message body"),
        ({"Message": "x", "TopicArn": "arn:aws:sns:us-east-1:000000000000:news"}, "only one of"),
        ({"Message": "x", "MessageAttributes": {"n": {"DataType": "Odd", "StringValue": "x"}}}, "invalid"),
        *(
            ({"Message": "x", "MessageAttributes": {name: {"DataType": kind, "StringValue": value}}}, said)
            for name, kind, value, said in (
                ("AWS.SNS.SMS.SenderID", "String", "no sender", "the sender"),
                ("AWS.SNS.SMS.SMSType", "String", "Urgent", "the type"),
                ("AWS.SNS.SMS.MaxPrice", "String", "dear", "the maximum price"),
            )
        ),
    ],
)
def test_what_is_no_message_to_a_number(sns: Any, given: Any, text: str) -> None:
    code, said, status = error(sns.publish, PhoneNumber=NUMBER, **given)
    assert (code, status) == (INVALID, 400)
    assert text in said


async def test_what_was_accepted_is_sent_after_kill_9_and_so_is_the_rest_kept(tmp_path: Path) -> None:
    async with serving() as server:
        server.answers(503)
        flags = ("--sms-gateway", f"{server.url}/send", "--sms-form", "form", "--sms-template", "{to} {text}")
        async with beside(Daemon(tmp_path, *flags, http="127.0.0.1:0")) as daemon:
            await asyncio.to_thread(before, daemon)
            await until(lambda: len(server.asked) == 2)
            daemon.kill()
            server.answers(200)
            await asyncio.to_thread(daemon.start)
            await until(lambda: {"hello", "code"} <= {word(each) for each in server.asked[2:]})
            sns = client_of("sns", daemon.endpoint)
            assert sns.get_sms_attributes()["attributes"] == {"DefaultSenderID": "Weather"}
            [listed] = sns.list_sms_sandbox_phone_numbers()["PhoneNumbers"]
            assert listed == {"PhoneNumber": OTHER, "Status": "Pending"}
            sns.close()


def before(daemon: Daemon) -> None:
    """What is asked of the daemon before it is killed."""
    sns = client_of("sns", daemon.endpoint)
    sns.set_sms_attributes(attributes={"DefaultSenderID": "Weather"})
    sns.publish(PhoneNumber=NUMBER, Message="hello")
    sns.create_sms_sandbox_phone_number(PhoneNumber=OTHER)
    sns.close()


def word(asked: Any) -> str:
    """What a message to the gateway is about."""
    return "code" if b"verification" in asked.body else "hello" if b"hello" in asked.body else ""


async def test_a_gateway_s_word_puts_a_number_on_the_list_for_good(tmp_path: Path) -> None:
    async with serving() as server:
        server.answers(400, '{"message": "The recipient has Opted Out."}')
        made = Daemon(tmp_path, "--sms-gateway", f"{server.url}/send", http="127.0.0.1:0")
        async with beside(made) as daemon:
            sns = client_of("sns", daemon.endpoint)
            await asyncio.to_thread(lambda: sns.publish(PhoneNumber=NUMBER, Message="hello"))

            def listed() -> Any:
                return sns.list_phone_numbers_opted_out()["phoneNumbers"]

            async with asyncio.timeout(PATIENCE):
                while not await asyncio.to_thread(listed):  # noqa: ASYNC110  # another process does it
                    await asyncio.sleep(0.02)
            daemon.kill()
            await asyncio.to_thread(daemon.start)
            sns.close()
            await asyncio.to_thread(after_the_word, daemon, server)
            await until(lambda: server.asked[-1].body.count(b"again"))


def after_the_word(daemon: Daemon, server: Server) -> None:
    """The number is opted out, until it opts in."""
    sns = client_of("sns", daemon.endpoint)
    assert sns.list_phone_numbers_opted_out()["phoneNumbers"] == [NUMBER]
    assert sns.check_if_phone_number_is_opted_out(phoneNumber=NUMBER)["isOptedOut"] is True
    assert error(sns.publish, PhoneNumber=NUMBER, Message="x")[0] == INVALID
    asked = len(server.asked)
    topic = sns.create_topic(Name="news")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sms", Endpoint=NUMBER)
    refused = len(daemon.events("delivery"))
    sns.publish(TopicArn=topic, Message="x")
    daemon.wait_for(lambda: len(daemon.events("delivery")) > refused)
    assert len(server.asked) == asked
    sns.opt_in_phone_number(phoneNumber=NUMBER)
    assert sns.check_if_phone_number_is_opted_out(phoneNumber=NUMBER)["isOptedOut"] is False
    sns.publish(PhoneNumber=NUMBER, Message="again")
    sns.close()


async def test_the_limit_that_an_account_sets_is_its_own(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--sms-price", "0.6", "--log-level", "debug", http="127.0.0.1:0") as daemon:
        sns = client_of("sns", daemon.endpoint)
        sns.set_sms_attributes(attributes={"MonthlySpendLimit": "1"})
        other = client_of("sns", daemon.endpoint, key="111122223333")
        for client in (sns, sns, other, other):
            client.publish(PhoneNumber=NUMBER, Message="x")
        daemon.wait_for(lambda: len(daemon.events("delivery")) == 4)
        outcomes = sorted(each["outcome"] for each in daemon.events("delivery"))
        assert outcomes == ["delivered", "delivered", "delivered", "refused"]
        sns.close()
        other.close()
