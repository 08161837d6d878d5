"""Addresses: what they mean, what may be served without keys, and what is left behind."""

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewayd.exits import Misconfigured
from ropewayd.listeners import Listeners, check_reach, parse, shown


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    listeners = Listeners()
    yield listeners
    listeners.close()


def connects(listener: socket.socket) -> bool:
    with socket.socket(listener.family, socket.SOCK_STREAM) as peer:
        return peer.connect_ex(listener.getsockname()) == 0


@pytest.mark.parametrize(
    "text",
    ["", "4565", "localhost", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:٣", "::1:4565",
     "unix:", "unix:" + "x" * 108, "a" * 300 + ":1", "http://127.0.0.1:1"],
)  # fmt: skip
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        parse(text, "daemon.listen (--listen)")
    assert str(raised.value).startswith("daemon.listen (--listen): ")
    assert text in str(raised.value)


def test_a_name_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Misconfigured, match=r"x: cannot resolve broker\.example:1: Name or"):
        parse("broker.example:1", "x")


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:0", "127.8.9.1:0", "unix:relative", "localhost:0"])
def test_loopback_and_unix_sockets_need_no_keys(text: str) -> None:
    check_reach(parse(text, "x"), [], keys=False, blame="x")


@pytest.mark.parametrize(
    "text", ["0.0.0.0:0", "*:0", ":0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0", "0:0"]
)
def test_anything_else_needs_keys(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"--keys-file.*or listen on 127\.0\.0\.1"):
        check_reach(parse(text, "x"), [], keys=False, blame="x")
    check_reach(parse(text, "x"), [], keys=True, blame="x")


def test_an_inherited_socket_is_held_to_the_same_rule() -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere, socket.create_server(("127.0.0.1", 0)) as here:
        check_reach([], [here], keys=False, blame="x")
        with pytest.raises(Misconfigured, match=r"0\.0\.0\.0:\d+ \(inherited\)"):
            check_reach([], [here, everywhere], keys=False, blame="x")


def test_tcp_and_unix_together(listeners: Listeners, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    listeners.open(parse("127.0.0.1:0", "x") + parse(f"unix:{path}", "x"), 0o660)
    assert all(connects(each) for each in listeners.sockets)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    port = listeners.sockets[0].getsockname()[1]
    assert [shown(each) for each in listeners.sockets] == [f"127.0.0.1:{port}", f"unix:{path}"]
    listeners.close()
    assert not path.exists()
    listeners.close()


def test_a_name_with_two_addresses_takes_those_that_there_are(listeners: Listeners) -> None:
    listeners.open(parse("localhost:0", "x"), 0o600)
    assert listeners.sockets
    assert all(connects(each) for each in listeners.sockets)


def test_an_address_in_use_is_told_and_nothing_stays_open(listeners: Listeners, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        addresses = parse(f"unix:{tmp_path / 'socket'}", "x") + parse(f"127.0.0.1:{port}", "x")
        with pytest.raises(Misconfigured, match=f"cannot listen on 127.0.0.1:{port}: the address is in use"):
            listeners.open(addresses, 0o600)
    assert listeners.sockets == []
    assert list(tmp_path.iterdir()) == []


def test_a_socket_file_left_by_the_dead_is_replaced(listeners: Listeners, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    listeners.open(parse(f"unix:{path}", "x"), 0o600)
    assert connects(listeners.sockets[0])


def test_a_socket_file_of_the_living_is_not(listeners: Listeners, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(path))
        alive.listen()
        with pytest.raises(Misconfigured, match="in use"):
            listeners.open(parse(f"unix:{path}", "x"), 0o600)
        assert connects(alive)


def test_a_file_that_is_no_socket_stays(listeners: Listeners, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(Misconfigured, match="no socket"):
        listeners.open(parse(f"unix:{path}", "x"), 0o600)
    assert path.read_text() == "data"


def test_a_successors_socket_file_is_not_removed(listeners: Listeners, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    listeners.open(parse(f"unix:{path}", "x"), 0o600)
    path.rename(tmp_path / "kept")  # so that the inode is not used again
    with socket.socket(socket.AF_UNIX) as successor:
        successor.bind(str(path))
        listeners.close()
        assert path.exists()


def test_a_directory_that_is_missing_is_told(listeners: Listeners, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="No such file"):
        listeners.open(parse(f"unix:{tmp_path / 'missing' / 'socket'}", "x"), 0o600)
