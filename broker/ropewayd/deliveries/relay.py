"""The SMTP relay that e-mail leaves by: one connection a letter, so many at one time.

What the relay says of the letter, of its sender or of its recipient with a code of 5xx is final. All else can
be another way the next time: a relay that does not answer, a 4xx, and also what it says against this daemon
(its greeting, TLS, the login), since that is put right by whoever runs the daemon, and no letter should be
lost for it.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from email.message import EmailMessage
from typing import TYPE_CHECKING, Final, Literal

import aiosmtplib
import msgspec

from .answering import Attempt
from .delivery import DELIVERED, REFUSED, RETRY, Answer

if TYPE_CHECKING:
    import ssl

GOODBYE: Final = 1.0
"""Seconds that a relay has to say goodbye."""


class RelaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the relay is, and how to speak with it. `timeout` is in seconds, and for a letter as a whole."""

    host: str
    port: int
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: str = ""
    timeout: float = 30.0
    connections: int = 4


class Relay:
    """Hands letters over. `context` checks the relay's certificate; None has that of the system do it."""

    def __init__(self, settings: RelaySettings, context: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._context = context
        self._free = asyncio.Semaphore(settings.connections)

    async def send(self, letter: EmailMessage, sender: str, recipient: str) -> Answer:
        """Hand one letter over; what comes of it."""
        async with self._free:
            attempt, client = Attempt(), self._client()
            try:
                async with asyncio.timeout(self._settings.timeout):
                    await client.connect()
                    answer = await _hand_over(client, attempt, letter, sender, recipient)
                # However the goodbye goes, what was said of the letter stands.
                with suppress(aiosmtplib.SMTPException, OSError):
                    async with asyncio.timeout(GOODBYE):
                        await client.quit()
                return answer
            except TimeoutError:
                return attempt.ends(RETRY, None, "the relay took too long")
            except aiosmtplib.SMTPResponseException as wrong:
                return attempt.ends(RETRY, wrong.code, wrong.message)
            except (aiosmtplib.SMTPException, OSError, ValueError) as wrong:
                return attempt.ends(RETRY, None, f"{type(wrong).__name__}: {wrong}")
            finally:
                client.close()

    def _client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.user or None,
            password=settings.password if settings.user else None,
            local_hostname=socket.gethostname(),
            timeout=settings.timeout,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=self._context,
        )


async def _hand_over(
    client: aiosmtplib.SMTP, attempt: Attempt, letter: EmailMessage, sender: str, recipient: str
) -> Answer:
    try:
        _, said = await client.send_message(letter, sender=sender, recipients=[recipient])
    except aiosmtplib.SMTPRecipientsRefused as wrong:
        first = wrong.recipients[0]
        return attempt.ends(_outcome(first.code), first.code, first.message)
    except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as wrong:
        return attempt.ends(_outcome(wrong.code), wrong.code, wrong.message)
    except aiosmtplib.SMTPNotSupported as wrong:
        # An address beyond ASCII, and a relay that takes none.
        return attempt.ends(REFUSED, None, wrong.message)
    return attempt.ends(DELIVERED, 250, said)


def _outcome(code: int) -> str:
    return REFUSED if 500 <= code <= 599 else RETRY
