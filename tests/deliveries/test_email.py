"""E-mail against a real SMTP server, and into the outbox."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from ropewayd.deliveries.delivery import DELIVERED, REFUSED, RETRY, Answer
from ropewayd.deliveries.email import Email
from ropewayd.deliveries.outbox import Outbox, OutboxLimits
from ropewayd.deliveries.relay import Relay, RelaySettings
from tests.certificate import self_signed
from tests.deliveries.making import delivery

PLAIN = RelaySettings(host="127.0.0.1", port=0, tls="none", timeout=10)


class Inbox:
    """A handler for aiosmtpd that keeps what comes, and says what it is told to of recipients and letters."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []
        self.rcpt = "250 OK"
        self.data = "250 kept"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.data.startswith("250"):
            self.got.append(envelope)
        return self.data


@asynccontextmanager
async def serving(inbox: Inbox, context: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[int]:
    """The server on a free port of loopback."""
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(SMTP(inbox, hostname="relay.test", loop=loop, **options))
        return sessions[-1]

    server = await loop.create_server(session, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        talks = [each._handler_coroutine for each in sessions if each._handler_coroutine is not None]
        await asyncio.wait_for(asyncio.gather(*talks, return_exceptions=True), 10)
        for each in sessions:
            if each.transport is not None:
                each.transport.close()


async def send(
    settings: RelaySettings, port: int, to: str = "ann@example.org", ca: Path | None = None
) -> Answer:
    context = ssl.create_default_context(cafile=ca) if ca else None
    relay = Relay(RelaySettings(**{**_fields(settings), "port": port}), context)
    return await Email(relay, "ropeway@example.com").send(delivery("email", to))


def _fields(settings: RelaySettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}


async def test_a_letter_arrives_at_a_relay() -> None:
    inbox = Inbox()
    async with serving(inbox) as port:
        answer = await send(PLAIN, port)
    assert (answer.outcome, answer.code, answer.excerpt) == (DELIVERED, 250, "kept")
    [got] = inbox.got
    assert (got.mail_from, got.rcpt_tos) == ("ropeway@example.com", ["ann@example.org"])
    assert isinstance(got.content, bytes)
    written = message_from_bytes(got.content, policy=default)
    assert written["Subject"] == "A message from news"
    assert written.get_content().startswith("It rains.\r\n\r\n-- ")


@pytest.mark.parametrize(
    ("rcpt", "data", "outcome", "code"),
    [
        ("550 no such user", "250 kept", REFUSED, 550),
        ("451 later", "250 kept", RETRY, 451),
        ("250 OK", "552 too large", REFUSED, 552),
        ("250 OK", "452 no room", RETRY, 452),
    ],
)
async def test_what_is_final_is_told_from_what_may_change(
    rcpt: str, data: str, outcome: str, code: int
) -> None:
    inbox = Inbox()
    inbox.rcpt, inbox.data = rcpt, data
    async with serving(inbox) as port:
        answer = await send(PLAIN, port)
    assert (answer.outcome, answer.code) == (outcome, code)
    assert answer.excerpt == (rcpt if rcpt[0] != "2" else data)[4:]
    assert inbox.got == []


async def test_a_relay_that_is_not_there_or_says_nothing_is_tried_again() -> None:
    async with serving(Inbox()) as port:
        pass
    assert (await send(PLAIN, port)).outcome == RETRY

    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        left.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        hasty = RelaySettings(host="127.0.0.1", port=0, tls="none", timeout=0.2)
        answer = await send(hasty, server.sockets[0].getsockname()[1])
        await left.wait()
    assert (answer.outcome, answer.code) == (RETRY, None)


async def test_an_address_beyond_ascii_takes_a_relay_that_knows_them() -> None:
    inbox = Inbox()
    async with serving(inbox, enable_SMTPUTF8=True) as port:
        answer = await send(PLAIN, port, "änn@example.org")
        assert answer.outcome == DELIVERED, answer
    assert inbox.got[0].rcpt_tos == ["änn@example.org"]
    async with serving(inbox) as port:
        assert (await send(PLAIN, port, "änn@example.org")).outcome == REFUSED


async def test_what_is_no_address_never_reaches_the_relay() -> None:
    inbox = Inbox()
    async with serving(inbox) as port:
        answer = await send(PLAIN, port, "ann@example.org\r\nRCPT TO:<eve@example.org>")
    assert (answer.outcome, inbox.got) == (REFUSED, [])


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself."""
    return self_signed(tmp_path, "IP:127.0.0.1")


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_tls_and_login(tls: Any, certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    inbox = Inbox()
    seen: list[Any] = []

    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        seen.append((data.login, data.password))
        return AuthResult(success=data.password == b"s3cret", handled=False)

    options: dict[str, Any] = {"authenticator": check, "auth_require_tls": False}
    if tls == "starttls":
        options = {
            "authenticator": check,
            "auth_required": True,
            "tls_context": context,
            "require_starttls": True,
        }
    async with serving(inbox, context if tls == "tls" else None, **options) as port:
        good = RelaySettings(host="127.0.0.1", port=0, tls=tls, user="ropeway", password="s3cret", timeout=10)
        first = await send(good, port, ca=certificate[0])
        assert first.outcome == DELIVERED, first
        assert seen == [(b"ropeway", b"s3cret")]
        # A certificate that nothing vouches for is the end of it, before any login.
        strange = await send(good, port)
        assert (strange.outcome, strange.code, len(seen)) == (RETRY, None, 1)
        # A login that fails is put right by whoever runs the daemon; the letter waits, and tells no password.
        bad = RelaySettings(host="127.0.0.1", port=0, tls=tls, user="ropeway", password="wr0ng", timeout=10)
        failed = await send(bad, port, ca=certificate[0])
        assert (failed.outcome, failed.code) == (RETRY, 535), failed
        assert "wr0ng" not in failed.excerpt
    assert len(inbox.got) == 1


async def test_a_relay_without_tls_is_not_spoken_to_where_tls_is_asked_for() -> None:
    inbox = Inbox()
    async with serving(inbox) as port:
        answer = await send(RelaySettings(host="127.0.0.1", port=0, timeout=10), port)
    assert (answer.outcome, inbox.got) == (RETRY, [])


async def test_without_a_relay_it_is_a_file_in_the_outbox(tmp_path: Path) -> None:
    email = Email(Outbox(tmp_path / "outbox", ".eml", OutboxLimits()), "ropeway@example.com")
    for _ in range(2):
        assert (await email.send(delivery("email", "ann@example.org"))).outcome == DELIVERED
    [file] = (tmp_path / "outbox").iterdir()
    assert file.suffix == ".eml"
    assert message_from_bytes(file.read_bytes(), policy=default)["To"] == "ann@example.org"
    assert (await email.send(delivery("email", "nobody"))).outcome == REFUSED


async def test_an_outbox_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_bytes(b"a file")
    email = Email(Outbox(tmp_path / "outbox", ".eml", OutboxLimits()), "ropeway@example.com")
    assert (await email.send(delivery("email", "ann@example.org"))).outcome == RETRY
