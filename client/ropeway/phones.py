"""Telephone numbers, as seen from here: what an account sets for text messages, who gets none, its sandbox,
and messages to a number. It holds no state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from ropeway.errors import ProtocolError
from ropeway.message import Attributes, MessageId, typed
from ropeway.paging import every, page
from ropeway.queue import read_message_id
from ropeway.wire import Action

if TYPE_CHECKING:
    from ropeway.broker import Broker

Language = Literal[
    "en-US",
    "en-GB",
    "es-419",
    "es-ES",
    "de-DE",
    "fr-CA",
    "fr-FR",
    "it-IT",
    "ja-JP",
    "pt-BR",
    "kr-KR",
    "zh-CN",
    "zh-TW",
]
"""In which a one-time password is told."""


class SmsSettings(TypedDict, total=False):
    """What an account can set for its text messages. An empty text takes one away."""

    monthly_spend_limit: str
    """What they may cost in a month of UTC, a whole number."""
    delivery_status_iam_role: str
    """Kept and told."""
    delivery_status_success_sampling_rate: str
    """0 to 100: of how many text messages of topics that arrived `Topic.deliveries` tells, in percent."""
    default_sender_id: str
    """Whom they are from that do not say it: 1 to 11 letters and digits, with a letter."""
    default_sms_type: Literal["Promotional", "Transactional", ""]
    """What they are that do not say it; "Promotional"."""
    usage_report_s3_bucket: str
    """Kept and told."""


class Phones:
    """Made by `Broker.phones`. A number is written as E.164 has it, as "+4930123456".

    Every call raises InvalidParameterValue for what is no number, DeadlineExceeded where no answer came in
    time, and BrokerClosed after the broker was closed.
    """

    __slots__ = ("account", "broker", "region")

    def __init__(self, broker: Broker, account: str | None, region: str | None) -> None:
        self.broker = broker
        self.account = account
        self.region = region

    async def send(
        self,
        number: str,
        body: str,
        *,
        attributes: Attributes | None = None,
        structure: Literal["json"] | None = None,
    ) -> MessageId:
        """Send a text message of up to 1,600 characters; its id is returned when it is on disk. It is sent
        from there, and tried again for hours. The attributes `AWS.SNS.SMS.SenderID`, `AWS.SNS.SMS.SMSType`
        and `AWS.SNS.SMS.MaxPrice` say whom it is from, what it is, and what it may cost.

        Raises OptedOut; UnsupportedOperation in the sandbox, for a number that is not verified.
        """
        given = {name: typed(name, value) for name, value in attributes.items()} if attributes else None
        match await self._call(
            Action.PublishText, number=number, body=body, attributes=given, structure=structure
        ):
            case {"id": bytes(raw)}:
                return read_message_id(raw)
        raise ProtocolError("the daemon's answer to PublishText has the wrong shape")

    # What is set

    async def attributes(self) -> dict[str, Any]:
        """The settings that are set, and `sandbox` (whether messages go to verified numbers alone)."""
        found = await self._call(Action.GetSmsAttributes)
        if not isinstance(found, dict):
            raise ProtocolError("the daemon's answer to GetSmsAttributes has the wrong shape")
        return found

    async def set(self, **settings: Unpack[SmsSettings]) -> None:
        """Change settings; those not named stay. Raises InvalidAttributeName, InvalidAttributeValue."""
        await self._call(Action.SetSmsAttributes, attributes=dict(settings))

    # Who gets none

    async def is_opted_out(self, number: str) -> bool:
        """Whether a number gets no text messages."""
        match await self._call(Action.CheckIfPhoneNumberIsOptedOut, number=number):
            case {"opted_out": bool(said)}:
                return said
        raise ProtocolError("the daemon's answer to CheckIfPhoneNumberIsOptedOut has the wrong shape")

    async def opted_out(self) -> AsyncIterator[str]:
        """The numbers that get none, fetched in pages as needed."""
        async for each in every(self.page_opted_out):
            yield each

    async def page_opted_out(
        self, after: str | None = None, limit: int | None = None
    ) -> tuple[list[str], str | None]:
        """Up to `limit` (1 to 1,000) of them after `after`, and the number to go on after, if any."""
        given = self._given(after=after, limit=limit)
        found, following = await page(self.broker.link, Action.ListPhoneNumbersOptedOut, "numbers", given)
        return [str(each) for each in found], following

    async def opt_in(self, number: str) -> None:
        """A number gets text messages again. Raises UnsupportedOperation where the daemon's settings name
        it."""
        await self._call(Action.OptInPhoneNumber, number=number)

    # The sandbox

    async def add_to_sandbox(self, number: str, *, language: Language | None = None) -> None:
        """Put a number into the sandbox; it is sent a one-time password. Raises OptedOut, OverLimit."""
        await self._call(Action.CreateSandboxPhoneNumber, number=number, language=language)

    async def verify(self, number: str, password: str) -> None:
        """Verify a number of the sandbox by what it was sent. Raises NotFound, VerificationException."""
        await self._call(Action.VerifySandboxPhoneNumber, number=number, password=password)

    async def remove_from_sandbox(self, number: str) -> None:
        """Take a number out of the sandbox. Raises NotFound."""
        await self._call(Action.DeleteSandboxPhoneNumber, number=number)

    async def sandbox(self) -> AsyncIterator[tuple[str, bool]]:
        """The numbers of the sandbox, and whether each is verified, fetched in pages as needed."""
        async for each in every(self.page_sandbox):
            yield each

    async def page_sandbox(
        self, after: str | None = None, limit: int | None = None
    ) -> tuple[list[tuple[str, bool]], str | None]:
        """Up to `limit` (1 to 1,000) of them after the number `after`, and the one to go on after, if any."""
        given = self._given(after=after, limit=limit)
        found, following = await page(self.broker.link, Action.ListSandboxPhoneNumbers, "numbers", given)
        return [(str(each["number"]), bool(each["verified"])) for each in found], following

    def _given(self, **params: object) -> dict[str, object]:
        every_one = {"account": self.account, "region": self.region, **params}
        return {name: value for name, value in every_one.items() if value is not None}

    async def _call(self, action: Action, **params: object) -> object:
        return await self.broker.link.call(action, self._given(**params))
