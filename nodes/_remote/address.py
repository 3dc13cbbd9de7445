"""Which addresses may be connected to: a graph of somebody else must not reach into the user's network."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

Address = IPv4Address | IPv6Address

_NAT64: Final = IPv6Network("64:ff9b::/96")
_METADATA: Final = frozenset(map(ip_address, ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254", "168.63.129.16")))
"""Where clouds answer with credentials, besides the link-local 169.254.169.254."""


def address_of(host: str) -> Address | None:
    """The address that a host is written as; None for a name. A zone (``fe80::1%eth0``) is left out."""
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for (mapped, NAT64, 6to4, Teredo); otherwise the same."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
    return address


@dataclass
class AddressPolicy:
    """Decides on each address when it is about to be connected to, after all names are resolved.

    ``allow_private`` lets loopback and private networks through. ``is_plain`` says that nothing is encrypted: then
    only those are let through. Link-local addresses, among them those where clouds give credentials, never are.
    """

    allow_private: bool = False
    is_plain: bool = False
    refused: list[str] = field(default_factory=list)
    """Why, for each address that was refused."""

    def fault(self, address: Address) -> str | None:
        """Why an address is not connected to; None where it is."""
        inner = innermost(address)
        if inner.is_unspecified or inner.is_multicast or inner.is_link_local or inner in _METADATA:
            return f"{address} is never connected to: it is no address of a service"
        is_public = inner.is_global and not inner.is_reserved
        if not is_public and not self.allow_private:
            return f"{address} is an address of this machine or a private network"
        if is_public and self.is_plain:
            return f"{address} is public, and http:// would send prompt and token readable: use https://"
        return None

    def open_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for an address that ``getaddrinfo`` gave, on the point of connecting. Raises PermissionError."""
        family, kind, protocol, _, place = info
        address = address_of(str(place[0]))
        fault = f"{place[0]} is no address" if address is None else self.fault(address)
        if fault is not None:
            self.refused.append(fault)
            raise PermissionError(fault)
        return socket.socket(family, kind, protocol)
