"""Telephone numbers in the library, against a real daemon."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import ropeway
from tests.daemon import Daemon

NUMBER, OTHER = "+4930123456", "+4930123457"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    config = tmp_path / "ropeway.toml"
    config.write_text(f'[sms]\nopted_out = ["{OTHER}"]\n')
    with Daemon(tmp_path, "--config", str(config), "--log-level", "debug") as running:
        yield running


async def test_what_is_set_and_who_gets_none(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        phones = broker.phones()
        await phones.set(default_sender_id="Weather", monthly_spend_limit="5")
        told = {"default_sender_id": "Weather", "monthly_spend_limit": "5", "sandbox": False}
        assert await phones.attributes() == told
        assert await broker.phones(region="eu-1").attributes() == {"sandbox": False}
        assert [each async for each in phones.opted_out()] == [OTHER]
        assert (await phones.is_opted_out(NUMBER), await phones.is_opted_out(OTHER)) == (False, True)
        await phones.opt_in(NUMBER)
        with pytest.raises(ropeway.UnsupportedOperation):
            await phones.opt_in(OTHER)
        with pytest.raises(ropeway.OptedOut):
            await phones.send(OTHER, "hello")
        with pytest.raises(ropeway.InvalidParameterValue):
            await phones.send("30123456", "hello")
        with pytest.raises(ropeway.InvalidAttributeValue):
            await phones.set(default_sender_id="1")
        with pytest.raises(ropeway.NotFound):
            await phones.verify(NUMBER, "123456")


def test_a_message_and_the_sandbox_in_plain_code(daemon: Daemon) -> None:
    with ropeway.sync.connect(daemon.url) as broker:
        phones = broker.phones()
        id_ = phones.send(NUMBER, "hello", attributes={"AWS.SNS.SMS.SenderID": "News"})
        phones.add_to_sandbox(NUMBER)
        assert list(phones.sandbox()) == [(NUMBER, False)]
        daemon.wait_for(lambda: len(daemon.events("delivery")) == 2)
        found = [json.loads(each.read_text()) for each in (daemon.data_dir / "outbox").iterdir()]
        [hello] = [each for each in found if each["id"] == str(id_)]
        assert (hello["to"], hello["text"], hello["sender"]) == (NUMBER, "hello", "News")
        [code] = [each["text"] for each in found if each["id"] != str(id_)]
        with pytest.raises(ropeway.VerificationException):
            phones.verify(NUMBER, "00000000")
        phones.verify(NUMBER, code.removeprefix("Your verification code is ").removesuffix("."))
        assert list(phones.sandbox()) == [(NUMBER, True)]
        phones.remove_from_sandbox(NUMBER)
        assert list(phones.sandbox()) == []
