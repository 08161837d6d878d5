"""The guard of what subscribers name: a corpus of tricky URLs, and a planted listener that none may reach."""

import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest

from ropewayd.deliveries.destination import LOOPBACK, Destinations
from ropewayd.deliveries.web import NotAllowed, Unreachable, Web
from tests.deliveries.web_server import Server

V4_SECRETS = (
    "127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "0.0.0.0", "10.0.0.1", "10.255.255.255",
    "172.16.0.1", "172.31.255.1", "192.168.0.1", "192.168.255.254", "169.254.169.254", "169.254.170.2",
    "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16", "198.18.0.1", "224.0.0.1",
    "239.255.255.250", "255.255.255.255",
)  # fmt: skip
V6_SECRETS = (
    "::", "::1", "fe80::1", "fe80::a9fe:a9fe", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1", "fec0::1",
    "2001:db8::1", "::7f00:1", "100::1", "5f00::1",
)  # fmt: skip


def spellings(address: str) -> list[str]:
    """What programs have taken for this IPv4 address."""
    a, b, c, d = (int(each) for each in address.split("."))
    whole, packed = int(ipaddress.ip_address(address)), ":".join((f"{a:02x}{b:02x}", f"{c:02x}{d:02x}"))
    wide = {0x2E: 0x3002} | {digit: digit + 0xFEE0 for digit in range(0x30, 0x3A)}
    return [
        address, f"{address}.", str(whole), hex(whole), hex(whole).upper(), oct(whole).replace("0o", "0"),
        f"{a}.{whole & 0xFFFFFF}", f"{a}.{b}.{whole & 0xFFFF}", f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"{a:03d}.{b:03d}.{c:03d}.{d:03d}", f"{a}.0x{b:x}.0{c:o}.{d}",
        address.translate(wide), quote(address.replace("1", "%31").replace("0", "%30"), safe="%."),
        f"[::ffff:{address}]", f"[::ffff:{packed}]", f"[0:0:0:0:0:FFFF:{packed}]", f"[::{address}]",
        f"[2002:{packed}::1]", f"[64:ff9b::{address}]", f"[64:ff9b:1::{packed}]", f"[2001::{packed}]",
        f"[fe80::5efe:{address}]",
    ]  # fmt: skip


PLANTED = {
    **{f"at-{n}.planted.test": (each,) for n, each in enumerate(V4_SECRETS)},
    **{f"at6-{n}.planted.test": (each,) for n, each in enumerate(V6_SECRETS)},
    "mapped.planted.test": ("::ffff:127.0.0.1",),
    "many.planted.test": ("10.0.0.1", "127.0.0.1", "::1"),
    "zone.planted.test": ("fe80::1%lo",),
    "xn--bcher-kva.planted.test": ("127.0.0.1",),
    "bücher.planted.test": ("127.0.0.1",),
    "localhost": ("127.0.0.1", "::1"),
    "localhost.localdomain": ("127.0.0.1",),
    "LOCALHOST.": ("127.0.0.1",),
    "127.0.0.1.planted.test": ("127.0.0.1",),
    "metadata.google.internal": ("169.254.169.254",),
}
"""A resolver of the attacker's."""


def corpus(port: int) -> list[str]:
    hosts = [each for address in V4_SECRETS for each in spellings(address)]
    hosts += [f"[{address}]" for address in V6_SECRETS] + [
        "[fe80::1%25lo]",
        "[::1%25lo]",
        "[::ffff:0:127.0.0.1]",
    ]
    hosts += list(PLANTED)
    hosts += [f"{name}." for name in PLANTED if not name.endswith(".")] + [name.upper() for name in PLANTED]
    urls = [f"http://{host}:{port}/" for host in hosts]
    for host in ("127.0.0.1", "[::1]", "localhost", "at-0.planted.test", "2130706433", "[::ffff:7f00:1]"):
        at, elsewhere = f"{host}:{port}", "example.org"
        urls += [
            f"http://{elsewhere}@{at}/", f"http://user:secret@{at}/", f"http://{elsewhere}:80@{at}",
            f"http://{at}#@{elsewhere}/", f"http://{at}?@{elsewhere}/", f"http://{elsewhere}%00@{at}/",
            f"http://{at}\\@{elsewhere}/", f"http:\\\\{at}\\", f"http:/{at}/", f"http:{at}", f"HTTP://{at}/",
            f"//{at}/", f" http://{at}/", f"http://{host}\t:{port}/", f"http://{host}:0{port}/",
            f"http://{elsewhere}\r\nHost: {at}/", f"http://{at}:80/", f"http://[{host}]:{port}/",
            f"http://%{at}/", f"https://{at}/", f"ws://{at}/", f"gopher://{at}/", f"http+unix://{at}/",
            f"http://\u200b{at}/",
        ]  # fmt: skip
    return list(dict.fromkeys(urls))


async def resolve(host: str, port: int) -> list[tuple[Any, ...]]:
    """The attacker's names; figures as the system reads them, odd ones too; nothing leaves this machine."""
    known = PLANTED.get(host) or PLANTED.get(host.lower().rstrip(".")) or (host.rstrip("."),)
    return [
        found
        for each in known
        for found in socket.getaddrinfo(each, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    ]


@asynccontextmanager
async def asking(networks: Any = ()) -> AsyncIterator[Web]:
    web = Web(timeout=5, connections=8, destinations=Destinations(networks, resolve))
    try:
        yield web
    finally:
        await web.close()


async def ask_all(web: Web, server: Server) -> dict[str, Exception | None]:
    said: dict[str, Exception | None] = {}
    for url in corpus(int(server.url.rpartition(":")[2])):
        try:
            await web.post(url, b"secret", {})
            said[url] = None
        except Unreachable as wrong:
            said[url] = wrong
    return said


async def test_no_spelling_of_a_place_within_is_reached(server: Server) -> None:
    async with asking() as web:
        said = await ask_all(web, server)

    assert len(said) >= 500
    assert server.asked == []
    assert [url for url, wrong in said.items() if wrong is None] == []


async def test_the_corpus_would_reach_it(server: Server) -> None:
    """With loopback named the same URLs do, those of places that are not loopback apart."""
    async with asking(LOOPBACK) as web:
        said = await ask_all(web, server)

    reached = [url for url, wrong in said.items() if wrong is None]
    assert len(reached) == len(server.asked) > 50
    assert not [url for url in reached if "169.254" in url or "//10." in url]


async def test_what_is_refused_is_so_for_good(server: Server) -> None:
    port = server.url.rpartition(":")[2]
    async with asking() as web:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"):
            with pytest.raises(NotAllowed):
                await web.post(f"http://{host}:{port}/", b"", {})
        with pytest.raises(Unreachable) as wrong:
            await web.post(f"http://unknown.planted.test:{port}/", b"", {})
        assert not isinstance(wrong.value, NotAllowed)


async def test_an_answer_that_changes_is_asked_for_once(server: Server) -> None:
    """A name that is somewhere harmless when it is judged, and here when it is connected to."""
    asked: list[str] = []

    async def rebind(host: str, port: int) -> list[tuple[Any, ...]]:
        asked.append(host)
        address = "127.0.0.2" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    web = Web(5, 2, Destinations([ipaddress.ip_network("127.0.0.2/32")], rebind))
    port = server.url.rpartition(":")[2]
    with pytest.raises(Unreachable):
        await web.post(f"http://rebinding.test:{port}/", b"", {})
    assert asked == ["rebinding.test"]
    with pytest.raises(NotAllowed):
        await web.post(f"http://rebinding.test:{port}/", b"", {})
    await web.close()
    assert server.asked == []


async def test_of_several_addresses_those_that_are_allowed_are_left() -> None:
    async def several(host: str, port: int) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, 1, 6, "", (each, port)) for each in ("10.0.0.1", "1.1.1.1", "127.0.0.1")]

    found = await Destinations((), several).look_up("several.test", 80)
    assert [each[4][0] for each in found] == ["1.1.1.1"]


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "223.255.255.255",
     "2606:4700::1111", "2a00::1", "::ffff:8.8.8.8"],
)  # fmt: skip
def test_what_is_public_is_allowed(address: str) -> None:
    assert Destinations().allows(address)


@pytest.mark.parametrize(
    ("network", "allowed", "refused"),
    [
        ("10.1.0.0/16", "10.1.2.3", "10.2.0.1"),
        ("10.1.0.0/16", "::ffff:10.1.2.3", "2002:0a01:0203::1"),
        ("fd00::/8", "fd12::1", "fc00::1"),
        ("64:ff9b::/96", "64:ff9b::8.8.8.8", "64:ff9b::10.1.2.3"),
        ("2002::/16", "2002:0808:0808::1", "2002:7f00:0001::1"),
        ("::/0", "::1", "::ffff:127.0.0.1"),
        ("0.0.0.0/0", "127.0.0.1", "::1"),
    ],
)
def test_a_network_that_is_named_is_allowed_and_no_other(network: str, allowed: str, refused: str) -> None:
    guard = Destinations([ipaddress.ip_network(network)])
    assert guard.allows(allowed)
    assert not guard.allows(refused)


def test_what_python_takes_for_private_is_not_public() -> None:
    """Against the list that somebody else keeps."""
    for network in (*map(ipaddress.ip_network, ("0.0.0.0/0", "2000::/3")),):
        step = network.num_addresses // 16_384
        for n in range(16_384):
            address = network[n * step]
            if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
                assert not Destinations().allows(str(address)), address


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f000001", "[::1]", "1.1.1.1:80"])
def test_what_is_no_address_is_not_allowed(text: str) -> None:
    assert not Destinations().allows(text)
