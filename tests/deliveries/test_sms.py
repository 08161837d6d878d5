"""The protocol sms: to a gateway, into the outbox, and the limits on it."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ropewayd.deliveries.delivery import DELIVERED, REFUSED, RETRY
from ropewayd.deliveries.outbox import Outbox, OutboxLimits
from ropewayd.deliveries.sms import Gateway, Sms, SmsRules
from ropewayd.deliveries.spending import Spending
from ropewayd.deliveries.template import Template
from ropewayd.deliveries.web import Web
from ropewayd.texting.phones import Phones
from ropewayd.texting.settings import TextingLimits
from ropewayd.vocabulary.names import Scope
from tests.deliveries.making import ID, delivery
from tests.deliveries.web_server import Server

NUMBER = "+4930123456"
SENT = delivery("sms", NUMBER)
Make = Callable[..., Sms]


@pytest.fixture
async def make(server: Server, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes an Sms by a gateway, with rules as they are given; its spending is kept in one file."""
    made: list[Sms] = []
    template = Template("form", "To={to}&From={sender}&Body={text}")

    def sms(month: str = "2026-11", phones: Phones | None = None, **rules: Any) -> Sms:
        gateway = Gateway(f"{server.url}/send", template, {"Authorization": "Bearer s3cret"}, Web(5, 2))
        spending = Spending(tmp_path / "spent.json", lambda: month)
        made.append(Sms(gateway, SmsRules(**rules), phones or Phones(), spending))
        return made[-1]

    yield sms
    for each in made:
        await each.close()


async def test_a_gateway_gets_what_the_template_says(server: Server, make: Make) -> None:
    server.answers(201, "queued")
    answer = await make(sender="Weather").send(SENT)
    assert (answer.outcome, answer.code, answer.excerpt) == (DELIVERED, 201, "queued")
    [asked] = server.asked
    assert (asked.path, asked.body) == ("/send", b"To=%2B4930123456&From=Weather&Body=It%20rains.")
    assert asked.headers["authorization"] == "Bearer s3cret"
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(("status", "outcome"), [(400, REFUSED), (429, RETRY), (503, RETRY)])
async def test_what_the_gateway_says_decides(server: Server, make: Make, status: int, outcome: str) -> None:
    server.answers(status, "no")
    assert (await make().send(SENT)).outcome == outcome


async def test_who_has_opted_out_and_who_is_no_number_gets_none(server: Server, make: Make) -> None:
    phones = Phones(TextingLimits(opted_out=frozenset((NUMBER,))))
    assert (await make(phones=phones).send(SENT)).outcome == REFUSED
    assert (await make().send(delivery("sms", "4930123456"))).outcome == REFUSED
    assert server.asked == []


async def test_the_months_limit_holds_also_after_a_restart(
    server: Server, make: Make, tmp_path: Path
) -> None:
    rules: dict[str, Any] = {"price": 0.4, "monthly_limit": 1.0}
    sms = make(**rules)
    outcomes = [each.outcome for each in await asyncio.gather(*(sms.send(SENT) for _ in range(5)))]
    assert sorted(outcomes) == [DELIVERED, DELIVERED, REFUSED, REFUSED, REFUSED]
    spent = {"month": "2026-11", "millionths": 800_000, "accounts": {}}
    assert json.loads((tmp_path / "spent.json").read_text()) == spent
    assert stat.S_IMODE((tmp_path / "spent.json").stat().st_mode) == 0o600
    assert (await make(**rules).send(SENT)).outcome == REFUSED
    assert (await make(month="2026-12", **rules).send(SENT)).outcome == DELIVERED
    assert len(server.asked) == 3


async def test_what_was_not_sent_is_not_spent(server: Server, make: Make) -> None:
    sms = make(price=0.4, monthly_limit=0.5)
    server.answers(503)
    for _ in range(3):
        assert (await sms.send(SENT)).outcome == RETRY
    server.answers(200)
    assert [(await sms.send(SENT)).outcome for _ in range(2)] == [DELIVERED, REFUSED]


async def test_a_message_is_not_dearer_than_it_may_be(server: Server, make: Make) -> None:
    told = {"AWS.SNS.SMS.MaxPrice": ("Number", "0.5")}
    sms = make(price=0.4)
    assert (await sms.send(delivery("sms", NUMBER, attributes=told))).outcome == DELIVERED
    assert (await sms.send(delivery("sms", NUMBER, attributes=told, body="x" * 161))).outcome == REFUSED


async def test_a_file_of_spending_that_cannot_be_read_stops_messages(
    server: Server, make: Make, tmp_path: Path
) -> None:
    (tmp_path / "spent.json").write_text("nonsense")
    assert (await make(price=0.4, monthly_limit=0.5).send(SENT)).outcome == RETRY
    assert server.asked == []


async def test_without_a_gateway_it_is_a_file_in_the_outbox(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox", ".sms.json", OutboxLimits())
    sms = Sms(outbox, SmsRules(sender="Weather"), Phones(), Spending(tmp_path / "spent.json"))
    assert (await sms.send(SENT)).outcome == DELIVERED
    [file] = (tmp_path / "outbox").iterdir()
    kept = json.loads(file.read_text())
    assert kept.pop("id").startswith(ID)
    assert kept == {"to": NUMBER, "sender": "Weather", "type": "Promotional", "text": "It rains."}
    await sms.close()


async def test_only_a_refusal_with_the_word_says_that_a_number_has_opted_out(
    server: Server, make: Make
) -> None:
    sms = make(opted_out_answers=("opted out",))
    for status, said, told in (
        (400, "The recipient has Opted Out.", True),
        (400, "no such number", False),
        (503, "opted out", False),
        (200, "opted out", False),
    ):
        server.answers(status, said)
        assert (await sms.send(SENT)).opted_out == told


async def test_an_account_s_own_limit_is_counted_for_itself(
    server: Server, make: Make, tmp_path: Path
) -> None:
    phones = Phones()
    phones.kept(Scope()).set({"monthly_spend_limit": "1"})
    other = msgspec.structs.replace(SENT, scope=Scope("111122223333"))
    sms = make(phones=phones, price=0.6)
    outcomes = [(await sms.send(each)).outcome for each in (SENT, SENT, other, other)]
    assert outcomes == [DELIVERED, REFUSED, DELIVERED, DELIVERED]
    again = make(phones=phones, price=0.6, monthly_limit=1.3)  # and all together have one too
    assert [(await again.send(each)).outcome for each in (SENT, other, other)] == [
        REFUSED,
        DELIVERED,
        REFUSED,
    ]


async def test_what_an_account_has_set_counts_where_a_message_says_nothing(
    server: Server, make: Make
) -> None:
    phones = Phones()
    phones.kept(Scope()).set({"default_sender_id": "News"})
    await make(phones=phones, sender="Weather").send(SENT)
    await make(sender="Weather").send(SENT)
    assert [b"From=News" in each.body for each in server.asked] == [True, False]
