"""Which addresses a delivery may connect to, where its URL comes from a subscriber.

Whoever can subscribe an URL makes this machine send requests: without a guard, to what only this machine or
its network can reach.

Rule 1  An address is judged, never a name or a spelling: what a name means is looked up once for each
        connection, and the address that was judged is the one that is connected to.
Rule 2  It is allowed if it is public, or in a network that was named. Public is IPv4 and IPv6 without what
        their registries keep for special purposes, and without the metadata services of clouds.
Rule 3  An IPv6 address that stands for an IPv4 one must be allowed for both: NAT64 only if it is named. One
        that is mapped is that IPv4 address itself.
Rule 4  Of a name with several addresses those that are allowed are left.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
LookUp: TypeAlias = Callable[[str, int], Awaitable[list[tuple[Any, ...]]]]
"""As the loop's getaddrinfo, for TCP."""

LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8",  # this network: Linux takes 0.0.0.0 for loopback
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by customers of a carrier
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's services to its machines
        "169.254.0.0/16",  # this link, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocols of the IETF
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocols of the IETF, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
UNICAST: Final = ipaddress.ip_network("2000::/3")
"""All that is public in IPv6; private, link-local, multicast, mapped and NAT64 are elsewhere."""
NAT64: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


class Forbidden(OSError):
    """An address that nothing may be sent to. Another attempt would end alike."""


class Destinations:
    """The addresses that may be connected to: public ones, and those in `networks`."""

    def __init__(self, networks: Iterable[Network] = (), look_up: LookUp | None = None) -> None:
        self._networks = tuple(networks)
        self._look_up = _look_up if look_up is None else look_up

    def allows(self, address: str) -> bool:
        """Whether it may be connected to. What is no address in figures may not."""
        try:
            # A zone says by which interface: the address means the same.
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return all(self._allowed(each) for each in _meanings(found))

    def _allowed(self, address: IpAddress) -> bool:
        if any(address in each for each in self._networks):
            return True
        if address.version == 6 and address not in UNICAST:
            return False
        return not any(address in each for each in NOT_PUBLIC)

    async def look_up(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """The addresses of a name that are allowed, as getaddrinfo has them. Raises Forbidden if it has none
        that is, OSError if it has none at all."""
        try:
            found = await self._look_up(host, port)
        except UnicodeError as wrong:
            raise OSError(f"{host[:64]!r} is no name of a host: {wrong}") from None
        allowed = [each for each in found if self.allows(str(each[4][0]))]
        if found and not allowed:
            raise Forbidden(f"{host} is at {found[0][4][0]}, where nothing is sent to")
        return allowed

    def socket(self, found: tuple[Any, ...]) -> socket.socket:
        """A socket to connect to it with: the last gate, whatever way the address came. Raises Forbidden."""
        family, kind, protocol, _, target = found
        if not self.allows(str(target[0])):
            raise Forbidden(f"nothing is sent to {target[0]}")
        return socket.socket(family, kind, protocol)

    def connector(self, connections: int) -> aiohttp.TCPConnector:
        """Connections of aiohttp, so many, that pass this guard and no other way."""
        import aiohttp  # noqa: PLC0415 - as in web.py

        return aiohttp.TCPConnector(
            limit=connections,
            resolver=_resolver(self),
            use_dns_cache=False,  # it is not bounded, and connections are kept
            socket_factory=self.socket,
        )


def _meanings(address: IpAddress) -> Iterator[IpAddress]:
    """The address as the system connects to it, and the IPv4 address that it stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if any(address in each for each in NAT64):
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


async def _look_up(host: str, port: int) -> list[tuple[Any, ...]]:
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _resolver(destinations: Destinations) -> AbstractResolver:
    """The guard as aiohttp asks for names."""
    from aiohttp.abc import AbstractResolver, ResolveResult  # noqa: PLC0415

    class Resolver(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            return [
                ResolveResult(
                    hostname=host,
                    host=str(target[0]),
                    port=port,
                    family=kind,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
                for kind, _, protocol, _, target in await destinations.look_up(host, port)
            ]

        async def close(self) -> None:
            """There is nothing to close."""

    return Resolver()
