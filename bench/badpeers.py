"""Bad peers of the AWS face, as a process of their own: `python -m bench.badpeers KIND PORT`.

They are many, or what they send is large, but they keep a pace: a peer that is answered or cut off waits a
moment and comes again. Nothing that they send may be taken for a message. The process prints `ready` when
they are at it, and ends when its standard input is closed; it then prints how often they came.
"""

from __future__ import annotations

import gzip
import random
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bench.crowd import FILES_BESIDE, allow_open_files
from bench.wire import dial

MOST = 4 << 20
"""Bytes of the largest body that a daemon takes by default."""
DRIBBLE_SECONDS = 0.5
PATIENCE = 60.0


@dataclass(frozen=True)
class Kind:
    """What one kind of bad peer does."""

    peers: int
    pause: float = 0.0
    """Seconds between two visits; 0: one that stays, and says a byte now and then."""
    says: Callable[[], bytes] = bytes
    dribbles: bytes = b""


def post(body: bytes, operation: str = "SendMessage", **headers: str) -> bytes:
    """A whole request."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.{operation}\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def form(body: bytes) -> bytes:
    """The same of the Query protocol."""
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def filled(begin: bytes, piece: Callable[[int], bytes], end: bytes) -> bytes:
    """As many pieces as a body can have."""
    pieces, left = [], MOST - len(begin) - len(end)
    number = 0
    while (next_ := piece(number)) and left >= len(next_):
        pieces.append(next_)
        left -= len(next_)
        number += 1
    return begin + b"".join(pieces) + end


KINDS: Final = {
    "idle connections": Kind(2000),
    "slow heads": Kind(500, says=lambda: b"POST / HTTP/1.1\r\nHost: ", dribbles=b"x"),
    "slow bodies": Kind(500, says=lambda: post(b"")[:-5] + b"1000\r\n\r\n{", dribbles=b" "),
    "huge heads": Kind(8, 0.1, lambda: b"POST / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * (1 << 20)),
    "huge bodies": Kind(
        4, 0.25, lambda: filled(post(b"")[:-5] + b"%d\r\n\r\n" % (1 << 40), lambda _: b"x" * 65536, b"")
    ),
    "large messages": Kind(
        4, 0.25, lambda: post(b'{"QueueUrl":"none","MessageBody":"' + b"x" * (MOST - 50) + b'"}')
    ),
    "deep JSON": Kind(4, 0.25, lambda: post(b'{"Other":' + b"[" * (MOST - 10))),
    "large JSON": Kind(
        4,
        0.25,
        lambda: post(
            filled(b'{"QueueName":"", "Attributes":{', lambda n: b'"%d":"",' % n, b'"":""}}'), "CreateQueue"
        ),
    ),
    "large forms": Kind(
        4, 0.25, lambda: form(filled(b"Action=SendMessage&MessageBody=", lambda _: b"%41", b""))
    ),
    "gzip bombs": Kind(8, 0.1, lambda: post(gzip.compress(b" " * (1 << 28)), Content_Encoding="gzip")),
    "garbage": Kind(8, 0.05, lambda: random.randbytes(65536)),
}
"""All of them. What `says` gives is made once."""


class Peers:
    """All peers of one kind."""

    def __init__(self, kind: Kind, port: int) -> None:
        self._kind = kind
        self._port = port
        self._said = kind.says()
        self._over = threading.Event()
        self.visits = 0

    def start(self) -> None:
        """Returns when they are at it."""
        allow_open_files(self._kind.peers + FILES_BESIDE)
        if self._kind.pause:
            for _ in range(self._kind.peers):
                threading.Thread(target=self._come_again, daemon=True).start()
        else:
            staying = [self._arrive() for _ in range(self._kind.peers)]
            threading.Thread(target=self._dribble, args=(staying,), daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _arrive(self) -> socket.socket:
        peer = dial(self._port, PATIENCE)
        self.visits += 1
        if not self._kind.pause:
            peer.sendall(self._said)
        return peer

    def _dribble(self, staying: list[socket.socket]) -> None:
        """Each says a byte now and then; one that was cut off comes again."""
        while not self._over.wait(DRIBBLE_SECONDS):
            gone = set(select_readable(staying))
            for place, peer in enumerate(staying):
                try:
                    if peer in gone:
                        raise ConnectionResetError
                    peer.sendall(self._kind.dribbles)
                except OSError:
                    peer.close()
                    with suppress(OSError):
                        staying[place] = self._arrive()

    def _come_again(self) -> None:
        while not self._over.is_set():
            with suppress(OSError), self._arrive() as peer:
                with suppress(OSError):  # it was cut off in the middle: that is an answer
                    peer.sendall(self._said)
                peer.recv(65536)
            self._over.wait(self._kind.pause)


def select_readable(peers: list[socket.socket]) -> list[socket.socket]:
    """Those that have been answered or cut off."""
    poll = select.poll()
    by_number = {peer.fileno(): peer for peer in peers if peer.fileno() >= 0}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(0)]


def main() -> None:
    """The process."""
    peers = Peers(KINDS[sys.argv[1]], int(sys.argv[2]))
    peers.start()
    time.sleep(DRIBBLE_SECONDS)
    print("ready", flush=True)
    sys.stdin.read()
    peers.stop()
    print(peers.visits, flush=True)


if __name__ == "__main__":
    main()
