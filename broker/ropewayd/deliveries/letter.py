"""The e-mail that a delivery becomes.

Rule 1  Nothing that a publisher or a subscriber writes can add a header, a recipient or a part: an address is
        one plain mailbox or there is no letter, and a header is one line of printable characters.
Rule 2  A letter is a function of its delivery, its Message-ID too: of one that came twice because an answer
        was lost, a reader keeps one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from typing import Any, Final

import msgspec

from .delivery import Delivery
from .envelope import envelope, whole

MAX_ADDRESS: Final = 254
"""Characters of an address, as SMTP limits them."""
_ATOM: Final = r"[\w!#$%&'*+/=?^`{|}~-]+"
_LABEL: Final = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_ADDRESS: Final = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@({_LABEL}(?:\.{_LABEL})*)")
_MAX_LOCAL: Final = 64
MAX_SUBJECT: Final = 200


_LINE: Final = 998
"""Characters of a line, as SMTP limits them."""
_UNFOLDED: Final = "List-Unsubscribe"


class _Policy(EmailPolicy):
    """SMTP's, but an address of the web in a header stays in one piece: Python would fold a long one into
    words of RFC 2047, which no reader takes for an address."""

    def fold(self, name: str, value: Any) -> str:
        if name == _UNFOLDED and value.isascii() and len(name) + len(value) + 2 <= _LINE:
            return f"{name}: {value}{self.linesep}"
        return str(super().fold(name, value))

    def fold_binary(self, name: str, value: Any) -> bytes:
        return (
            self.fold(name, value).encode("ascii") if name == _UNFOLDED else super().fold_binary(name, value)
        )


_POLICY: Final = _Policy(linesep=SMTP.linesep)


class NoAddress(ValueError):
    """What is said to be an address of e-mail is none."""


def address(text: str) -> Address:
    """One mailbox, without a name beside it, quotes or comments. Raises NoAddress."""
    found = _ADDRESS.fullmatch(text) if len(text) <= MAX_ADDRESS else None
    if found is None or len(found[1]) > _MAX_LOCAL:
        raise NoAddress("that is not an address of e-mail, as name@example.com")
    return Address(username=found[1], domain=found[2])


def letter(delivery: Delivery, sender: Address, signed: Mapping[str, Any] | None = None) -> EmailMessage:
    """The letter to the delivery's endpoint; `signed` is its envelope, where that is signed. Raises
    NoAddress."""
    made = EmailMessage(policy=_POLICY)
    name = one_line(delivery.topic.rpartition(":")[2])
    made["From"] = Address(name, sender.username, sender.domain)
    made["To"] = address(delivery.endpoint)
    made["Subject"] = one_line(_subject(delivery, name))[:MAX_SUBJECT]
    made["Date"] = _date(delivery.timestamp)
    serial = re.sub(
        r"[^A-Za-z0-9.-]", "", f"{delivery.message_id}.{delivery.subscription.rpartition(':')[2]}"
    )
    made["Message-ID"] = f"<{serial}@{sender.domain}>"
    made["Auto-Submitted"] = "auto-generated"
    if delivery.unsubscribe_url:
        made[_UNFOLDED] = f"<{one_line(delivery.unsubscribe_url)}>"
    if delivery.protocol == "email-json":
        text = msgspec.json.encode(envelope(delivery) if signed is None else signed).decode()
    else:
        text = _text(delivery, name)
    plain = text.isascii() and max(map(len, text.splitlines()), default=0) <= _LINE
    made.set_content(text, cte="7bit" if plain else None)  # what is plain can be read, and opened, as it is
    return made


def one_line(text: str) -> str:
    """Text as a header can hold it.

    A word of RFC 2047 (=?utf-8?q?...?=) is broken: Python's headers decode one that they are given, and what
    it held, a line's end among it, would be in the header after all.
    """
    clean = "".join(each if each.isprintable() else " " for each in text)
    return clean.replace("=?", "= ?").strip()


def _subject(delivery: Delivery, name: str) -> str:
    if delivery.kind == "SubscriptionConfirmation":
        return f"Please confirm your subscription to {name}"
    if delivery.kind == "UnsubscribeConfirmation":
        return f"Your subscription to {name} has ended"
    return delivery.subject or f"A message from {name}"


def _text(delivery: Delivery, name: str) -> str:
    if delivery.kind == "SubscriptionConfirmation":
        how = (
            f"To confirm that, open this address within two days:\n\n{delivery.confirm_url}"
            if delivery.confirm_url
            else f"To confirm that, call ConfirmSubscription in two days with the token:\n\n{delivery.token}"
        )
        return (
            f"Somebody, perhaps you, has asked that what is published to the topic {name}\n"
            f"({delivery.topic})\nbe sent to this address.\n\n{how}\n\n"
            "If you did not ask for it, do nothing: no more will come.\n"
        )
    if delivery.kind == "UnsubscribeConfirmation":
        how = (
            f"\nTo subscribe again, open this address:\n\n{delivery.confirm_url}\n"
            if delivery.confirm_url
            else ""
        )
        return (
            f"What is published to the topic {name}\n({delivery.topic})\n"
            f"is not sent to this address any more.\n{how}"
        )
    foot = (
        f"\n\n-- \nTo get no more of these, open {delivery.unsubscribe_url}\n"
        if delivery.unsubscribe_url
        else "\n"
    )
    return whole(delivery.body) + foot


def _date(timestamp: str) -> datetime:
    try:
        at = datetime.fromisoformat(timestamp)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
