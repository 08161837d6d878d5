"""The operations on telephone numbers: what an account sets for text messages, who gets none, its sandbox.

AWS writes the members of the older ones with a small letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec

from ropewayd.protocols.aws.call import Call, Operation
from ropewayd.texting import actions as a
from ropewayd.vocabulary.action import Action, convert
from ropewayd.vocabulary.errors import InvalidParameterValue

PAGE: Final = 100
ATTRIBUTES: Final[Mapping[str, str]] = {
    "MonthlySpendLimit": "monthly_spend_limit",
    "DeliveryStatusIAMRole": "delivery_status_iam_role",
    "DeliveryStatusSuccessSamplingRate": "delivery_status_success_sampling_rate",
    "DefaultSenderID": "default_sender_id",
    "DefaultSMSType": "default_sms_type",
    "UsageReportS3Bucket": "usage_report_s3_bucket",
}
"""What AWS calls them, and what the action does."""


def _asked(call: Call, **more: Any) -> dict[str, Any]:
    """What an action is asked: for the caller, and what else was given."""
    given = {name: value for name, value in more.items() if value is not None}
    return {"account": call.caller.account, "region": call.caller.region, **given}


def _known(name: str) -> str:
    found = ATTRIBUTES.get(name)
    if found is None:
        raise InvalidParameterValue(f"It is not known. Reason: {name[:80]} is no SMS attribute", "attributes")
    return found


class SetSMSAttributes(Operation, kw_only=True):
    """Set attributes of the caller's text messages."""

    attributes: dict[str, str] = msgspec.field(name="attributes")

    def action(self, call: Call) -> Action:
        given = {_known(name): value for name, value in self.attributes.items()}
        return convert(a.SetSmsAttributes, _asked(call, attributes=given))


class GetSMSAttributes(Operation, kw_only=True):
    """The attributes that are set, or those of these that are."""

    attributes: list[str] | None = msgspec.field(name="attributes", default=None)

    def action(self, call: Call) -> Action:
        for name in self.attributes or ():
            _known(name)
        return convert(a.GetSmsAttributes, _asked(call))

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        wanted = {name: _known(name) for name in self.attributes or ATTRIBUTES}
        return {"attributes": {name: answer[ours] for name, ours in wanted.items() if ours in answer}}


class CheckIfPhoneNumberIsOptedOut(Operation, kw_only=True):
    """Whether a number gets no text messages."""

    phone_number: str = msgspec.field(name="phoneNumber")

    def action(self, call: Call) -> Action:
        return convert(a.CheckIfPhoneNumberIsOptedOut, _asked(call, number=self.phone_number))

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"isOptedOut": answer["opted_out"]}


class ListPhoneNumbersOptedOut(Operation, kw_only=True):
    """The numbers that get none, in pages."""

    next_token: str | None = msgspec.field(name="nextToken", default=None)

    def action(self, call: Call) -> Action:
        return convert(a.ListPhoneNumbersOptedOut, _asked(call, limit=PAGE, after=self.next_token or None))

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        found: dict[str, Any] = {"phoneNumbers": answer["numbers"]}
        if answer["next"] is not None:
            found["nextToken"] = answer["next"]
        return found


class OptInPhoneNumber(Operation, kw_only=True):
    """A number gets text messages again."""

    phone_number: str = msgspec.field(name="phoneNumber")

    def action(self, call: Call) -> Action:
        return convert(a.OptInPhoneNumber, _asked(call, number=self.phone_number))


class ListOriginationNumbers(Operation, kw_only=True):
    """The numbers that messages can be from. Those are the gateway's, so there are none."""

    LONGEST: ClassVar[int] = 30

    next_token: str | None = None
    max_results: int | None = None

    def action(self, call: Call) -> None:
        _check_size(self.max_results, self.LONGEST)
        if self.next_token:
            raise InvalidParameterValue("It is no token. Reason: there is no further page", "NextToken")

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"PhoneNumbers": []}


class GetSMSSandboxAccountStatus(Operation):
    """Whether text messages go to verified numbers alone."""

    def action(self, call: Call) -> Action:
        return convert(a.GetSmsAttributes, _asked(call))

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"IsInSandbox": answer["sandbox"]}


class CreateSMSSandboxPhoneNumber(Operation, kw_only=True):
    """Put a number into the sandbox, which is sent a one-time password."""

    phone_number: str
    language_code: str | None = None

    def action(self, call: Call) -> Action:
        given = _asked(call, number=self.phone_number, language=self.language_code)
        return convert(a.CreateSandboxPhoneNumber, given)


class VerifySMSSandboxPhoneNumber(Operation, kw_only=True):
    """Verify a number by the password that it was sent."""

    phone_number: str
    one_time_password: str

    def action(self, call: Call) -> Action:
        given = _asked(call, number=self.phone_number, password=self.one_time_password)
        return convert(a.VerifySandboxPhoneNumber, given)


class DeleteSMSSandboxPhoneNumber(Operation, kw_only=True):
    """Take a number out of the sandbox."""

    phone_number: str

    def action(self, call: Call) -> Action:
        return convert(a.DeleteSandboxPhoneNumber, _asked(call, number=self.phone_number))


class ListSMSSandboxPhoneNumbers(Operation, kw_only=True):
    """The numbers of the sandbox, in pages."""

    next_token: str | None = None
    max_results: int | None = None

    def action(self, call: Call) -> Action:
        _check_size(self.max_results, PAGE)
        given = _asked(call, limit=self.max_results or PAGE, after=self.next_token or None)
        return convert(a.ListSandboxPhoneNumbers, given)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        listed = [
            {"PhoneNumber": each["number"], "Status": "Verified" if each["verified"] else "Pending"}
            for each in answer["numbers"]
        ]
        found: dict[str, Any] = {"PhoneNumbers": listed}
        if answer["next"] is not None:
            found["NextToken"] = answer["next"]
        return found


def _check_size(asked: int | None, most: int) -> None:
    if asked is not None and not 1 <= asked <= most:
        raise InvalidParameterValue(f"It is out of range. Reason: it is 1 to {most}", "MaxResults")
