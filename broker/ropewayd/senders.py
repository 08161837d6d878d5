"""The composition of the senders: from settings to what delivers each protocol.

What is wrong with their settings is found before the store is touched; nothing connects before there is
something to send.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ropewayd.deliveries.delivery import Sender
from ropewayd.deliveries.destination import LOOPBACK, Destinations, Network
from ropewayd.deliveries.email import Email
from ropewayd.deliveries.firehose import StreamFiles, StreamServer
from ropewayd.deliveries.function import Address, Functions, Program
from ropewayd.deliveries.letter import NoAddress
from ropewayd.deliveries.outbox import Outbox, OutboxLimits
from ropewayd.deliveries.rolling_file import RollingLimits
from ropewayd.deliveries.seal import Seal
from ropewayd.deliveries.sms import Gateway, Sms, SmsRules
from ropewayd.deliveries.spending import Spending
from ropewayd.deliveries.template import Template, WrongTemplate
from ropewayd.deliveries.web import Web
from ropewayd.exits import Misconfigured
from ropewayd.functions_file import read_functions
from ropewayd.secret_file import read_secret
from ropewayd.sources import Configuration
from ropewayd.texting.phones import Phones

if TYPE_CHECKING:
    from ropewayd.deliveries.push.application import Application
    from ropewayd.deliveries.push.device import Device
    from ropewayd.deliveries.relay import Relay

HERE: Final = frozenset(("localhost", "127.0.0.1"))
"""Relays that nobody but this machine is on the way to."""
_HEADER: Final = re.compile(
    r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)[ \t]*"
)


def make_senders(
    configuration: Configuration, credentials_directory: str | None, phones: Phones, seal: Seal | None = None
) -> dict[str, Sender]:
    """What delivers each protocol but sqs and http. `seal` signs envelopes. Raises Misconfigured."""
    email = _email(configuration, credentials_directory, seal)
    return {
        "email": email,
        "email-json": email,
        "lambda": _functions(configuration, seal),
        "firehose": _firehose(configuration, credentials_directory, seal),
        "sms": _sms(configuration, credentials_directory, phones),
    }


def make_web(configuration: Configuration, local: bool) -> Web:
    """The way to what subscribers name. `local`: nobody but this machine can reach the daemon, and none needs
    a key, so that subscribers may be on loopback. Raises Misconfigured."""
    settings = configuration.settings.subscribers
    networks: list[Network] = list(LOOPBACK) if local else []
    for text in settings.networks:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as wrong:
            raise Misconfigured(f"{configuration.blame('subscribers.networks')}: {wrong}") from None
    return Web(settings.timeout, settings.connections, Destinations(networks))


def _firehose(configuration: Configuration, credentials_directory: str | None, seal: Seal | None) -> Sender:
    settings = configuration.settings.firehose
    if settings.url:
        key, path = "", settings.access_key_file
        if path:
            blame = configuration.blame("firehose.access_key_file")
            key = read_secret(Path(path), blame, credentials_directory)
        return StreamServer(settings.url, key, Web(settings.timeout, settings.connections), seal)
    folder = Path(configuration.settings.daemon.data_dir) / "firehose"
    limits = RollingLimits(bytes=settings.file_bytes, files=settings.files)
    return StreamFiles(folder, limits, settings.streams, seal)


def make_application(
    configuration: Configuration, find: Callable[[str], Device | None], disable: Callable[[Device], None]
) -> Application:
    """What delivers the protocol application. `find` tells of an endpoint by its ARN, `disable` is told of
    one whose token is good for nothing any more."""
    from ropewayd.deliveries.push.adm import Adm  # noqa: PLC0415
    from ropewayd.deliveries.push.apns import Apns, Http2  # noqa: PLC0415
    from ropewayd.deliveries.push.application import Application  # noqa: PLC0415
    from ropewayd.deliveries.push.fcm import Fcm  # noqa: PLC0415
    from ropewayd.deliveries.push.wns import Wns  # noqa: PLC0415

    settings = configuration.settings.push

    def web() -> Web:
        return Web(settings.timeout, settings.connections)

    apple = Http2(settings.timeout, settings.connections)
    apns = Apns(settings.apns_url, settings.apns_sandbox_url, apple)
    return Application(
        {
            "APNS": apns,
            "APNS_SANDBOX": apns,
            "GCM": Fcm(settings.fcm_url, settings.fcm_oauth_url, web()),
            "ADM": Adm(settings.adm_url, settings.adm_oauth_url, web()),
            "WNS": Wns(settings.wns_hosts, settings.wns_oauth_url, web()),
        },
        find,
        disable,
    )


def _functions(configuration: Configuration, seal: Seal | None) -> Functions:
    settings = configuration.settings.functions
    registry: dict[str, Address | Program] = {}
    if settings.file:
        registry = read_functions(
            Path(settings.file), configuration.blame("functions.file"), settings.timeout
        )
    web = Web(settings.timeout, settings.connections)
    return Functions(registry, settings.invoke, web, settings.programs, seal)


def _sms(configuration: Configuration, credentials_directory: str | None, phones: Phones) -> Sms:
    settings, data = configuration.settings.sms, Path(configuration.settings.daemon.data_dir)
    way: Gateway | Outbox
    if settings.gateway:
        try:
            template = Template(settings.form, settings.template)
        except WrongTemplate as wrong:
            raise Misconfigured(f"{configuration.blame('sms.template')}: {wrong}") from None
        headers = _headers(configuration, credentials_directory)
        way = Gateway(settings.gateway, template, headers, Web(settings.timeout, settings.connections))
    else:
        way = Outbox(data / "outbox", ".sms.json", _outbox_limits(configuration))
    rules = SmsRules(
        sender=settings.sender,
        price=settings.price,
        monthly_limit=settings.monthly_limit,
        opted_out_answers=tuple(each.casefold() for each in settings.opted_out_answers),
    )
    return Sms(way, rules, phones, Spending(data / "sms-spending.json"))


def _headers(configuration: Configuration, credentials_directory: str | None) -> dict[str, str]:
    path = configuration.settings.sms.headers_file
    if not path:
        return {}
    blame = configuration.blame("sms.headers_file")
    lines = read_secret(Path(path), blame, credentials_directory).splitlines()
    found = [_HEADER.fullmatch(line) for line in lines if line.strip()]
    if not all(found):
        raise Misconfigured(f"{blame}: each line of {path} must be a header, as Authorization: Bearer ...")
    return {each[1]: each[2] for each in found if each is not None}


def _outbox_limits(configuration: Configuration) -> OutboxLimits:
    settings = configuration.settings.email
    return OutboxLimits(files=settings.outbox_files, bytes=settings.outbox_bytes)


def _email(configuration: Configuration, credentials_directory: str | None, seal: Seal | None) -> Email:
    settings = configuration.settings.email
    if settings.relay:
        way: Relay | Outbox = _relay(configuration, credentials_directory)
    else:
        folder = Path(configuration.settings.daemon.data_dir) / "outbox"
        way = Outbox(folder, ".eml", _outbox_limits(configuration))
    try:
        return Email(way, settings.sender, seal)
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
