"""How a command ends: its exit code, and one line that says why and what to do next.

The codes are a promise to scripts. docs/cli.md lists them, and a test holds them together.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import ssl

from ropeway.errors import (
    BatchError,
    BrokerClosed,
    ConnectionFailed,
    ConnectionLost,
    DaemonError,
    DeadlineExceeded,
    ProtocolError,
    RopewayError,
)

DONE = 0
REFUSED = 1
"""The daemon said no, or the user did when asked."""
USAGE = 2
NOTHING = 3
"""Nothing was received."""
UNREACHABLE = 4
"""No connection, a lost one, or no answer in time."""
LOCAL = 5
"""A file, standard input or standard output could not be read or written."""
UNREAD = 128 + signal.SIGPIPE
"""Whoever read the output stopped reading."""


_ERRNO = re.compile(r"\[Errno (-?[0-9]+)\]")
_OPENSSL = re.compile(r"\[SSL[^]]*\] | \(_ssl\.c:[0-9]+\)")
_MISMATCH = {62, 64}
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""


class Exit(Exception):
    """The end of a command. Without a sentence it ends silently; `hint` is what to do next."""

    def __init__(self, code: int, sentence: str = "", hint: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.hint = hint


RANGES = {
    "visibility_timeout": "0s to 12h",
    "delay": "0s to 15m",
    "retention_period": "1m to 14d",
    "receive_wait_time": "0s to 20s",
    "maximum_message_size": "1KiB to 1MiB",
    "maximum_delay": "15m to 14d",
    "kms_data_key_reuse_period": "1m to 1d",
}
"""The daemon's ranges, for help and hints; it is the daemon that checks."""


def unreadable(name: str, error: OSError) -> Exit:
    """A file that cannot be read or written."""
    return Exit(LOCAL, f"{name}: {error.strerror or error}")


def unwritable(error: OSError) -> Exit:
    """Standard output that takes no more."""
    if error.errno == errno.EPIPE:
        return Exit(UNREAD)
    return Exit(LOCAL, f"cannot write the output: {error.strerror or error}")


def explain(error: RopewayError, queue: str | None = None) -> Exit:
    """The end that an error of the library means. `queue` is the one that the command was about."""
    if isinstance(error, DaemonError):
        return Exit(REFUSED, f"{error.code}: {_without_hints(error)}", _hint(error, queue))
    if isinstance(error, BatchError):
        return Exit(REFUSED, str(error))
    if isinstance(error, ConnectionFailed):
        return Exit(UNREACHABLE, _plainly(error), _where_to_look(error))
    if isinstance(error, ConnectionLost):
        return Exit(UNREACHABLE, f"ConnectionLost: {error}", "Look before you repeat it.")
    if isinstance(error, DeadlineExceeded):
        return Exit(UNREACHABLE, f"DeadlineExceeded: {error}", "--timeout gives the daemon longer.")
    if isinstance(error, (ProtocolError, BrokerClosed)):
        hint = "Is it a ropeway daemon that listens there, with the same use of TLS?"
        return Exit(UNREACHABLE, f"{type(error).__name__}: {error}", hint)
    return Exit(REFUSED, str(error))


def _plainly(error: ConnectionFailed) -> str:
    """The error without the numbers and calls in which the system's reason is wrapped."""
    if isinstance(error.__cause__, ssl.SSLError):
        return _OPENSSL.sub("", str(error))
    reason = str(error.__cause__)
    numbers = dict.fromkeys(int(number) for number in _ERRNO.findall(reason))
    if not numbers or not str(error).endswith(reason):
        return str(error)
    # Those of getaddrinfo are negative, and have no text but their own.
    texts = [os.strerror(each) if each > 0 else reason.partition("] ")[2] for each in numbers]
    return str(error).removesuffix(reason) + ", ".join(texts)


def _where_to_look(error: ConnectionFailed) -> str:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        if cause.verify_code in _MISMATCH:
            return "The host in the URL must be one that the certificate names."
        return "?ca=FILE behind the URL names the certificates to trust."
    if isinstance(cause, ssl.SSLError):
        return "Does the daemon speak TLS there? Without it, the URL begins with ropeway://."
    if isinstance(cause, OSError):
        return "Is ropewayd running there? --url or ROPEWAY_URL says where to look."
    return "Is it a ropeway daemon that listens there? If it speaks TLS, the URL begins with ropeways://."


def _without_hints(error: DaemonError) -> str:
    # The daemon's advice names actions of the protocol; here commands are what helps.
    return error.message.partition(" `Create")[0]


def _hint(error: DaemonError, queue: str | None) -> str:
    attribute = (error.field or "").rpartition(".")[2]
    match error.code:
        case "QueueDoesNotExist" if queue is not None:
            return f"ropeway queue create {queue} makes it; ropeway queue list shows which there are."
        case "NotFound" if attribute == "topic":
            return "ropeway topic create makes one; ropeway topic list shows which there are."
        case "QueueNameExists" if queue is not None:
            return f"ropeway queue show {queue} shows its settings, ropeway queue set {queue} changes them."
        case "MissingParameter" if attribute == "group":
            return "--group GROUP says which: what is in one group keeps its order."
        case "InvalidParameterValue" if attribute == "deduplication_id":
            return (
                "--deduplication-id ID gives one; --content-based-deduplication is a setting of FIFO queues."
            )
        case "InvalidAttributeValue" if attribute in RANGES:
            return f"{attribute} is {RANGES[attribute]}."
        case "InvalidParameterValue" if attribute in RANGES:
            return f"{attribute} is {RANGES[attribute]}."
        case "AccessDenied":
            return "ROPEWAY_KEY and ROPEWAY_SECRET in the environment say who you are."
        case "ServiceUnavailable":
            return "The daemon starts, stops or is short of disk space; its log says which. Try again later."
        case "OverLimit":
            return "Try again when there are fewer, or raise the limit in the daemon's settings."
        case "InvalidAction":
            return "The daemon is older than this command."
    return ""
