"""A raw HTTP client: it says the bytes that it is given, and keeps the bytes that come back."""

from __future__ import annotations

import json
import socket
from typing import Any, Self
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

JSON = "application/x-amz-json-1.0"


class Answer:
    """One answer, with its header names in lower case."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.names = [name for name, _ in headers]
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def xml(self) -> ET.Element:
        return ET.fromstring(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Http:
    """One connection."""

    def __init__(self, endpoint: str) -> None:
        place = urlsplit(endpoint)
        assert place.hostname is not None
        self.host = place.netloc
        self.socket = socket.create_connection((place.hostname, place.port or 80), 60)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> bytes:
        """The bytes of a request."""
        said = {"Host": self.host, "Content-Length": str(len(body)), **(headers or {})}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def ask(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        self.send(self.request(method, target, headers, body))
        return self.take(body_follows=method != "HEAD")

    def json(
        self,
        action: str,
        parameters: Any,
        target: str = "/",
        headers: dict[str, str] | None = None,
        *,
        query_mode: bool = True,
    ) -> Answer:
        """A call as today's SDKs make it. `parameters` may be bytes that are no JSON."""
        body = parameters if isinstance(parameters, bytes) else json.dumps(parameters).encode()
        said = {"Content-Type": JSON, "X-Amz-Target": f"AmazonSQS.{action}"}
        if query_mode:
            said["x-amzn-query-mode"] = "true"
        return self.ask("POST", target, said | (headers or {}), body)

    def query(
        self, action: str, target: str = "/", *, accept: str | None = None, **parameters: str
    ) -> Answer:
        """A call as yesterday's SDKs made it."""
        body = urlencode({"Action": action, "Version": "2012-11-05"} | parameters).encode()
        said = {"Content-Type": "application/x-www-form-urlencoded"}
        if accept is not None:
            said["Accept"] = accept
        return self.ask("POST", target, said, body)

    def take(self, *, body_follows: bool = True) -> Answer:
        """The next answer. Raises EOFError when the daemon has closed the connection."""
        line = self._line()
        while line.startswith("HTTP/1.1 100"):
            assert self._line() == ""
            line = self._line()
        headers = []
        while header := self._line():
            name, _, value = header.partition(":")
            headers.append((name, value.strip()))
        length = int({name.lower(): value for name, value in headers}.get("content-length", 0))
        return Answer(int(line.split()[1]), headers, self._file.read(length) if body_follows else b"")

    def _line(self) -> str:
        try:
            line = self._file.readline()
        except ConnectionResetError:
            line = b""
        if not line:
            raise EOFError
        return line.decode("latin-1").rstrip("\r\n")

    def ended(self) -> bool:
        """Whether the daemon closes the connection, having said nothing more."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
