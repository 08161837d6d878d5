"""SQS over HTTP as the load speaks it: JSON 1.0 on kept connections, signed with Signature Version 4.

As with the other wires the load does as little as it can. A send or a receive is encoded and signed once for
each connection and is good for a quarter of an hour, which no match lasts; a delete is signed each time. A
connection has one request outstanding: answers on it come in order, and have no id.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import time
import uuid
from collections.abc import Sequence
from typing import Any

from bench.wire import POLL_MS, QUEUE, Answer, Plain, UnexpectedAnswer, call

KEY, SECRET = "AKIDBENCH", "a-secret-of-the-harness"
ENVIRON = {"ROPEWAY_KEYS_SECRETS": f"{KEY}:{SECRET}"}
"""Of a daemon that verifies signatures."""

REGION, SERVICE, ACCOUNT = "us-east-1", "sqs", "000000000000"
JSON_TYPE = "application/x-amz-json-1.0"
SIGNED = "content-type;host;x-amz-date;x-amz-target"


def request(port: int, operation: str, parameters: dict[str, Any]) -> bytes:
    """A signed request, from its first line to the end of its body."""
    body = json.dumps(parameters, separators=(",", ":")).encode()
    host, stamp = f"127.0.0.1:{port}", time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    headers = {
        "content-type": JSON_TYPE,
        "host": host,
        "x-amz-date": stamp,
        "x-amz-target": f"AmazonSQS.{operation}",
    }
    scope = f"{stamp[:8]}/{REGION}/{SERVICE}/aws4_request"
    said = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n\n{said}\n{SIGNED}\n{hashlib.sha256(body).hexdigest()}"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in (*scope.split("/"), to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"Credential={KEY}/{scope}, SignedHeaders={SIGNED}, Signature={key.hex()}"
    headers |= {"authorization": f"AWS4-HMAC-SHA256 {credential}", "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + body


class HttpWire(Plain):
    """The AWS face's codec, one request at a time. A body is sent as base64: it is to be text."""

    empty_pause = 0.0

    def __init__(self, port: int, queue: str = QUEUE, poll: int = POLL_MS) -> None:
        """`poll` is a receive's longest wait, in milliseconds; SQS knows whole seconds only."""
        self._port = port
        self._wait = -(-poll // 1000)
        self._url = f"http://127.0.0.1:{port}/{ACCOUNT}/{queue}"
        self._rest = b""

    def send(self, slot: int, bodies: Sequence[bytes]) -> bytes:
        assert slot == 1
        texts = [base64.b64encode(body).decode()[: len(body)] for body in bodies]
        if len(texts) == 1:
            return request(self._port, "SendMessage", {"QueueUrl": self._url, "MessageBody": texts[0]})
        entries = [{"Id": str(number), "MessageBody": text} for number, text in enumerate(texts)]
        return request(self._port, "SendMessageBatch", {"QueueUrl": self._url, "Entries": entries})

    def receive(self, slot: int, most: int) -> bytes:
        assert slot == 1
        parameters = {"QueueUrl": self._url, "MaxNumberOfMessages": most, "WaitTimeSeconds": self._wait}
        return request(self._port, "ReceiveMessage", parameters)

    def delete(self, slot: int, handles: Sequence[Any]) -> bytes:
        assert slot == 1
        entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles)]
        return request(self._port, "DeleteMessageBatch", {"QueueUrl": self._url, "Entries": entries})

    def ids_and_handles(self, messages: Sequence[Any]) -> tuple[list[bytes], list[Any]]:
        return [id_of(m) for m in messages], [m["ReceiptHandle"] for m in messages]

    def answers(self, data: bytes) -> list[Answer]:
        status, body = self._cut(data)
        if status == 0:
            return []
        if status != 200:
            return [(1, status, body.decode(errors="replace"))]
        return [(1, 0, meaning(json.loads(body) if body else {}))]

    def _cut(self, data: bytes) -> tuple[int, bytes]:
        """Status and body of the one answer that is waited for; 0 while it is not whole."""
        data = self._rest = self._rest + data
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            return 0, b""
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) < length:
            return 0, b""
        assert len(rest) == length, "more came than was asked for"
        self._rest = b""
        return int(head[9:12]), rest

    def create(self, connection: socket.socket, name: str = QUEUE) -> None:
        """Creates a queue."""
        call(connection, self, request(self._port, "CreateQueue", {"QueueName": name}))

    def left(self, connection: socket.socket) -> int:
        parameters = {"QueueUrl": self._url, "AttributeNames": ["All"]}
        said = call(connection, self, request(self._port, "GetQueueAttributes", parameters))["Attributes"]
        counted = ("", "NotVisible", "Delayed")
        return sum(int(said[f"ApproximateNumberOfMessages{kind}"]) for kind in counted)


class NothingWire(HttpWire):
    """The same requests to a server that answers each with nothing."""

    def answers(self, data: bytes) -> list[Answer]:
        status, _ = self._cut(data)
        return [(1, 0 if status == 200 else status, [])] if status else []

    def left(self, connection: socket.socket) -> int:
        return 0


def meaning(answer: dict[str, Any]) -> Any:
    """What a load wants to know: ids of sends, messages of a receive, errors of a delete; else all of it."""
    if "MessageId" in answer:
        return [id_of(answer)]
    if answer.get("Failed"):
        raise UnexpectedAnswer(f"a part of a batch was refused: {answer['Failed'][0]}")
    if "Successful" in answer:
        said = answer["Successful"]
        return [id_of(each) for each in said] if said and "MessageId" in said[0] else []
    if "Messages" in answer or not answer:
        return answer.get("Messages", [])
    return answer


def id_of(said: dict[str, Any]) -> bytes:
    """A message's id as the other wires know it."""
    return uuid.UUID(said["MessageId"]).bytes
