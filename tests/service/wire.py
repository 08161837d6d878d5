"""The binary protocol by hand, in blocking code, for tests that look at the daemon from outside."""

import hmac
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Self

import msgpack

HELLO, CREATE_QUEUE, DELETE_QUEUE, PURGE_QUEUE = 0, 10, 11, 15
SEND, RECEIVE, DELETE = 20, 21, 22


class Wire:
    """One connection, greeted. `address` is HOST:PORT or unix:PATH."""

    def __init__(
        self, address: str, key: tuple[str, str] | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(60)
            try:
                self.socket.connect(address.removeprefix("unix:"))
            except OSError:
                self.socket.close()
                raise
        else:
            host, _, port = address.rpartition(":")
            self.socket = socket.create_connection((host, int(port)), 60)
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._file = self.socket.makefile("rb")
        self._id = 0
        try:
            self.greeting = self.take()[2]
            self.hello = self.call(HELLO, self._introduction(key))
        except BaseException:
            self.close()
            raise

    def _introduction(self, key: tuple[str, str] | None) -> dict[str, Any]:
        hello: dict[str, Any] = {"version": 1, "client": "test/1"}
        if key is not None:
            nonce = os.urandom(32)
            said = b"ropeway client\0" + self.greeting["nonce"] + nonce + key[0].encode()
            hello |= {"key": key[0], "nonce": nonce, "proof": hmac.digest(key[1].encode(), said, "sha256")}
        return hello

    def ask(self, action: int, params: dict[str, Any]) -> int:
        """Send a request and give its id."""
        self._id += 1
        data: bytes = msgpack.packb([self._id, action, params])
        self.socket.sendall(len(data).to_bytes(4, "big") + data)
        return self._id

    def take(self) -> list[Any]:
        """The next frame. Raises EOFError when the daemon has closed the connection."""
        header = self._file.read(4)
        if len(header) < 4:
            raise EOFError
        frame: list[Any] = msgpack.unpackb(self._file.read(int.from_bytes(header, "big")))
        return frame

    def call(self, action: int, params: dict[str, Any]) -> Any:
        """Ask and wait for the answer; gives the result. Raises RuntimeError with an error's code."""
        asked = self.ask(action, params)
        answered, status, result = self.take()
        if status:
            raise RuntimeError(result[0])
        assert answered == asked
        return result

    def send(self, queue: str, *bodies: str) -> list[Any]:
        results: list[Any] = self.call(SEND, {"queue": queue, "entries": [{"body": body} for body in bodies]})
        return results

    def receive(self, queue: str, **params: int) -> list[str]:
        return [message[2] for message in self.call(RECEIVE, {"queue": queue, **params})]

    def rest(self) -> Iterator[list[Any]]:
        """Every frame until the daemon closes the connection."""
        while True:
            try:
                yield self.take()
            except (EOFError, ConnectionResetError):
                return

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
