"""What a URL means, and TLS and keys against a real daemon."""

import asyncio
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

import ropeway
from ropeway.address import Address, parse
from tests.certificate import self_signed
from tests.clients.peer import serving
from tests.daemon import Daemon


@pytest.mark.parametrize(
    ("url", "address", "text"),
    [
        ("ropeway://box", Address("box", 4565), "ropeway://box:4565"),
        ("ropeway://box:99/", Address("box", 99), "ropeway://box:99"),
        ("ropeway://[::1]:99", Address("::1", 99), "ropeway://[::1]:99"),
        ("ropeway://me:p%40ss@box", Address("box", 4565, key="me", secret="p@ss"), "ropeway://box:4565"),
        ("unix:/run/ropeway/socket", Address(path="/run/ropeway/socket"), "unix:/run/ropeway/socket"),
        ("unix:///run/socket", Address(path="/run/socket"), "unix:/run/socket"),
        ("unix:socket", Address(path="socket"), "unix:socket"),
    ],
)
def test_a_url_is_an_address(url: str, address: Address, text: str) -> None:
    assert parse(url) == address
    assert str(address) == text
    assert "p@ss" not in repr(parse(url))


def test_without_a_url_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROPEWAY_URL", "unix:/from/environment")
    assert parse().path == "/from/environment"
    assert parse("ropeway://box").host == "box"
    monkeypatch.delenv("ROPEWAY_URL")
    assert str(parse()) == "ropeway://127.0.0.1:4565"


def test_a_key_given_apart_wins_over_the_url() -> None:
    address = parse("ropeway://me:one@box", key="you", secret="two")
    assert (address.key, address.secret) == ("you", "two")
    assert parse("unix:/a", key="you", secret="two").key == "you"


def test_tls_is_asked_for_by_the_scheme() -> None:
    context = ssl.create_default_context()
    assert parse("ropeways://box", tls=context).tls is context
    assert parse("ropeways://box").tls is not None
    assert str(parse("ropeways://box")) == "ropeways://box:4565"


@pytest.mark.parametrize(
    "url",
    [
        "http://box",
        "box:4565",
        "ropeway://",
        "ropeway://box/path",
        "ropeway://box:port",
        "ropeway://me@box",
        "ropeway://me:@box",
        "ropeway://box?ca=file",
        "ropeways://box?cafile=file",
        "unix:",
    ],
)
def test_what_is_no_url_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        ropeway.connect(url)


def test_a_key_without_its_secret_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="come together"):
        ropeway.connect("ropeway://box", key="me")
    with pytest.raises(ValueError, match="above 0"):
        ropeway.connect("ropeway://box", timeout=0)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that vouches for itself, and its key."""
    return self_signed(tmp_path, "DNS:localhost,IP:127.0.0.1")


@pytest.mark.needs("openssl")
async def test_tls_and_a_key_against_a_real_daemon(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('me = "geheim geheim geheim"\n')
    keys.chmod(0o600)
    flags = ["--tls-certificate", str(certificate[0]), "--tls-key", str(certificate[1])]
    flags += ["--keys-file", str(keys)]
    with Daemon(tmp_path, *flags, listen=["127.0.0.1:0"]) as daemon:
        url = daemon.url.replace("ropeway:", "ropeways:")
        async with ropeway.connect(
            f"{url}?ca={certificate[0]}", key="me", secret="geheim geheim geheim"
        ) as broker:
            jobs = await broker.create_queue("jobs")
            bodies = [f"{index} {'x' * 10_000}" for index in range(500)]
            await jobs.send_many(bodies)
            found: list[object] = []
            while len(found) < 500:
                found += [each.body for each in await jobs.receive(1000)]
            assert found == bodies
        with pytest.raises(ropeway.ConnectionFailed, match="certificate"):
            await ropeway.connect(url, key="me", secret="geheim geheim geheim").open()
        with pytest.raises(ropeway.AccessDenied):
            await ropeway.connect(url, key="me", secret="guess", ca_file=certificate[0]).open()
        with pytest.raises(ropeway.ConnectionFailed):
            await ropeway.connect(daemon.url, timeout=2).open()


async def test_a_port_where_nobody_listens_is_a_clear_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ropeway.ConnectionFailed, match=f"cannot connect to ropeway://127.0.0.1:{port}"):
            await ropeway.connect(f"ropeway://127.0.0.1:{port}").open()


async def test_it_runs_on_uvloop_too(tmp_path: Path) -> None:
    program = """
import asyncio, sys, ropeway, uvloop

async def main():
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
    async with ropeway.connect(sys.argv[1]) as broker:
        jobs = await broker.create_queue("jobs")
        await asyncio.gather(*(jobs.send("x" * 1000) for _ in range(3000)))
        taken = 0
        async for message in jobs:
            await message.delete()
            taken += 1
            if taken == 3000:
                break

uvloop.run(main())
"""
    async with serving(tmp_path / "peer.sock") as peer:
        process = await asyncio.create_subprocess_exec(sys.executable, "-W", "error", "-c", program, peer.url)
        assert await process.wait() == 0
        assert peer.queues["jobs"].messages == []


def test_the_library_needs_msgpack_alone() -> None:
    program = """
import sys, ropeway
roots = {name.partition(".")[0] for name in sys.modules}
print(*sorted(roots - sys.stdlib_module_names - {"ropeway", "__main__"}))
"""
    place = Path(ropeway.__file__).parents[1]
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=place
    )
    assert "msgpack" in said.stdout.split()
    assert {
        each for each in said.stdout.split() if each.startswith(("uvloop", "msgspec", "ropewayd"))
    } == set()
