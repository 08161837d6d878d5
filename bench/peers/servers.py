"""The servers of other brokers, each at the durability of Ropeway: every answer comes after its sync.

They take part where they are installed; `make bench-peers` installs those that are packages of Debian. Each
runs as any contestant does: by itself, on the loopback, on a fresh directory.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from pathlib import Path

from bench.contestants import Contestant, Server, free_port, fresh, launch, wait_a_little
from bench.peers import beanstalkd, nats, redis
from bench.wire import QUEUE, dial

APPEND_ONLY = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
LARGEST = 2 << 20


class Peer:
    """A broker of others."""

    name: str
    program: str
    durability: str
    """What makes its answers durable."""
    kind: str
    consumer_commits: int

    def installed(self) -> bool:
        """Whether it can be started here."""
        return shutil.which(self.program) is not None

    def start(self, directory: Path) -> Server:
        """See Contestant."""
        data, log = fresh(directory)
        port, began = free_port(), time.perf_counter()
        process = launch([self.program, *self.options(port, data)], log)
        while True:
            wait_a_little(process, log, began)
            with contextlib.suppress(ConnectionRefusedError):
                dial(port).close()
                self.prepare(port)
                took = time.perf_counter() - began
                return Server(process, port, self.kind, self.consumer_commits, log, took)

    def options(self, port: int, data: Path) -> list[str]:
        """Its command line."""
        raise NotImplementedError

    def prepare(self, port: int) -> None:
        """What a queue needs before its first message."""


class Redis(Peer):
    """Its entries that are read and not acknowledged stay with their consumer."""

    name = "Redis Streams"
    program = "redis-server"
    durability = "appendfsync always"
    kind = redis.KIND
    consumer_commits = 2

    def options(self, port: int, data: Path) -> list[str]:
        return ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(data), *APPEND_ONLY]

    def prepare(self, port: int) -> None:
        with dial(port) as connection:
            redis.RedisWire(QUEUE).create(connection)


class Beanstalkd(Peer):
    """It writes down puts and deletes, and no reserves."""

    name = "beanstalkd"
    program = "beanstalkd"
    durability = "-f0"
    kind = beanstalkd.KIND
    consumer_commits = 1

    def options(self, port: int, data: Path) -> list[str]:
        return ["-l", "127.0.0.1", "-p", str(port), "-b", str(data), "-f0", "-z", str(LARGEST)]


class Nats(Peer):
    """Its own binary of the environment, since one that is older than 2.10 cannot sync each message."""

    name = "NATS JetStream"
    program = str(Path(sys.executable).with_name("nats-server"))
    durability = "sync_interval: always"
    kind = nats.KIND
    consumer_commits = 2

    def options(self, port: int, data: Path) -> list[str]:
        chosen = data.parent / "nats.conf"
        chosen.write_text(
            f'listen: "127.0.0.1:{port}"\nmax_payload: {LARGEST}\n'
            f'jetstream {{ store_dir: "{data}", sync_interval: always }}\n'
        )
        return ["-c", str(chosen)]

    def prepare(self, port: int) -> None:
        with dial(port) as connection:
            wire = nats.NatsWire(QUEUE)
            wire.greet(connection)
            wire.create(connection)


PEERS: tuple[Peer, ...] = (Redis(), Beanstalkd(), Nats())


def installed() -> list[Contestant]:
    """Those that can be started here."""
    return [peer for peer in PEERS if peer.installed()]
