"""The settings of what leaves the daemon for subscribers, a section a way; part of settings.py.

Secrets have files of their own, named here, that only their owner may read (secret_file.py).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ropewayd.vocabulary.names import PHONE_NUMBER

MIB: Final = 1024 * 1024
URL: Final = r"^https?://[^\s?#]+$"


class Subscribers(msgspec.Struct, frozen=True, kw_only=True):
    """HTTP subscribers, protocols http and https: where they may be, and what one may cost."""

    networks: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            max_length=1000,
            description="Networks, as 10.1.0.0/16, where they may be besides public addresses. A daemon that "
            "only this machine can reach adds loopback where it has no keys.",
        ),
    ] = ()
    timeout: Annotated[float, Meta(ge=0.1, le=600, description="How long a request may take.")] = 15.0
    connections: Annotated[
        int, Meta(ge=1, le=10_000, description="Connections to subscribers at one time.")
    ] = 100


class Email(msgspec.Struct, frozen=True, kw_only=True):
    """E-mail subscriptions. Without a relay letters are files, *.eml, in the folder outbox of data_dir."""

    relay: Annotated[
        str,
        Meta(
            pattern=r"^([^\s:@/]+:[0-9]{1,5})?$",
            description="HOST:PORT of the SMTP server that letters are handed to. Empty: the outbox.",
        ),
    ] = ""
    tls: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(description="How the relay is spoken to; starttls and tls check its certificate."),
    ] = "starttls"
    ca: Annotated[
        str, Meta(description="PEM file of who vouches for the relay's certificate. Empty: the system's.")
    ] = ""
    user: Annotated[str, Meta(description="Whom to log in as at the relay. Empty: no login.")] = ""
    password_file: Annotated[
        str, Meta(description="File with the password, on one line. Its mode must be 0600.")
    ] = ""
    sender: Annotated[str, Meta(min_length=3, description="The address that letters are from.")] = (
        "ropeway@localhost"
    )
    timeout: Annotated[
        float, Meta(ge=0.1, le=600, description="How long handing over a letter may take.")
    ] = 30.0
    connections: Annotated[
        int, Meta(ge=1, le=1000, description="Letters that are handed over at one time.")
    ] = 4
    outbox_files: Annotated[
        int, Meta(ge=1, le=100_000, description="Letters in the outbox; beyond it the oldest go.")
    ] = 1_000
    outbox_bytes: Annotated[
        int, Meta(ge=MIB, le=1024 * 1024 * MIB, description="Bytes in the outbox; beyond it the oldest go.")
    ] = 64 * MIB


class Functions(msgspec.Struct, frozen=True, kw_only=True):
    """Functions, protocol lambda: by name in a file, or behind the Invoke API of another server."""

    file: Annotated[
        str,
        Meta(
            description='File of functions: a table each, with url = "..." or command = ["program", ...] and '
            "timeout; nobody but its owner may write it."
        ),
    ] = ""
    invoke: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s?#]+)?$",
            description="URL of a server with AWS Lambda's Invoke API, for functions not in the file.",
        ),
    ] = ""
    timeout: Annotated[
        float, Meta(ge=0.1, le=900, description="How long a call may take, unless the file says otherwise.")
    ] = 30.0
    connections: Annotated[int, Meta(ge=1, le=10_000, description="Calls by HTTP at one time.")] = 100
    programs: Annotated[
        int, Meta(ge=1, le=1000, description="Programs of this machine that run at one time.")
    ] = 4


class Firehose(msgspec.Struct, frozen=True, kw_only=True):
    """Delivery streams, protocol firehose: files in the folder firehose of data_dir, or a server."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s]+)?$",
            description="Server with the HTTP endpoint that Firehose delivers to. Empty: files.",
        ),
    ] = ""
    access_key_file: Annotated[
        str, Meta(description="File with the access key that it is told, on one line. Its mode must be 0600.")
    ] = ""
    timeout: Annotated[float, Meta(ge=0.1, le=600, description="How long a request may take.")] = 30.0
    connections: Annotated[int, Meta(ge=1, le=10_000, description="Requests at one time.")] = 20
    streams: Annotated[int, Meta(ge=1, le=100_000, description="Streams that are kept in files.")] = 100
    file_bytes: Annotated[
        int, Meta(ge=4096, le=1024 * 1024 * MIB, description="Bytes of a file; then the next is begun.")
    ] = 64 * MIB
    files: Annotated[
        int, Meta(ge=2, le=100_000, description="Files of a stream; beyond it the oldest go.")
    ] = 16


class Sms(msgspec.Struct, frozen=True, kw_only=True):
    """Text messages, protocol sms. Without a gateway they are files, *.sms.json, in the outbox."""

    gateway: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s]+)?$",
            description="URL that messages are posted to. Empty: the outbox.",
        ),
    ] = ""
    form: Annotated[
        Literal["json", "form"],
        Meta(description="What the template is: JSON, or a form as a browser posts it."),
    ] = "json"
    template: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=16_384,
            description="What is posted, with places {to}, {text}, {sender}, {type} and {id}; in JSON a "
            "place becomes a string with its quotes.",
        ),
    ] = '{"to": {to}, "from": {sender}, "text": {text}, "type": {type}, "id": {id}}'
    headers_file: Annotated[
        str,
        Meta(
            description="File with more headers, a line each, as Authorization: Bearer ...; its mode must "
            "be 0600."
        ),
    ] = ""
    timeout: Annotated[float, Meta(ge=0.1, le=600, description="How long a request may take.")] = 15.0
    connections: Annotated[int, Meta(ge=1, le=10_000, description="Requests at one time.")] = 20
    sender: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9]{1,11}|\+?[0-9]{3,15})?$",
            description="Whom messages are from that do not say it themselves: a name, or a number.",
        ),
    ] = ""
    price: Annotated[float, Meta(ge=0, le=1_000_000, description="What one part of a message costs.")] = 0.0
    monthly_limit: Annotated[
        float,
        Meta(ge=0, le=1_000_000_000, description="What messages may cost in a month of UTC; 0: no limit."),
    ] = 0.0
    opted_out: Annotated[
        tuple[Annotated[str, Meta(pattern=f"^{PHONE_NUMBER}$")], ...],
        Meta(
            max_length=100_000,
            description="Numbers that get no message of any account, as +4930123456, whatever accounts say.",
        ),
    ] = ()
    opted_out_answers: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...],
        Meta(
            max_length=100,
            description="A number has opted out where the gateway refuses a message and says one of these, "
            "in small or capital letters.",
        ),
    ] = ("opted out",)
    sandbox: Annotated[
        Literal["off", "on"],
        Meta(description="on: messages go to numbers alone that an account has verified, as in AWS's."),
    ] = "off"
    max_sandbox_numbers: Annotated[
        int, Meta(ge=1, le=100_000, description="Numbers of an account's sandbox.")
    ] = 10
    max_opted_out: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Numbers that an account keeps as opted out.")
    ] = 100_000
    max_accounts: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Accounts, each in one region, that set something for text messages or send them to "
            "numbers.",
        ),
    ] = 1_000


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """Mobile push, protocol application: where each platform's service is."""

    apns_url: Annotated[str, Meta(pattern=URL, description="Apple's, for platform APNS.")] = (
        "https://api.push.apple.com"
    )
    apns_sandbox_url: Annotated[str, Meta(pattern=URL, description="Apple's, for APNS_SANDBOX.")] = (
        "https://api.sandbox.push.apple.com"
    )
    fcm_url: Annotated[str, Meta(pattern=URL, description="Google's, for platform GCM.")] = (
        "https://fcm.googleapis.com"
    )
    fcm_oauth_url: Annotated[
        str,
        Meta(
            pattern=URL, description="Where Google gives access tokens; a service account's own is not used."
        ),
    ] = "https://oauth2.googleapis.com/token"
    adm_url: Annotated[str, Meta(pattern=URL, description="Amazon's, for platform ADM.")] = (
        "https://api.amazon.com"
    )
    adm_oauth_url: Annotated[str, Meta(pattern=URL, description="Where Amazon gives access tokens.")] = (
        "https://api.amazon.com/auth/o2/token"
    )
    wns_hosts: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            max_length=100,
            description="Hosts, those below them too, whose channels are Microsoft's, for platform WNS; one "
            "with a port may be without TLS.",
        ),
    ] = ("notify.windows.com",)
    wns_oauth_url: Annotated[str, Meta(pattern=URL, description="Where Microsoft gives access tokens.")] = (
        "https://login.live.com/accesstoken.srf"
    )
    max_applications: Annotated[
        int, Meta(ge=1, le=100_000, description="Platform applications that may exist at one time.")
    ] = 1_000
    max_endpoints: Annotated[
        int,
        Meta(ge=1, le=10_000_000, description="Endpoints, of all applications, that may exist at one time."),
    ] = 1_000_000
    timeout: Annotated[float, Meta(ge=0.1, le=600, description="How long a request may take.")] = 15.0
    connections: Annotated[
        int, Meta(ge=1, le=1000, description="Connections to the service of a platform at one time.")
    ] = 10
