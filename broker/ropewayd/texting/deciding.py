"""What is decided of telephone numbers. State is read, never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Any

from ropewayd.kernel.service import Decision, Outcome
from ropewayd.queues.fanning import Fanning
from ropewayd.queues.message import size_of
from ropewayd.topics.actions import PublishEntry
from ropewayd.topics.message_attributes import check_message_attributes
from ropewayd.topics.notification import bodies_of
from ropewayd.topics.publishing import DEFAULT_SIZE
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
    InvalidMessageContents,
    InvalidParameterValue,
    NotFound,
    OptedOut,
    OverLimit,
    RopewayError,
    UnsupportedOperation,
    VerificationException,
)
from ropewayd.vocabulary.names import page

from . import actions as a
from . import events as e
from . import verification
from .attributes import read
from .line import Line
from .phones import Phones
from .text import NoText, stated


class Deciding:
    """See the module. `entropy(n)` gives n unguessable bytes."""

    def __init__(self, phones: Phones, fanning: Fanning, entropy: Callable[[int], bytes]) -> None:
        self._phones = phones
        self._line = Line(phones, fanning, entropy)
        self._entropy = entropy

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {
            a.SetSmsAttributes: self.set_attributes,
            a.GetSmsAttributes: self.attributes,
            a.CheckIfPhoneNumberIsOptedOut: self.check,
            a.ListPhoneNumbersOptedOut: self.list_opted_out,
            a.OptInPhoneNumber: self.opt_in,
            a.OptOutPhoneNumber: self.opt_out,
            a.CreateSandboxPhoneNumber: self.create,
            a.VerifySandboxPhoneNumber: self.verify,
            a.DeleteSandboxPhoneNumber: self.delete,
            a.ListSandboxPhoneNumbers: self.list_sandbox,
            a.PublishText: self.publish,
        }

    # What is set

    def set_attributes(self, action: a.SetSmsAttributes, now: int) -> Outcome:
        scope = self._phones.scope(action)
        given = read(action.attributes)
        if isinstance(given, RopewayError):
            return given
        account = self._phones.accounts.get(scope)
        before = {} if account is None else account.attributes
        changed = {name: value for name, value in given.items() if before.get(name) != value}
        if not changed:
            return Decision({})
        return self._phones.refusal(scope) or Decision({}, (e.SmsAttributesSet(*scope, changed),))

    def attributes(self, action: a.GetSmsAttributes, now: int) -> Outcome:
        account = self._phones.accounts.get(self._phones.scope(action))
        told = {} if account is None else account.attributes
        return Decision({**told, "sandbox": self._phones.limits.sandbox})

    # Who wants no messages

    def check(self, action: a.CheckIfPhoneNumberIsOptedOut, now: int) -> Outcome:
        scope = self._phones.scope(action)
        return Decision({"opted_out": self._phones.is_opted_out(scope, action.number)})

    def list_opted_out(self, action: a.ListPhoneNumbersOptedOut, now: int) -> Outcome:
        scope = self._phones.scope(action)
        found, more = self._phones.numbers_opted_out(scope, action.after, action.limit)
        return Decision({"numbers": found, "next": more})

    def opt_in(self, action: a.OptInPhoneNumber, now: int) -> Outcome:
        scope = self._phones.scope(action)
        if action.number in self._phones.limits.opted_out:
            return UnsupportedOperation(
                "The number cannot be opted in. Reason: The settings of the daemon say that it is opted out",
                "number",
            )
        if not self._phones.is_opted_out(scope, action.number):
            return Decision({})
        return Decision({}, (e.OptOutChanged(*scope, action.number, 0),))

    def opt_out(self, action: a.OptOutPhoneNumber, now: int) -> Outcome:
        scope = self._phones.scope(action)
        if self._phones.is_opted_out(scope, action.number):
            return Decision({})
        account, most = self._phones.accounts.get(scope), self._phones.limits.max_opted_out
        if account is not None and len(account.opted_out) >= most:
            return OverLimit(f"{most} numbers are opted out, and that is the limit.", "number")
        return self._phones.refusal(scope) or Decision({}, (e.OptOutChanged(*scope, action.number, now),))

    # The sandbox

    def create(self, action: a.CreateSandboxPhoneNumber, now: int) -> Outcome:
        scope, number = self._phones.scope(action), action.number
        if self._phones.is_opted_out(scope, number):
            return _opted_out(number)
        account, most = self._phones.accounts.get(scope), self._phones.limits.max_sandbox_numbers
        there = None if account is None else account.sandbox.get(number)
        if there is not None and there.verified:
            return Decision({})
        if there is None and account is not None and len(account.sandbox) >= most:
            return OverLimit(f"The sandbox has {most} numbers, and that is the limit.", "number")
        if (full := self._phones.refusal(scope)) is not None:
            return full
        password = verification.password(self._entropy)
        text = verification.message(action.language, password)
        put = self._line.put(scope, number, text, None, now, verifies=True)
        if isinstance(put, RopewayError):
            return put
        return Decision({}, (*put[1], e.SandboxNumberChanged(*scope, number, password, now)))

    def verify(self, action: a.VerifySandboxPhoneNumber, now: int) -> Outcome:
        scope, number = self._phones.scope(action), action.number
        account = self._phones.accounts.get(scope)
        found = None if account is None else account.sandbox.get(number)
        if found is None:
            return _missing(number)
        if found.verified:
            return Decision({})
        if not found.password or now > found.at + verification.WITHIN:
            return VerificationException("The one-time password is over: ask for another.", "password")
        if compare_digest(found.password, action.password):
            event = e.SandboxNumberChanged(*scope, number, "", found.at, found.wrong, True)
            return Decision({}, (event,))
        wrong = found.wrong + 1
        left = found.password if wrong < verification.MAX_WRONG else ""
        return Decision(
            VerificationException("It is not the one-time password that was sent.", "password"),
            (e.SandboxNumberChanged(*scope, number, left, found.at, wrong),),
        )

    def delete(self, action: a.DeleteSandboxPhoneNumber, now: int) -> Outcome:
        scope, number = self._phones.scope(action), action.number
        account = self._phones.accounts.get(scope)
        if account is None or number not in account.sandbox:
            return _missing(number)
        return Decision({}, (e.SandboxNumberRemoved(*scope, number),))

    def list_sandbox(self, action: a.ListSandboxPhoneNumbers, now: int) -> Outcome:
        account = self._phones.accounts.get(self._phones.scope(action))
        if account is None:
            return Decision({"numbers": [], "next": None})
        found, more = page(account.sandbox.order, "", action.after, action.limit)
        told = [{"number": each, "verified": _is_verified(account.sandbox.get(each))} for each in found]
        return Decision({"numbers": told, "next": more})

    # Messages

    def publish(self, action: a.PublishText, now: int) -> Outcome:
        scope, number = self._phones.scope(action), action.number
        text = _text(action)
        if isinstance(text, RopewayError):
            return text
        if self._phones.is_opted_out(scope, number):
            return _opted_out(number)
        if not self._phones.is_reachable(scope, number):
            return UnsupportedOperation(
                "The number gets no messages. Reason: The account is in the SMS sandbox, and the number is "
                "not verified",
                "number",
            )
        if (full := self._phones.refusal(scope)) is not None:
            return full
        put = self._line.put(scope, number, text, action.attributes, now)
        return put if isinstance(put, RopewayError) else Decision({"id": put[0]}, put[1])


def _text(action: a.PublishText) -> str | RopewayError:
    """What is to be sent, with all that is said of it checked."""
    if not action.body:
        return InvalidMessageContents("The field body is empty; it has at least one character.", "body")
    if action.attributes:
        problem = check_message_attributes(action.attributes, "attributes")
        if problem is not None:
            return problem
        try:
            stated(action.attributes, "", "Promotional")
        except NoText as wrong:
            return InvalidParameterValue(f"A message attribute is not valid: {wrong}", "attributes.sms")
    size = size_of(action.body, action.attributes)
    if size > DEFAULT_SIZE:
        return InvalidParameterValue(
            f"The field body counts {size} bytes with its attributes; a message takes at most "
            f"{DEFAULT_SIZE}.",
            "body",
        )
    chosen = bodies_of(PublishEntry(action.body, structure=action.structure), "body")
    if isinstance(chosen, RopewayError):
        return chosen
    text = chosen.get("sms", chosen["default"])
    assert type(text) is str
    if len(text) > a.MAX_CHARACTERS:
        return InvalidParameterValue(
            f"The field body has {len(text)} characters; a text message takes at most {a.MAX_CHARACTERS}.",
            "body",
        )
    return text


def _opted_out(number: str) -> OptedOut:
    return OptedOut(f"The number {number} has opted out of text messages.", "number")


def _missing(number: str) -> NotFound:
    return NotFound(f"The number {number} is not in the sandbox.", "number")


def _is_verified(found: Any) -> bool:
    return bool(found.verified)
