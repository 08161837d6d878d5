"""Requests that are nearly right: each is made from a seed, so that one that fails can be made again."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from ropewayd.protocols.aws import query
from ropewayd.protocols.aws.services import SERVICES
from ropewayd.protocols.aws.sqs.attributes import KNOWN

OPERATIONS = {name: kind for service in SERVICES for name, kind in service.operations.items()}
QUEUES = ["fuzz", "fuzz.fifo", "none", "a/b", "x" * 90, "", "ä", "arn:aws:sqs:us-east-1:000000000000:fuzz"]
TEXTS = [
    *("", "x", "0", "-1", "1e400", "None", "true", "All", "*", ".*", "a.b", "..", "AWS.x", "\x00", "\ud800"),
    *("😀", "\ufffe", "{}", "[]", "]]>", "<a>&", "%", "%zz", "%2F", "x" * 300, "{" * 50, "a\r\nb", "'\"\\"),
    *("arn:aws:sqs:us-east-1:000000000000:fuzz", "arn:aws:sqs::::", "AAAA", "AAAAAQAAAAAAAAABAAAAAQAAAaIT"),
]  # fmt: skip
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 10, 43_200, 2**31, 2**63, 2**64, -(10**40), 0.5, 1e308, float("nan")),
    *([], {}, [[]], [None], {"": ""}, {"a": {"b": {"c": [1, {"d": 2}]}}}),
]  # fmt: skip
# Nothing that would be waited for.
WAITS = [0, -1, 21, 10**12, "0", "x", None]
HOSTS = [
    "x",
    "sqs.us-east-1.amazonaws.com",
    "us-east-1.queue.x",
    "[::1]:80",
    "a b",
    "<>",
    "x" * 300,
    "x:99999",
    ":",
]


class Fuzz:
    """One seed's requests."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def chance(self, part: float) -> bool:
        return self.dice.random() < part

    def request(self, host: str) -> bytes:
        """The bytes of one request, which HTTP at least can read, or nearly."""
        name = self.dice.choice(list(OPERATIONS))
        plain = self.members(OPERATIONS[name])
        if name == "DeleteQueue":
            plain["QueueUrl"] = self.dice.choice(TEXTS)  # or all that follows would find nothing
        as_json = self.chance(0.5)
        headers = {"Host": host}
        method, path, body = "POST", self.path(), b""
        if as_json:
            headers["X-Amz-Target"] = f"AmazonSQS.{name}"
            headers["Content-Type"] = "application/x-amz-json-1.0"
            if self.chance(0.5):
                headers["x-amzn-query-mode"] = "true"
            body = json.dumps(plain).encode()
            if self.chance(0.05):
                body = b'{"QueueUrl":"x",' * self.dice.randrange(3000) + body
        else:
            form = self.form(name, plain)
            if self.chance(0.2):
                method, path = "GET", f"{path}?{form}"
            else:
                body = form.encode("utf-8", "surrogatepass")
                headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = self.damaged(body)
        self.headers(headers)
        if headers.get("Content-Encoding") == "gzip" and self.chance(0.5):
            body = gzip.compress(body, 1)
        headers["Content-Length"] = str(len(body))
        lines = [f"{method} {path} HTTP/1.1", *(f"{each}: {value}" for each, value in headers.items())]
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body

    def path(self) -> str:
        if self.chance(0.8):
            return "/"
        queue = quote(self.queue().encode("utf-8", "surrogatepass"), safe="")
        forms = [
            "/000000000000/{}",
            "/queue/us-east-1/000000000000/{}",
            "/1/{}",
            "//{}",
            "/{}/..",
            "/%2e%2e/{}",
            "/{}?",
        ]
        return self.dice.choice(forms).format(queue)

    def members(self, kind: type[msgspec.Struct], depth: int = 0) -> dict[str, Any]:
        """An operation's members, most of them as they should be."""
        made: dict[str, Any] = {}
        for field in msgspec.structs.fields(kind):
            if self.chance(0.01 if field.required or field.encode_name == "QueueUrl" else 0.7):
                continue
            made[field.encode_name] = self.value(kind, field.name, field.encode_name, depth)
        if self.chance(0.03):
            made[self.dice.choice(TEXTS)] = self.dice.choice(VALUES)
        return made

    def value(self, kind: type[msgspec.Struct], field: str, name: str, depth: int) -> Any:
        if name == "WaitTimeSeconds":
            return self.dice.choice(WAITS)
        if self.chance(0.02):
            return self.dice.choice(VALUES)
        inner = query._inner(kind, field)
        right: dict[str, Callable[[], Any]] = {
            "QueueUrl": lambda: f"http://any/000000000000/{self.queue()}",
            "QueueName": self.queue,
            "Attributes": self.attributes,
            "Entries": lambda: [self.members(inner, depth + 1) for _ in range(self.dice.randrange(13))],
        }
        if name in right:
            return right[name]()
        if name in query.MAPS:
            texts = [self.text() for _ in range(self.dice.randrange(4))]
            return {
                each: self.members(inner, depth + 1) if inner and depth < 3 else self.text() for each in texts
            }
        if name in query.LISTS:
            return [self.dice.choice([self.text(), "All", *KNOWN]) for _ in range(self.dice.randrange(5))]
        if any(word in name for word in ("Seconds", "Max", "Timeout")):
            return self.dice.choice([0, 1, 5, 10, 901, 43_201, "7", "x"])
        if name == "Id":
            return f"id-{self.dice.randrange(10**6)}"
        if name.endswith("Arn"):
            return f"arn:aws:sqs:us-east-1:000000000000:{self.queue()}"
        return {"DataType": self.dice.choice(["String", "Number", "Binary", "Binary.x", "", "Other"])}.get(
            name, self.text()
        )

    def attributes(self) -> dict[str, Any]:
        names = [each for each in KNOWN if each != "ReceiveMessageWaitTimeSeconds"]
        policy = '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:fuzz","maxReceiveCount":3}'
        values = [policy, "true", "0", "60", "100", '{"redrivePermission":"denyAll"}', *TEXTS]
        return {
            self.dice.choice(names): self.dice.choice(values) for _ in range(self.dice.choice([0, 0, 1, 3]))
        }

    def queue(self) -> str:
        return "fuzz" if self.chance(0.6) else self.dice.choice(QUEUES)

    def text(self) -> str:
        return "x" if self.chance(0.5) else self.dice.choice(TEXTS)

    def form(self, name: str, plain: dict[str, Any]) -> str:
        parts = {"Action": name, "Version": "2012-11-05" if self.chance(0.9) else self.text()}
        for member, value in plain.items():
            self.flatten(parts, self.element(name, member), value)
        pairs = [
            f"{quote_plus(key, errors='replace')}={quote_plus(value, errors='replace')}"
            for key, value in parts.items()
        ]
        self.dice.shuffle(pairs)
        return "&".join(pairs)

    def element(self, name: str, member: str) -> str:
        if member == "Entries":
            return OPERATIONS[name].entry
        return query.LISTS.get(member) or query.MAPS.get(member, (member,))[0]

    def flatten(self, into: dict[str, str], name: str, value: Any) -> None:
        if isinstance(value, dict):
            entry = name.rpartition(".")[0].endswith("RequestEntry")
            if entry or name.endswith(".Value"):
                for key, each in value.items():
                    self.flatten(into, f"{name}.{self.element('', key) if key != 'Entries' else key}", each)
                return
            for place, (key, each) in enumerate(value.items(), 1):
                into[f"{name}.{place}.Name"] = str(key)
                self.flatten(into, f"{name}.{place}.Value", each)
        elif isinstance(value, list):
            for place, each in enumerate(value, self.dice.choice([0, 1, 1, 1, 7])):
                self.flatten(into, f"{name}.{place}", each)
        else:
            into[name] = str(value)

    def damaged(self, body: bytes) -> bytes:
        if not body or not self.chance(0.1):
            return body
        raw = bytearray(body)
        for _ in range(self.dice.randrange(1, 4)):
            place = self.dice.randrange(len(raw))
            act = self.dice.randrange(3)
            if act == 0:
                raw[place] ^= 1 << self.dice.randrange(8)
            elif act == 1:
                del raw[place : place + self.dice.randrange(1, 20)]
                raw = raw or bytearray(b"x")
            else:
                raw[place:place] = self.dice.randbytes(3)
        return bytes(raw)

    def headers(self, headers: dict[str, str]) -> None:
        """A few headers changed or added."""
        junk = self.dice.choice(
            [each for each in TEXTS if "\n" not in each and "\x00" not in each and each.isascii()]
        )
        changes: list[tuple[str, str]] = [
            (
                "X-Amz-Target",
                self.dice.choice(
                    ["AmazonSQS.", ".", "AmazonSQS.Nothing", "AmazonSQS.ReceiveMessage.x", junk]
                ),
            ),
            ("Content-Type", self.dice.choice(["text/plain", "application/x-amz-json-1.1", junk])),
            ("Content-Encoding", self.dice.choice(["gzip", "deflate", "br", junk])),
            ("Accept", self.dice.choice(["application/json", "*/*", junk])),
            ("Host", self.dice.choice(HOSTS)),
            ("Origin", self.dice.choice(["http://localhost", "https://evil.example", "null", junk])),
            ("X-Forwarded-Proto", self.dice.choice(["https", "ftp", junk])),
            ("X-Forwarded-Host", self.dice.choice(HOSTS)),
            ("X-Forwarded-Port", self.dice.choice(["1", "99999", "-1", junk])),
            ("X-Amzn-Trace-Id", self.dice.choice(["Root=1", junk, "x" * 2000])),
            ("Authorization", self.authorization()),
        ]
        for _ in range(self.dice.choice([0, 0, 0, 0, 1, 2, 3])):
            name, value = self.dice.choice(changes)
            headers[name] = value

    def authorization(self) -> str:
        credential = self.dice.choice(
            [
                "a/20261125/us-east-1/sqs/aws4_request",
                "a/b",
                "",
                "////",
                "1" * 12 + "/20261125/x/sts/aws4_request",
            ]
        )
        return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
