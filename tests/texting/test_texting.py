"""What is kept of telephone numbers, decided in virtual time, and through crashes."""

import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues.settings import QueueLimits
from ropewayd.store.memory import Fate
from ropewayd.texting import actions as a
from ropewayd.texting import verification
from ropewayd.texting.records import TEXTING
from ropewayd.texting.settings import TextingLimits
from ropewayd.vocabulary.errors import (
    NotFound,
    OptedOut,
    OverLimit,
    RopewayError,
    ServiceUnavailable,
    UnsupportedOperation,
    VerificationException,
)
from ropewayd.vocabulary.names import Scope
from tests.house import BODY, HANDLE, House, settle

NUMBERS = [f"+4930123{number:03}" for number in range(6)]
NUMBER, OTHER = NUMBERS[:2]
ACCOUNTS = ["111122223333", "444455556666"]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    built = House(texting_limits=TextingLimits(max_opted_out=3, max_sandbox_numbers=2, max_accounts=2))
    await built.start()
    yield built
    await built.kernel.stop()


async def waiting(house: House, account: str | None = None) -> list[Any]:
    """What waits to be sent to numbers, taken."""
    scope = Scope() if account is None else Scope(account)
    queues = [called for its, called in house.texting.lines() if its == scope]
    found = []
    for called in queues:
        while more := await house.receive(10, called):
            for message in more:
                found.append(json.loads(message[BODY]))
                await house.delete(message[HANDLE], queue=called)
    return found


async def password(house: House) -> str:
    """The one-time password that was sent last."""
    text: str = (await waiting(house))[-1]["Message"]
    return text.removeprefix("Your verification code is ").removesuffix(".")


async def test_the_right_password_verifies_once_and_in_time(house: House) -> None:
    assert await house.call(a.CreateSandboxPhoneNumber(number=NUMBER)) == {}
    first = await password(house)
    await house.wait(verification.WITHIN + 1)
    late = await house.fail(a.VerifySandboxPhoneNumber(number=NUMBER, password=first))
    assert isinstance(late, VerificationException)
    await house.call(a.CreateSandboxPhoneNumber(number=NUMBER))
    second = await password(house)
    await house.wait(verification.WITHIN)
    assert await house.call(a.VerifySandboxPhoneNumber(number=NUMBER, password=second)) == {}
    listed = await house.call(a.ListSandboxPhoneNumbers())
    assert listed == {"numbers": [{"number": NUMBER, "verified": True}], "next": None}
    await house.call(a.CreateSandboxPhoneNumber(number=NUMBER))
    assert await waiting(house) == []  # it is verified: there is nothing to send


async def test_a_password_cannot_be_guessed(house: House) -> None:
    await house.call(a.CreateSandboxPhoneNumber(number=NUMBER))
    right = await password(house)
    for _ in range(verification.MAX_WRONG):
        await house.fail(a.VerifySandboxPhoneNumber(number=NUMBER, password="00000000"))
        await house.restart()  # nor does a crash give more tries
    said = await house.fail(a.VerifySandboxPhoneNumber(number=NUMBER, password=right))
    assert isinstance(said, VerificationException)
    await house.call(a.CreateSandboxPhoneNumber(number=NUMBER))
    assert await house.call(a.VerifySandboxPhoneNumber(number=NUMBER, password=await password(house))) == {}


async def test_there_is_a_limit_on_everything(house: House) -> None:
    for number in NUMBERS[:3]:
        assert await house.call(a.OptOutPhoneNumber(number=number)) == {}
    assert await house.call(a.OptOutPhoneNumber(number=NUMBERS[0])) == {}
    assert isinstance(await house.fail(a.OptOutPhoneNumber(number=NUMBERS[3])), OverLimit)
    for number in NUMBERS[3:5]:
        assert await house.call(a.CreateSandboxPhoneNumber(number=number)) == {}
    assert isinstance(await house.fail(a.CreateSandboxPhoneNumber(number=NUMBERS[5])), OverLimit)
    given = {"default_sender_id": "Weather"}
    assert await house.call(a.SetSmsAttributes(attributes=given, account=ACCOUNTS[0])) == {}
    for action in (
        a.SetSmsAttributes(attributes=given, account=ACCOUNTS[1]),
        a.OptOutPhoneNumber(number=NUMBER, account=ACCOUNTS[1]),
        a.CreateSandboxPhoneNumber(number=NUMBER, account=ACCOUNTS[1]),
        a.PublishText(number=NUMBER, body="x", account=ACCOUNTS[1]),
    ):
        assert isinstance(await house.fail(action), OverLimit)
    # Who has nothing any more counts no more.
    gone = {"default_sender_id": ""}
    assert await house.call(a.SetSmsAttributes(attributes=gone, account=ACCOUNTS[0])) == {}
    assert await house.call(a.SetSmsAttributes(attributes=given, account=ACCOUNTS[1])) == {}


async def test_who_opted_out_gets_none_until_they_opt_in(house: House) -> None:
    await house.call(a.OptOutPhoneNumber(number=NUMBER))
    assert isinstance(await house.fail(a.PublishText(number=NUMBER, body="x")), OptedOut)
    assert isinstance(await house.fail(a.CreateSandboxPhoneNumber(number=NUMBER)), OptedOut)
    assert (await house.call(a.PublishText(number=OTHER, body="y")))["id"]
    await house.call(a.OptInPhoneNumber(number=NUMBER))
    await house.call(a.PublishText(number=NUMBER, body="z"))
    assert [(each["PhoneNumber"], each["Message"]) for each in await waiting(house)] == [
        (OTHER, "y"),
        (NUMBER, "z"),
    ]


async def test_lists_hold_what_the_settings_and_the_account_say_in_order() -> None:
    always = frozenset((NUMBERS[1], NUMBERS[4]))
    house = House(texting_limits=TextingLimits(opted_out=always))
    await house.start()
    for number in (NUMBERS[5], NUMBERS[0], NUMBERS[3]):
        await house.call(a.OptOutPhoneNumber(number=number))
    found, after = [], None
    for limit in (1, 2, 1, 5):
        said = await house.call(a.ListPhoneNumbersOptedOut(limit=limit, after=after))
        found.append(said["numbers"])
        after = said["next"]
    assert found == [[NUMBERS[0]], [NUMBERS[1], NUMBERS[3]], [NUMBERS[4]], [NUMBERS[5]]]
    assert after is None
    assert isinstance(await house.fail(a.OptInPhoneNumber(number=NUMBERS[1])), UnsupportedOperation)
    await house.kernel.stop()


async def test_a_message_that_is_not_durable_is_nowhere(house: House) -> None:
    await house.call(a.PublishText(number=NUMBER, body="kept"))
    house.faults.fates = [Fate.CRASH_BEFORE]
    lost = house.submit(a.PublishText(number=NUMBER, body="lost"))
    await settle()
    assert not lost.answered or isinstance(await lost.answer, RopewayError)
    await house.restart()
    assert [each["Message"] for each in await waiting(house)] == ["kept"]


async def test_where_no_more_messages_may_wait_it_is_said() -> None:
    house = House(limits=QueueLimits(max_queue_messages=1))
    await house.start()
    assert (await house.call(a.PublishText(number=NUMBER, body="first")))["id"]
    said = await house.fail(a.PublishText(number=NUMBER, body="second"))
    assert isinstance(said, ServiceUnavailable)
    assert [each["Message"] for each in await waiting(house)] == ["first"]
    await house.kernel.stop()


async def step(
    house: House, dice: random.Random, number: int, out: set[tuple[str, str]], sent: list[str]
) -> None:
    """Something happens, to the house and to what must be: who has opted out, and what is to be sent."""
    account, its = dice.choice(ACCOUNTS), dice.choice(NUMBERS)
    given: Any = {"account": account, "number": its}
    match dice.choice(["set", "out", "in", "create", "verify", "delete", "publish"]):
        case "set":
            value = dice.choice(["", "", str(number)])
            await house.call(a.SetSmsAttributes(account=account, attributes={"monthly_spend_limit": value}))
        case "out":
            if not isinstance(await house.call(a.OptOutPhoneNumber(**given)), RopewayError):
                out.add((account, its))
        case "in":
            await house.call(a.OptInPhoneNumber(**given))
            out.discard((account, its))
        case "create":
            await house.call(a.CreateSandboxPhoneNumber(**given))
        case "verify":
            await house.call(a.VerifySandboxPhoneNumber(**given, password="000000"))
        case "delete":
            said = await house.call(a.DeleteSandboxPhoneNumber(**given))
            assert said == {} or isinstance(said, NotFound)
        case "publish":
            said = await house.call(a.PublishText(**given, body=f"message {number}"))
            assert isinstance(said, OptedOut) == ((account, its) in out)
            if not isinstance(said, OptedOut):
                sent.append(f"message {number}")


async def crash(house: House) -> None:
    """The state is the same after it."""
    before = house.texting.snapshot()
    await house.restart()
    assert house.texting.snapshot() == before


@pytest.mark.parametrize("seed", [2, 3, 5, 7])
async def test_crashes_change_nothing(seed: int) -> None:
    dice = random.Random(seed)
    settings = KernelSettings(
        tail_bytes=dice.choice([1000, 4000, 1 << 20]),
        slice_bytes=dice.choice([100, 1000]),
        idle_spill_after=dice.choice([50, 1000]),
    )
    house = House(settings, texting_limits=TextingLimits(max_opted_out=4, max_sandbox_numbers=4))
    await house.start()
    out: set[tuple[str, str]] = set()
    sent: list[str] = []
    for number in range(250):
        await step(house, dice, number, out, sent)
        if dice.random() < 0.1:
            await house.wait(dice.choice([60, 2000]))
        if dice.random() < 0.1:
            await crash(house)
    await house.wait(60_000)
    assert house.disk.records[TEXTING]
    await crash(house)
    found = [each["Message"] for account in ACCOUNTS for each in await waiting(house, account)]
    assert sorted(each for each in found if each.startswith("message")) == sorted(sent)
    for account in ACCOUNTS:
        listed = (await house.call(a.ListPhoneNumbersOptedOut(account=account)))["numbers"]
        assert listed == sorted(number for whose, number in out if whose == account)
    await house.kernel.stop()
