"""The binary protocol, version 1, as bytes. No I/O here.

A frame is a 4-byte big-endian length and that many bytes of msgpack. Frames are cut by their length and
unpacked whole, and what the peer may make us allocate is bounded: its frame, its element counts, its nesting.
"""

from __future__ import annotations

import enum
import hmac
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgpack

from ropeway.errors import DaemonError, ProtocolError, answered

VERSION = 1
FRAME_LIMIT = 16 * 1024 * 1024
GREETING_LIMIT = 64 * 1024
"""What a frame may measure before the peer has proved anything."""
ELEMENTS_LIMIT = 1024
"""The longest array or map in an answer: 1,000 results, messages or queue names."""
BATCH_LIMIT = 1000

_LENGTH = struct.Struct(">I")
_pack = msgpack.Packer(use_bin_type=True, autoreset=True).pack


class Action(enum.IntEnum):
    """Every action of the protocol and its code."""

    Hello = 0
    Ping = 1
    CreateQueue = 10
    DeleteQueue = 11
    ListQueues = 12
    GetQueueAttributes = 13
    SetQueueAttributes = 14
    PurgeQueue = 15
    SendMessage = 20
    ReceiveMessage = 21
    DeleteMessage = 22
    ChangeMessageVisibility = 23
    ListDeadLetterSourceQueues = 30
    StartMessageMoveTask = 31
    CancelMessageMoveTask = 32
    ListMessageMoveTasks = 33
    ShowStore = 100
    BackupStore = 101
    TagQueue = 40
    UntagQueue = 41
    ListQueueTags = 42
    AddPermission = 43
    RemovePermission = 44
    PeekMessages = 45
    ReceiveFromQueues = 46
    CreateTopic = 60
    DeleteTopic = 61
    ListTopics = 62
    GetTopicAttributes = 63
    SetTopicAttributes = 64
    TagTopic = 65
    UntagTopic = 66
    ListTopicTags = 67
    AddTopicPermission = 68
    RemoveTopicPermission = 69
    Subscribe = 70
    Unsubscribe = 71
    ListSubscriptions = 72
    GetSubscriptionAttributes = 73
    SetSubscriptionAttributes = 74
    PublishMessage = 75
    ConfirmSubscription = 76
    SetSmsAttributes = 110
    GetSmsAttributes = 111
    CheckIfPhoneNumberIsOptedOut = 112
    ListPhoneNumbersOptedOut = 113
    OptInPhoneNumber = 114
    CreateSandboxPhoneNumber = 115
    VerifySandboxPhoneNumber = 116
    DeleteSandboxPhoneNumber = 117
    ListSandboxPhoneNumbers = 118
    PublishText = 119
    ListDeliveries = 135


REPEATABLE = frozenset(Action) - {
    Action.SendMessage,
    Action.DeleteQueue,
    Action.PurgeQueue,
    Action.StartMessageMoveTask,
    Action.CancelMessageMoveTask,
    Action.AddPermission,
    Action.RemovePermission,
    Action.BackupStore,
    Action.DeleteTopic,
    Action.AddTopicPermission,
    Action.PublishMessage,
}
"""What may be asked again when its answer was lost. Not the others: a message would be there twice, a queue
that was made again, or filled again, in between would be deleted or emptied, and what was allowed, taken
back, begun or cancelled already would be an error."""


@dataclass(frozen=True)
class Limits:
    """What the daemon allows on one connection."""

    frame: int = FRAME_LIMIT
    requests: int = 1024
    bytes: int = 32 * 1024 * 1024
    batch: int = BATCH_LIMIT

    @property
    def request(self) -> int:
        """The largest frame that can be sent, its length field included."""
        return min(self.frame + _LENGTH.size, self.bytes)


@dataclass(frozen=True)
class Greeting:
    """The first frame of the daemon."""

    server: str
    nonce: bytes
    keys: bool
    limits: Limits


def pack(value: object) -> bytes:
    """One value. Raises TypeError, ValueError or OverflowError for what msgpack cannot hold."""
    packed: bytes = _pack(value)
    return packed


def payload(action: Action, params: dict[str, object]) -> bytes:
    """A request without its id, so that it can be sent again under another."""
    return pack(int(action)) + pack(params)


def batch_payload(action: Action, queue: str, field: str, entries: Sequence[bytes]) -> bytes:
    """As `payload`, of entries that are packed already."""
    count = len(entries)
    header = b"%c" % (0x90 | count) if count < 16 else b"\xdc" + struct.pack(">H", count)
    return b"".join((pack(int(action)), b"\x82", pack("queue"), pack(queue), pack(field), header, *entries))


def frame(request_id: int, body: bytes) -> bytes:
    """The whole frame of a request."""
    head = b"\x93" + pack(request_id)
    return _LENGTH.pack(len(head) + len(body)) + head + body


FRAME_OVERHEAD = _LENGTH.size + 1 + 5
"""The most that `frame` adds to a payload."""


class Cutter:
    """Cuts a stream of bytes into frames, none longer than `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._rest = bytearray()
        self._wanted = _LENGTH.size

    def feed(self, data: bytes) -> Iterator[memoryview]:
        """The frames that are complete with these bytes. A view is valid until the next is asked for."""
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < self._wanted:
                return
            data = bytes(rest)
            rest.clear()
        view = memoryview(data)
        position, end = 0, len(view)
        while True:
            start = position + _LENGTH.size
            if start > end:
                self._wanted = _LENGTH.size
                break
            (length,) = _LENGTH.unpack_from(view, position)
            if not 0 < length <= self.limit:
                raise ProtocolError(
                    f"the daemon sent a frame of {length} bytes; 1 to {self.limit} are allowed"
                )
            if start + length > end:
                self._wanted = _LENGTH.size + length
                break
            yield view[start : start + length]
            position = start + length
        rest += view[position:]


def unpack(data: memoryview | bytes) -> object:
    """The value of one frame; arrays become tuples. Raises ProtocolError."""
    try:
        return msgpack.unpackb(
            data,
            raw=False,
            use_list=False,
            max_array_len=ELEMENTS_LIMIT,
            max_map_len=ELEMENTS_LIMIT,
            max_ext_len=0,
        )
    except ValueError as error:
        # The text of a decoding error may quote the frame.
        raise ProtocolError(
            f"the daemon sent a frame that is not valid msgpack ({type(error).__name__})"
        ) from None


def read_error(value: object) -> DaemonError:
    """The exception for an error array [code, message, field or nil]."""
    match value:
        case (str(code), str(message), None | str() as field):
            return answered(code, message, field)
    raise ProtocolError("the daemon sent an error of the wrong shape")


def read_answer(value: object) -> tuple[int, object, DaemonError | None]:
    """The id, result and error of any frame of the daemon."""
    match value:
        case (int(request_id), 0, result):
            return request_id, result, None
        case (int(request_id), 1, error):
            return request_id, None, read_error(error)
    raise ProtocolError("the daemon sent a frame that is no answer")


def read_greeting(value: object) -> Greeting:
    """The daemon's first frame. Raises ProtocolError, or what the daemon says instead of a greeting."""
    request_id, greeting, error = read_answer(value)
    if error is not None:
        raise error
    match greeting:
        case {
            "protocol": "ropeway",
            "versions": (int(oldest), int(newest)),
            "server": str(server),
            "nonce": bytes(nonce),
            "keys": bool(keys),
            "limits": {
                "frame": int(size),
                "requests": int(requests),
                "bytes": int(outstanding),
                "batch": int(batch),
            },
        } if request_id == 0 and len(nonce) == 32:
            if not oldest <= VERSION <= newest:
                raise ProtocolError(
                    f"{server} speaks versions {oldest} to {newest} of the protocol; this library {VERSION}"
                )
            if min(size, requests, outstanding, batch) < 1:
                raise ProtocolError("the daemon's greeting states a limit below 1")
            limits = Limits(min(size, FRAME_LIMIT), requests, outstanding, min(batch, BATCH_LIMIT))
            return Greeting(server, nonce, keys, limits)
    raise ProtocolError("the peer does not greet as a ropeway daemon")


def proof(side: str, secret: str, key: str, first_nonce: bytes, second_nonce: bytes) -> bytes:
    """What shows knowledge of the secret; `side` is client or server, and the other side's nonce comes
    first."""
    said = b"ropeway %s\0" % side.encode() + first_nonce + second_nonce + key.encode()
    return hmac.digest(secret.encode(), said, "sha256")
