"""The composition of the senders: from settings to what delivers each protocol.

What is wrong with their settings is found before the store is touched; nothing connects before there is
something to send.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ropewayd.deliveries.delivery import Sender
from ropewayd.deliveries.email import Email
from ropewayd.deliveries.firehose import StreamFiles, StreamServer
from ropewayd.deliveries.function import Address, Functions, Program
from ropewayd.deliveries.letter import NoAddress
from ropewayd.deliveries.outbox import Outbox, OutboxLimits
from ropewayd.deliveries.rolling_file import RollingLimits
from ropewayd.deliveries.web import Web
from ropewayd.exits import Misconfigured
from ropewayd.functions_file import read_functions
from ropewayd.secret_file import read_secret
from ropewayd.sources import Configuration

if TYPE_CHECKING:
    from ropewayd.deliveries.relay import Relay

HERE: Final = frozenset(("localhost", "127.0.0.1"))
"""Relays that nobody but this machine is on the way to."""


def make_senders(configuration: Configuration, credentials_directory: str | None) -> dict[str, Sender]:
    """What delivers each protocol but sqs and http. Raises Misconfigured."""
    email = _email(configuration, credentials_directory)
    return {
        "email": email,
        "email-json": email,
        "lambda": _functions(configuration),
        "firehose": _firehose(configuration, credentials_directory),
    }


def _firehose(configuration: Configuration, credentials_directory: str | None) -> Sender:
    settings = configuration.settings.firehose
    if settings.url:
        key, path = "", settings.access_key_file
        if path:
            blame = configuration.blame("firehose.access_key_file")
            key = read_secret(Path(path), blame, credentials_directory)
        return StreamServer(settings.url, key, Web(settings.timeout, settings.connections))
    folder = Path(configuration.settings.daemon.data_dir) / "firehose"
    limits = RollingLimits(bytes=settings.file_bytes, files=settings.files)
    return StreamFiles(folder, limits, settings.streams)


def _functions(configuration: Configuration) -> Functions:
    settings = configuration.settings.functions
    registry: dict[str, Address | Program] = {}
    if settings.file:
        registry = read_functions(
            Path(settings.file), configuration.blame("functions.file"), settings.timeout
        )
    web = Web(settings.timeout, settings.connections)
    return Functions(registry, settings.invoke, web, settings.programs)


def _email(configuration: Configuration, credentials_directory: str | None) -> Email:
    settings = configuration.settings.email
    if settings.relay:
        way: Relay | Outbox = _relay(configuration, credentials_directory)
    else:
        limits = OutboxLimits(files=settings.outbox_files, bytes=settings.outbox_bytes)
        way = Outbox(Path(configuration.settings.daemon.data_dir) / "outbox", ".eml", limits)
    try:
        return Email(way, settings.sender)
    except NoAddress as wrong:
        raise Misconfigured(f"{configuration.blame('email.sender')}: {wrong}") from None


def _relay(configuration: Configuration, credentials_directory: str | None) -> Relay:
    # Who has no relay does not wait for these to load.
    import ssl  # noqa: PLC0415

    from ropewayd.deliveries.relay import Relay, RelaySettings  # noqa: PLC0415

    settings = configuration.settings.email
    host, _, port = settings.relay.rpartition(":")
    if not 1 <= int(port) <= 65_535:
        raise Misconfigured(f"{configuration.blame('email.relay')}: there is no port {port}")
    if bool(settings.user) != bool(settings.password_file):
        here, missing = ("user", "password_file") if settings.user else ("password_file", "user")
        raise Misconfigured(
            f"{configuration.blame('email.' + here)} is set without email.{missing}: a login needs both"
        )
    password = ""
    if settings.user:
        if settings.tls == "none" and host not in HERE:
            raise Misconfigured(
                f"{configuration.blame('email.tls')} is none, and email.user logs in to another machine: "
                "everybody on the way could read the password"
            )
        blame = configuration.blame("email.password_file")
        password = read_secret(Path(settings.password_file), blame, credentials_directory)
    context = None
    if settings.ca:
        try:
            context = ssl.create_default_context(cafile=settings.ca)
        except OSError as wrong:  # ssl.SSLError is one
            raise Misconfigured(
                f"{configuration.blame('email.ca')}: cannot use {settings.ca}: {wrong.strerror or wrong}"
            ) from None
    return Relay(
        RelaySettings(
            host=host,
            port=int(port),
            tls=settings.tls,
            user=settings.user,
            password=password,
            timeout=settings.timeout,
            connections=settings.connections,
        ),
        context,
    )
