"""The service manager's protocols over real sockets."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewayd.exits import Misconfigured
from ropewayd.notify import Notifier, inherited_sockets
from tests.daemon import PATIENCE


class Manager:
    """The other end: a datagram socket such as systemd has."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def heard(self) -> list[str]:
        return self.socket.recv(4096).decode().split("\n")

    def heard_nothing(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)
        return False


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = (
        str(tmp_path / "notify") if request.param == "path" else f"@ropeway-test-{os.getpid()}-{id(tmp_path)}"
    )
    manager = Manager(address)
    yield manager
    manager.socket.close()


def test_readiness_status_and_stopping_are_told(manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": manager.address}
    notifier = Notifier(environ)
    assert environ == {}
    notifier.extend_start(2.5)
    assert manager.heard() == ["EXTEND_TIMEOUT_USEC=2500000"]
    notifier.ready("serving 127.0.0.1:4565")
    assert manager.heard() == ["READY=1", "STATUS=serving 127.0.0.1:4565"]
    notifier.stopping("draining")
    assert manager.heard() == ["STOPPING=1", "STATUS=draining"]
    notifier.close()
    notifier.ready("again")
    assert manager.heard_nothing()


def test_a_manager_that_is_gone_disturbs_nobody(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notifier.ready("serving")
    notifier.close()
    notifier = Notifier({})
    notifier.ready("serving")
    notifier.close()


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_beats_at_half_of_what_is_allowed(
    environ: dict[str, str], interval: float | None
) -> None:
    assert Notifier(environ).watchdog_interval == interval
    assert environ == {}


async def test_a_sign_of_life_follows_a_probe_that_came_back_and_no_other(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "2000"})
    gate = asyncio.Semaphore(0)
    asked = asyncio.Event()

    async def probe() -> None:
        asked.set()
        await gate.acquire()

    watch = asyncio.create_task(notifier.watch(probe))
    for _ in range(3):
        await asyncio.wait_for(asked.wait(), 60)
        assert manager.heard_nothing()  # the store has not answered
        asked.clear()
        gate.release()
        assert await asyncio.to_thread(manager.heard) == ["WATCHDOG=1"]
    await asyncio.wait_for(asked.wait(), 60)
    assert manager.heard_nothing()
    watch.cancel()
    await asyncio.wait([watch])
    notifier.close()


async def test_without_a_watchdog_the_probe_is_never_asked(manager: Manager) -> None:
    async def probe() -> None:
        raise AssertionError("asked")

    notifier = Notifier({"NOTIFY_SOCKET": manager.address})
    await notifier.watch(probe)
    notifier.close()


@pytest.fixture
def descriptors(tmp_path: Path) -> Iterator[list[int]]:
    """Two listening sockets and a file, at descriptors that follow each other, as a manager leaves them."""
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "socket"))
    unix.listen()
    deaf = socket.socket()
    # A high, free run of numbers; whoever adopts one closes it.
    first = 200
    for offset, each in enumerate((tcp, unix, deaf)):
        os.dup2(each.fileno(), first + offset)
        each.close()
    yield [first, first + 1, first + 2]
    for descriptor in range(first, first + 3):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_inherited_sockets_serve(descriptors: list[int]) -> None:
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "PATH": "/"}
    sockets = inherited_sockets(environ, descriptors[0])
    assert environ == {"PATH": "/"}
    assert [each.family for each in sockets] == [socket.AF_INET, socket.AF_UNIX]
    for each in sockets:
        assert not each.get_inheritable()
        with socket.socket(each.family) as peer:
            peer.connect(each.getsockname())
            accepted, _ = each.accept()
            accepted.close()
        each.close()


def test_sockets_meant_for_another_process_are_left_alone() -> None:
    for environ in ({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_FDS": "1"}, {}):
        assert inherited_sockets(environ) == []


@pytest.mark.parametrize(
    ("count", "said"), [("3", "not a listening stream"), ("4", "not a socket"), ("x", "'x'")]
)
def test_what_is_no_listening_socket_is_refused(descriptors: list[int], count: str, said: str) -> None:
    first = descriptors[0]
    if count == "4":
        read, write = os.pipe()
        os.dup2(read, first + 2)
        os.close(read)
        os.close(write)
    with pytest.raises(Misconfigured, match=said):
        inherited_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count}, first)
