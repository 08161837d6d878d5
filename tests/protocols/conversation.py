"""The conversations in docs/protocol.md: read, checked against their own values, and played.

`python -m tests.protocols.conversation docs/protocol.md` writes the bytes below each value anew.

A frame is `S` (the daemon sends) or `C` (the client sends), a value as in Python with nil, true, false, and
bare names for what differs each time; below it stand the bytes. `K` gives the daemon an access key; `X` says
that it closes the connection.
"""

from __future__ import annotations

import ast
import hmac
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

BEGIN, END = "<!-- conversations: begin -->", "<!-- conversations: end -->"
_CONSTANTS = {"nil": None, "true": True, "false": False}
_TOKEN = re.compile(r"[0-9a-f]{2}|<\w*(?::\d+)?>")
_BYTES_LINE = re.compile(rf"\s+(?:(?:{_TOKEN.pattern})(?:\s+|$))+")
_SIZES = (("nonce", 32), ("proof", 32), ("handle", 36), ("id", 16))
"""Bytes of what is named so."""


class Name(str):
    """Something that differs from one time to the next."""

    __slots__ = ()


@dataclass
class Frame:
    who: str
    value: Any
    shown: list[str]
    tokens: list[str]


@dataclass
class Conversation:
    title: str
    key: tuple[str, str] | None = None
    frames: list[Frame] = field(default_factory=list)
    closes: bool = False


def read(document: str) -> list[Conversation]:
    """Every conversation of the document."""
    text = document.partition(BEGIN)[2].partition(END)[0]
    found: list[Conversation] = []
    for line in text.splitlines():
        if line.startswith("### "):
            found.append(Conversation(line[4:]))
        elif line.startswith("    K  "):
            found[-1].key = tuple(ast.literal_eval(line[7:]))
        elif line.startswith("    X"):
            found[-1].closes = True
        elif line.startswith(("    S  ", "    C  ")):
            found[-1].frames.append(Frame(line[4], None, [line[7:]], []))
        elif line.startswith("       ") and _BYTES_LINE.fullmatch(line):
            found[-1].frames[-1].tokens += _TOKEN.findall(line)
        elif line.startswith("       "):
            found[-1].frames[-1].shown.append(line[7:])
    for conversation in found:
        for frame in conversation.frames:
            frame.value = _value(ast.parse("\n".join(frame.shown), mode="eval").body)
    return found


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Name(id=name):
            return _CONSTANTS[name] if name in _CONSTANTS else Name(name)
        case ast.List(elts=parts):
            return [_value(part) for part in parts]
        case ast.Dict(keys=keys, values=values):
            return {_value(k): _value(v) for k, v in zip(keys, values, strict=True) if k is not None}
    return ast.literal_eval(node)


def tokens(value: Any) -> list[str]:
    """The frame of this value, as it is written."""
    body = list(_tokens(value))
    if any(re.fullmatch(r"<\w+>", token) for token in body):
        return ["<:4>", *body]
    size = sum(1 if len(token) == 2 else int(token.partition(":")[2][:-1]) for token in body)
    return [*_hex(size.to_bytes(4, "big")), *body]


def _tokens(value: Any) -> Iterator[str]:
    if isinstance(value, Name):
        yield from _named(value)
    elif isinstance(value, dict):
        yield f"{0x80 + len(value):02x}"
        for key, each in value.items():
            yield from _tokens(key)
            yield from _tokens(each)
    elif isinstance(value, list):
        yield f"{0x90 + len(value):02x}"
        for each in value:
            yield from _tokens(each)
    else:
        yield from _hex(msgpack.packb(value))


def _named(name: Name) -> Iterator[str]:
    size = next((size for end, size in _SIZES if name.endswith(end)), None)
    if size is not None:
        yield from ("c4", f"{size:02x}", f"<{name}:{size}>")
    elif name.endswith("_at"):
        yield from ("cf", f"<{name}:8>")
    else:
        yield f"<{name}>"


def _hex(raw: bytes) -> list[str]:
    return [f"{byte:02x}" for byte in raw]


class Player:
    """One playing of a conversation. `take` gives the next frame with its length, `give` sends bytes."""

    def __init__(self, conversation: Conversation, take: Callable[[], bytes], give: Callable[[bytes], None]):
        self._conversation = conversation
        self._take = take
        self._give = give
        self._known: dict[str, bytes] = {"client_nonce": os.urandom(32)}

    def play(self) -> None:
        """Raises AssertionError where the daemon does not keep to it. What it says in a row may come in any
        order."""
        expected: list[Frame] = []
        for frame in self._conversation.frames:
            if frame.who == "S":
                expected.append(frame)
                continue
            self._hear(expected)
            expected = []
            self._give(b"".join(self._bytes(token) for token in frame.tokens))
        self._hear(expected)

    def _hear(self, expected: Sequence[Frame]) -> None:
        left = list(expected)
        while left:
            heard = self._take()
            frame = next((each for each in left if self._matches(each, heard)), None)
            assert frame is not None, f"{self._conversation.title}: {heard!r} is none of {left}"
            left.remove(frame)

    def _bytes(self, token: str) -> bytes:
        if len(token) == 2:
            return bytes.fromhex(token)
        return self._known[token[1:-1].partition(":")[0]]

    def _matches(self, frame: Frame, heard: bytes) -> bool:
        pattern = b"".join(self._pattern(token) for token in frame.tokens)
        found = re.fullmatch(pattern, heard, re.DOTALL)
        if found is None or int.from_bytes(heard[:4], "big") != len(heard) - 4:
            return False
        self._known |= found.groupdict()
        key = self._conversation.key
        if key is not None and "nonce" in self._known:
            theirs, ours = self._known["nonce"], self._known["client_nonce"]
            for side, first, second in (("client", theirs, ours), ("server", ours, theirs)):
                said = f"ropeway {side}\0".encode() + first + second + key[0].encode()
                self._known[f"{side}_proof"] = hmac.digest(key[1].encode(), said, "sha256")
        return True

    def _pattern(self, token: str) -> bytes:
        name, _, size = token.strip("<>").partition(":")
        if not token.startswith("<") or name in self._known:
            return re.escape(self._bytes(token))
        many = f"{{{size}}}" if size else "+?"
        return (f"(?P<{name}>.{many})" if name else f".{many}").encode()


def write(document: str) -> str:
    """The document with the bytes of each frame made from its value."""
    before, begin, rest = document.partition(BEGIN)
    text, end, after = rest.partition(END)
    frames = (frame for each in read(document) for frame in each.frames)
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("       ") and _BYTES_LINE.fullmatch(line):
            continue
        if line.startswith(("    S  ", "    C  ")):
            frame = next(frames)
            lines += [f"    {frame.who}  {frame.shown[0]}", *(f"       {more}" for more in frame.shown[1:])]
            lines += _laid_out(tokens(frame.value))
        elif not line.startswith("       "):
            lines.append(line)
    return before + begin + "\n".join(lines) + "\n" + end + after


def _laid_out(tokens: list[str]) -> list[str]:
    lines = [""]
    for token in tokens:
        if len(lines[-1]) + len(token) > 80:
            lines.append("")
        lines[-1] += f"{token} "
    return [f"       {line.rstrip()}" for line in lines]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(write(Path(name).read_text()))
