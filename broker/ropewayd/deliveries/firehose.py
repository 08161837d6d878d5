"""The protocol firehose: a stream of records, kept in files here or posted to a server.

A record is the envelope, or the message itself with raw delivery. In files each is a line: a raw message that
has several is written as JSON on one, as it is where it is JSON, else as a string. A server gets the requests
of Firehose's HTTP endpoint delivery and must answer as one: 200, and the request's id in JSON. Only a record
that it finds too large (413) is given up; all else is tried again.
"""

from __future__ import annotations

import base64
import re
import time
import uuid
from pathlib import Path
from typing import Final

import msgspec

from .answering import Attempt
from .delivery import DELIVERED, REFUSED, RETRY, Answer, Delivery
from .envelope import envelope, whole
from .rolling_file import RollingFile, RollingLimits
from .seal import Seal
from .web import Unreachable, Web

_ARN: Final = re.compile(
    r"arn:[a-z-]+:firehose:(?P<region>[a-z0-9-]{1,64}):(?P<account>[0-9]{12}):"
    r"deliverystream/(?P<name>[A-Za-z0-9_.-]{1,64})"
)


class Stream(msgspec.Struct, frozen=True):
    """What a delivery stream's ARN says."""

    region: str
    account: str
    name: str


def read_arn(text: str) -> Stream | None:
    """What a delivery stream's ARN says; None if it is none."""
    found = _ARN.fullmatch(text)
    return None if found is None else Stream(found["region"], found["account"], found["name"])


async def record(delivery: Delivery, seal: Seal | None = None) -> bytes:
    """What a stream gets of a delivery."""
    if delivery.raw:
        return whole(delivery.body).encode()
    told = envelope(delivery)
    return msgspec.json.encode(told if seal is None else await seal.put(told, delivery))


def one_line(content: bytes) -> bytes:
    """A record as a line of a file."""
    if b"\n" not in content and b"\r" not in content:
        return content
    try:
        return msgspec.json.encode(msgspec.json.decode(content))
    except (msgspec.DecodeError, RecursionError):
        return msgspec.json.encode(content.decode())


class StreamFiles:
    """Streams as files, ACCOUNT/REGION/NAME-000001.ndjson in `folder`; `most` streams since the start."""

    def __init__(self, folder: Path, limits: RollingLimits, most: int, seal: Seal | None = None) -> None:
        self._seal = seal
        self._folder = folder
        self._limits = limits
        self._most = most
        self._files: dict[Stream, RollingFile] = {}

    async def send(self, delivery: Delivery) -> Answer:
        """Append one record."""
        attempt = Attempt()
        stream = read_arn(delivery.endpoint)
        if stream is None:
            return attempt.ends(REFUSED, None, "the endpoint is not a delivery stream's ARN")
        file = self._files.get(stream)
        if file is None:
            if len(self._files) >= self._most:
                return attempt.ends(RETRY, None, f"there are {self._most} streams, and that is the limit")
            folder = self._folder / stream.account / stream.region
            file = self._files[stream] = RollingFile(folder, stream.name, self._limits)
        try:
            await file.append(one_line(await record(delivery, self._seal)))
        except OSError as wrong:
            return attempt.ends(RETRY, None, f"the stream's file: {wrong.strerror}")
        return attempt.ends(DELIVERED, None, "")

    async def close(self) -> None:
        """Wait for what is being written."""
        for file in self._files.values():
            await file.close()


class StreamServer:
    """A server that streams are posted to. It is told the access key, unless that is empty."""

    def __init__(self, url: str, access_key: str, web: Web, seal: Seal | None = None) -> None:
        self._seal = seal
        self._url = url
        self._access_key = access_key
        self._web = web

    async def send(self, delivery: Delivery) -> Answer:
        """Post one record."""
        attempt = Attempt()
        if read_arn(delivery.endpoint) is None:
            return attempt.ends(REFUSED, None, "the endpoint is not a delivery stream's ARN")
        # The same request that is made again has the same id.
        id_ = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{delivery.subscription}/{delivery.message_id}"))
        headers = {
            "Content-Type": "application/json",
            "X-Amz-Firehose-Protocol-Version": "1.0",
            "X-Amz-Firehose-Request-Id": id_,
            "X-Amz-Firehose-Source-Arn": delivery.endpoint,
            "X-Amz-Firehose-Common-Attributes": '{"commonAttributes":{}}',
        }
        if self._access_key:
            headers["X-Amz-Firehose-Access-Key"] = self._access_key
        content = {
            "requestId": id_,
            "timestamp": int(time.time() * 1000),
            "records": [{"data": base64.b64encode(await record(delivery, self._seal)).decode()}],
        }
        try:
            reply = await self._web.post(self._url, msgspec.json.encode(content), headers)
        except Unreachable as wrong:
            return attempt.ends(RETRY, None, str(wrong))
        outcome, said = RETRY, reply.text
        if reply.status == 413:
            outcome = REFUSED
        elif reply.status == 200:
            if _request_id(reply.body) == id_:
                outcome = DELIVERED
            else:
                said = f"not an answer to this request: {said}"
        return attempt.ends(outcome, reply.status, said, reply.retry_after_ms)

    async def close(self) -> None:
        """End the connections."""
        await self._web.close()


def _request_id(body: bytes) -> object:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    return said.get("requestId") if isinstance(said, dict) else None
