"""The protocol lambda: a function that is called with each message, in the shape that AWS Lambda knows.

A function is found by the name in the endpoint's ARN, whatever its account and region: first in the registry,
where it is a URL or a program of this machine, then behind the Invoke API that the settings name. One that is
nowhere refuses its messages, as a deleted one does at AWS. Of a program, an exit code other than 0 is a
failure that is tried again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from .answering import Attempt
from .command import run
from .delivery import DELIVERED, REFUSED, RETRY, Answer, Delivery
from .envelope import envelope, shown_attributes, whole
from .seal import Seal
from .web import Unreachable, Web

_ARN: Final = re.compile(
    r"arn:[a-z-]+:lambda:[a-z0-9-]*:[0-9]*:function:(?P<name>[A-Za-z0-9_-]{1,140})"
    r"(?::(?P<qualifier>[A-Za-z0-9_$-]{1,128}))?"
)
JSON: Final = {"Content-Type": "application/json"}
VERSION: Final = "1"
"""Of the signature that a function gets, whatever its topic says (as at AWS)."""


class Address(msgspec.Struct, frozen=True):
    """A function that is a server: events are posted to `url`."""

    url: str


class Program(msgspec.Struct, frozen=True):
    """A function that is a program, run with an event on its standard input. `timeout` is in seconds."""

    argv: tuple[str, ...]
    timeout: float


class Functions:
    """Calls functions. `invoke` is where the Invoke API is, empty if nowhere; `programs` run at one time."""

    def __init__(
        self,
        registry: Mapping[str, Address | Program],
        invoke: str,
        web: Web,
        programs: int,
        seal: Seal | None = None,
    ) -> None:
        self._seal = seal
        self._registry = registry
        self._invoke = invoke.rstrip("/")
        self._web = web
        self._free = asyncio.Semaphore(programs)

    async def send(self, delivery: Delivery) -> Answer:
        """Call the function of one delivery."""
        attempt = Attempt()
        named = read_arn(delivery.endpoint)
        if named is None:
            return attempt.ends(REFUSED, None, "the endpoint is not a function's ARN")
        name, qualifier = named
        content = msgspec.json.encode(await self._event(delivery))
        there = self._registry.get(name)
        if isinstance(there, Program):
            return await self._run(there, content)
        if there is not None:
            return await self._post(attempt, there.url, content, JSON)
        if not self._invoke:
            return attempt.ends(REFUSED, None, f"there is no function {name}")
        url = f"{self._invoke}/2015-03-31/functions/{quote(name, safe='')}/invocations"
        if qualifier:
            url += f"?Qualifier={quote(qualifier, safe='')}"
        return await self._post(attempt, url, content, JSON | {"X-Amz-Invocation-Type": "Event"})

    async def _event(self, delivery: Delivery) -> dict[str, Any]:
        if self._seal is None:
            return event(delivery)
        return event(delivery, await self._seal.put(envelope(delivery), delivery, VERSION))

    async def _post(self, attempt: Attempt, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            reply = await self._web.post(url, content, headers)
        except Unreachable as wrong:
            return attempt.ends(RETRY, None, str(wrong))
        # An emulator that runs the function before it answers says so here when it failed.
        failed = reply.outcome == DELIVERED and "x-amz-function-error" in reply.headers
        outcome = RETRY if failed else reply.outcome
        return attempt.ends(outcome, reply.status, reply.text, reply.retry_after_ms)

    async def _run(self, program: Program, content: bytes) -> Answer:
        async with self._free:
            attempt = Attempt()
            try:
                ended = await run(program.argv, content, program.timeout)
            except OSError as wrong:
                return attempt.ends(RETRY, None, f"{program.argv[0]}: {wrong.strerror}")
        if ended.code is None:
            return attempt.ends(RETRY, None, f"it took longer than {program.timeout:g} s")
        return attempt.ends(DELIVERED if ended.code == 0 else RETRY, ended.code, ended.output)

    async def close(self) -> None:
        """End the connections."""
        await self._web.close()


def read_arn(text: str) -> tuple[str, str | None] | None:
    """The name and the qualifier in a function's ARN; None if it is none."""
    found = _ARN.fullmatch(text)
    return None if found is None else (found["name"], found["qualifier"])


def event(delivery: Delivery, signed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a function is called with: one record, with the signature of the envelope. AWS says Url here where
    envelopes say URL."""
    signature = {}
    if signed is not None:
        signature = {name: signed[name] for name in ("SignatureVersion", "Signature")}
        signature["SigningCertUrl"] = signed.get("SigningCertURL", "")
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": delivery.subscription,
                "Sns": {
                    "Type": delivery.kind,
                    "MessageId": delivery.message_id,
                    "TopicArn": delivery.topic,
                    "Subject": None if delivery.subject is None else whole(delivery.subject),
                    "Message": whole(delivery.body),
                    "Timestamp": delivery.timestamp,
                    **signature,
                    "UnsubscribeUrl": delivery.unsubscribe_url,
                    "MessageAttributes": shown_attributes(delivery),
                },
            }
        ]
    }
