"""A peer for the client library: a small broker in memory that speaks the wire over a real Unix socket.

It is as simple as can be (no durability, no timers but the long poll), and a test can script it: answer an
action otherwise, cut a connection, send bytes that are not the protocol, or say nothing.
"""

import asyncio
import hmac
import os
import struct
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

import ropeway

PATIENCE = 30.0
"""Seconds to wait for what should take a moment: then the test fails, and does not hang."""

FIXED = {
    1: {},
    100: {"messages": 3, "last_lsn": 7},
    101: {"target": "/backup", "records": 2, "batches": 1, "bytes": 9, "last_lsn": 7},
}
"""What is always answered to some actions."""

TOPICS: dict[int, Any] = {
    60: {"topic": "news", "arn": "arn:news", "created": True},
    61: {},
    62: {"topics": ["news"], "next": None},
    63: {"arn": "arn:news", "confirmed": 1},
    64: {},
    65: {},
    66: {},
    67: {"team": "a"},
    68: {},
    69: {},
    70: {"subscription": "arn:news:1", "created": True, "pending": False},
    76: {"subscription": "arn:news:1"},
    71: {},
    72: {"subscriptions": [{"subscription": "arn:news:1"}], "next": None},
    73: {"endpoint": "arn:jobs", "delivered": 2},
    74: {},
    135: {
        "deliveries": [
            {
                "number": 9,
                "at": 1700000000123,
                "subscription": "arn:news:1",
                "protocol": "http",
                "endpoint": "http://127.0.0.1/hook",
                "message": "5b0f4f3e-0000-4000-8000-00000000000a",
                "kind": "Notification",
                "attempt": 1,
                "outcome": "retry",
                "code": 500,
                "duration": 12,
                "answer": "no",
            }
        ],
        "next": None,
    },
}
"""What this peer says of topics, whoever asks."""

PHONES: dict[int, Any] = {
    110: {},
    111: {"sandbox": False},
    112: {"opted_out": False},
    113: {"numbers": ["+4930123456"], "next": None},
    114: {},
    115: {},
    116: {},
    117: {},
    118: {"numbers": [{"number": "+4930123456", "verified": True}], "next": None},
    119: {"id": bytes(16)},
}
"""What this peer says of telephone numbers, whoever asks."""

Answer = tuple[int, Any]
"""0 and a result, or 1 and an error array."""


def error(code: str, message: str = "so it is", parameter: str | None = None) -> Answer:
    """The answer that refuses a request."""
    return 1, [code, message, parameter]


def pack_frame(value: object) -> bytes:
    """A frame as the daemon would send it."""
    data: bytes = msgpack.packb(value)
    return struct.pack(">I", len(data)) + data


@dataclass
class Stored:
    """A message in the peer's memory."""

    id: bytes
    body: str | bytes
    attributes: dict[str, Any] | None
    delay: int | None
    receives: int = 0
    held: bool = False
    token: str | None = None


MOVES: dict[int, dict[str, Any]] = {
    30: {"queues": [], "next": None},
    31: {"task": b"task"},
    32: {"moved": 7},
    33: {
        "tasks": [
            {
                "status": "RUNNING",
                "source": "arn:dead",
                "moved": 7,
                "to_move": 9,
                "started_at": 0,
                "task": b"t",
            }
        ]
    },
}
"""What this peer says of dead letters, whoever asks."""


@dataclass
class Shelf:
    """A queue in the peer's memory."""

    attributes: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)
    messages: list[Stored] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Asked:
    """A request that came."""

    connection: int
    id: int
    action: int
    params: dict[str, Any]


class Peer:
    """Serves on `path`. What it was asked is in `asked`; `script` maps actions to other answers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.queues: dict[str, Shelf] = {}
        self.asked: list[Asked] = []
        self.answered: list[tuple[int, dict[str, Any]]] = []
        """Actions and parameters, when their answers left."""
        self.script: dict[int, Callable[[dict[str, Any]], Answer | None]] = {}
        """Called with the parameters; None means the usual answer."""
        self.deaf: set[int] = set()
        """Actions that are never answered."""
        self.cut_on: set[int] = set()
        """Actions at which the connection is cut, unanswered; each works once."""
        self.keys: dict[str, str] = {}
        self.proves = True
        self.limits = {"frame": 16777216, "requests": 1024, "bytes": 33554432, "batch": 1000}
        self.greeting: bytes | None = None
        """What to send in place of the greeting."""
        self.connections = 0
        self.most_outstanding = 0
        self._outstanding: Counter[int] = Counter()
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    @property
    def url(self) -> str:
        return f"unix:{self.path}"

    def names(self) -> list[int]:
        """The actions that were asked, without the handshakes."""
        return [each.action for each in self.asked if each.action != 0]

    def params(self, action: int) -> list[dict[str, Any]]:
        return [each.params for each in self.asked if each.action == action]

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        """Stop listening, and cut every connection."""
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.path.unlink(missing_ok=True)

    def cut(self) -> None:
        """Cut every connection."""
        for writer in self._writers.values():
            writer.transport.abort()

    def say(self, data: bytes) -> None:
        """Send these bytes on every connection."""
        for writer in self._writers.values():
            writer.write(data)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that a request, its answer or a connection's end brings about."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        self._writers[number] = writer
        try:
            await self._converse(number, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.pop(number, None)
            writer.transport.abort()
            self._news.set()

    async def _converse(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonce = os.urandom(32)
        greeting = {
            "protocol": "ropeway",
            "versions": [1, 1],
            "server": "peer/1",
            "nonce": nonce,
            "keys": bool(self.keys),
            "limits": self.limits,
        }
        writer.write(self.greeting if self.greeting is not None else pack_frame([0, 0, greeting]))
        while True:
            (length,) = struct.unpack(">I", await reader.readexactly(4))
            request_id, action, params = msgpack.unpackb(await reader.readexactly(length))
            self.asked.append(Asked(number, request_id, action, params))
            self._outstanding[number] += 1
            self.most_outstanding = max(self.most_outstanding, self._outstanding[number])
            self._news.set()
            if action in self.cut_on:
                self.cut_on.discard(action)
                return
            if action in self.deaf:
                continue
            task = asyncio.create_task(self._answer(number, writer, request_id, action, params, nonce))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(
        self,
        number: int,
        writer: asyncio.StreamWriter,
        request_id: int,
        action: int,
        params: dict[str, Any],
        nonce: bytes,
    ) -> None:
        scripted = self.script[action](params) if action in self.script else None
        if scripted is not None:
            answer = scripted
        elif action == 0:
            answer = self._hello(params, nonce)
        elif action == 21:
            answer = await self._receive(params, number)
        elif action in MOVES:
            answer = 0, MOVES[action]
        elif action in TOPICS:
            answer = 0, TOPICS[action]
        elif action in PHONES:
            answer = 0, PHONES[action]
        elif action == 75:
            answer = 0, [self._publish(entry, index) for index, entry in enumerate(params["entries"])]
        elif action == 46:
            _, found = await self._receive({**params, "queue": params["queues"][0]}, number)
            answer = 0, {"queue": 0 if found else None, "messages": found}
        elif action in range(40, 46):
            answer = self._owned(action, params)
        else:
            answer = self._usual(action, params)
        self._outstanding[number] -= 1
        if number in self._writers:
            writer.write(pack_frame([request_id, *answer]))
        self.answered.append((action, params))
        self._news.set()

    def _hello(self, params: dict[str, Any], nonce: bytes) -> Answer:
        proof = None
        if self.keys:
            secret = self.keys.get(params.get("key", ""))
            if secret is None:
                return error("AccessDenied")
            said = b"ropeway client\0" + nonce + params["nonce"] + params["key"].encode()
            if not hmac.compare_digest(hmac.digest(secret.encode(), said, "sha256"), params["proof"]):
                return error("AccessDenied")
            said = b"ropeway server\0" + params["nonce"] + nonce + params["key"].encode()
            proof = hmac.digest(secret.encode() if self.proves else b"guess", said, "sha256")
        return 0, {"version": 1, "account": "000000000000", "region": "us-east-1", "proof": proof}

    def _usual(self, action: int, params: dict[str, Any]) -> Answer:
        if action in FIXED:
            return 0, FIXED[action]
        if action == 12:
            return self._list(params)
        name = params["queue"]
        if action == 10:
            created = name not in self.queues
            self.queues.setdefault(name, Shelf(dict(params.get("attributes", {}))))
            return 0, {"queue": name, "arn": f"arn:{name}", "created": created}
        shelf = self.queues.get(name)
        if shelf is None:
            return error("QueueDoesNotExist", "There is no queue of this name.", "queue")
        if action == 11:
            del self.queues[name]
        elif action == 13:
            visible = sum(not each.held for each in shelf.messages)
            return 0, {
                "visibility_timeout": 30000,
                "delay": 0,
                "created_at": 1700000000123,
                "visible": visible,
                **shelf.attributes,
            }
        elif action == 14:
            shelf.attributes |= params["attributes"]
        elif action == 15:
            shelf.messages.clear()
        elif action == 20:
            return 0, [self._send(shelf, entry, index) for index, entry in enumerate(params["entries"])]
        elif action == 22:
            gone = {handle[1:] for handle in params["handles"]}
            shelf.messages = [each for each in shelf.messages if each.id not in gone]
            return 0, [None] * len(params["handles"])
        elif action == 23:
            return 0, [self._change(shelf, entry) for entry in params["entries"]]
        else:
            return error("InvalidAction")
        return 0, {}

    def _owned(self, action: int, params: dict[str, Any]) -> Answer:
        shelf = self.queues[params["queue"]]
        if action == 40:
            shelf.tags |= params["tags"]
        elif action == 41:
            shelf.tags = {key: value for key, value in shelf.tags.items() if key not in params["keys"]}
        elif action == 45:
            return 0, {"messages": [], "next": None}
        return 0, dict(shelf.tags) if action == 42 else {}

    def _list(self, params: dict[str, Any]) -> Answer:
        names = sorted(each for each in self.queues if each.startswith(params.get("prefix", "")))
        names = [each for each in names if each > params.get("after", "")]
        page = names[: params.get("limit", 3)]
        return 0, {"queues": page, "next": page[-1] if len(page) < len(names) else None}

    def _send(self, shelf: Shelf, entry: dict[str, Any], index: int) -> Any:
        if not entry["body"]:
            return ["InvalidMessageContents", f"entries[{index}].body is empty", f"entries[{index}].body"]
        token = entry.get("deduplication_id") or entry.get("token")
        for each in shelf.messages if token else ():
            if each.token == token:
                return each.id
        stored = Stored(uuid.uuid4().bytes, entry["body"], entry.get("attributes"), entry.get("delay"))
        stored.token = token
        shelf.messages.append(stored)
        shelf.news.set()
        return stored.id

    def _publish(self, entry: dict[str, Any], index: int) -> Any:
        if not entry["body"]:
            return ["InvalidMessageContents", f"entries[{index}].body is empty", f"entries[{index}].body"]
        raw = uuid.uuid4().bytes
        return [raw, "1" * 20] if entry.get("group") else raw

    def _change(self, shelf: Shelf, entry: dict[str, Any]) -> Any:
        for each in shelf.messages:
            if each.id == entry["handle"][1:]:
                each.held = entry["visibility_timeout"] > 0
                shelf.news.set()
                return None
        return ["InvalidParameterValue", "The message is gone.", "handle"]

    async def _receive(self, params: dict[str, Any], number: int) -> Answer:
        shelf = self.queues.get(params["queue"])
        if shelf is None:
            return error("QueueDoesNotExist")
        found: list[Stored] = []
        try:
            async with asyncio.timeout(params.get("wait", 0) / 1000 or None):
                while number in self._writers:
                    found = [each for each in shelf.messages if not each.held][
                        : params.get("max_messages", 1)
                    ]
                    if found or not params.get("wait", 0):
                        break
                    shelf.news.clear()
                    await shelf.news.wait()
        except TimeoutError:
            return 0, []
        for each in found:
            each.held = params.get("visibility_timeout", 30000) > 0
            each.receives += 1
        return 0, [
            [each.id, b"h" + each.id, each.body, 1700000000123, each.receives, 1700000000456, each.attributes]
            for each in found
        ]


async def reached(condition: Callable[[], object]) -> None:
    """Let the loop turn until this holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nothing tells of what goes on inside the library
            await asyncio.sleep(0)


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[Peer]:
    """A peer that runs until the block is left."""
    peer = Peer(path)
    await peer.start()
    try:
        yield peer
    finally:
        await peer.stop()


def set_timeout(broker: ropeway.Broker, seconds: float) -> None:
    """Change the patience of one that is connected: it has connected at leisure."""
    assert broker._link is not None
    broker.timeout = broker._link.timeout = seconds
