"""The servers of other brokers, each at the durability of Ropeway: every answer comes after its sync.

Emulators of SQS stand beside the AWS face instead, and keep nothing; their names say so.

They take part where they are installed; `make bench-peers` installs those that are packages of Debian. Each
runs as any contestant does: by itself, on the loopback, on a fresh directory.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench.contestants import (
    Contestant,
    Server,
    create_by_http,
    free_port,
    fresh,
    launch,
    listening,
    wait_a_little,
)
from bench.kinds import HTTP
from bench.peers import beanstalkd, nats, rabbitmq, redis
from bench.wire import QUEUE, dial

APPEND_ONLY = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
LARGEST = 2 << 20
TO_CONSOLE = "log.console = true\nlog.console.level = warning\nlog.file = false\n"


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
        process, *helpers = self.launched(port, data, log)
        server = Server(process, port, self.kind, self.consumer_commits, log, 0.0, helpers=helpers)
        try:
            while not self.answers(port):
                wait_a_little(process, log, began)
        except BaseException:
            server.kill()
            raise
        server.start_seconds = time.perf_counter() - began
        return server

    def launched(self, port: int, data: Path, log: Path) -> list[subprocess.Popen[bytes]]:
        """Its process, and those that it needs."""
        return [launch([self.program, *self.options(port, data)], log)]

    def answers(self, port: int) -> bool:
        """Whether it does. Then it has also what a queue needs before its first message."""
        with contextlib.suppress(ConnectionRefusedError):
            dial(port).close()
            self.prepare(port)
            return True
        return False

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


class RabbitMq(Peer):
    """A node of its own. What Erlang's nodes find each other by, epmd, is started beside it and ends with it:
    left to itself the node would leave one behind. Both listen on the loopback alone.
    """

    name = "RabbitMQ quorum queue"
    program = "rabbitmq-server"
    durability = "a log synced before confirms"
    kind = rabbitmq.KIND
    consumer_commits = 1

    def installed(self) -> bool:
        return super().installed() and shutil.which("epmd") is not None

    def launched(self, port: int, data: Path, log: Path) -> list[subprocess.Popen[bytes]]:
        place = data.parent
        files = {
            "rabbitmq.conf": f"listeners.tcp.1 = 127.0.0.1:{port}\n{TO_CONSOLE}",
            "enabled_plugins": "[].\n",
            # The host's name is looked up here, and not by a process that Erlang starts for that.
            "inetrc": '{lookup, [file]}.\n{host, {127,0,0,1}, ["localhost"]}.\n',
        }
        for name, content in files.items():
            (place / name).write_text(content)
        environ = {
            "HOME": str(place),  # of the secret that nodes share
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_INETRC": str(place / "inetrc"),
            "RABBITMQ_NODENAME": "bench@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": str(place / "none"),
            "RABBITMQ_CONFIG_FILE": str(place / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(data),
            "RABBITMQ_LOG_BASE": str(data),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the server, rather than wait for it
        }
        epmd = launch(["epmd"], place / "epmd.log", environ)
        return [launch([self._script()], log, environ), epmd]

    def prepare(self, port: int) -> None:
        with dial(port) as connection:
            wire = rabbitmq.RabbitWire(QUEUE)
            wire.greet(connection)
            wire.create(connection)

    def _script(self) -> str:
        """The server's own. Debian has another on the path, which insists on a user and directories."""
        found = Path(shutil.which(self.program) or self.program)
        own = found.parent.parent / "lib" / "rabbitmq" / "bin" / found.name
        return str(own if own.exists() else found)


class Moto:
    """An emulator of SQS for tests: see moto.py."""

    name = "moto (nothing is durable)"

    def installed(self) -> bool:
        """Whether it can be started here."""
        return all(importlib.util.find_spec(package) for package in ("moto", "flask", "flask_cors"))

    def start(self, directory: Path) -> Server:
        """See Contestant."""
        _, log = fresh(directory)
        return listening([sys.executable, "-m", "bench.peers.moto"], log, HTTP, create_by_http)


HTTP_PEERS = (Moto(),)
PEERS: tuple[Peer, ...] = (Redis(), Beanstalkd(), Nats(), RabbitMq())


def installed() -> list[Contestant]:
    """Those that can be started here."""
    return [peer for peer in PEERS if peer.installed()]


def installed_by_http() -> list[Contestant]:
    """Those that speak as SQS does."""
    return [peer for peer in HTTP_PEERS if peer.installed()]
