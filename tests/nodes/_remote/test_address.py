"""Which addresses are connected to, however they are written."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from limner.nodes._remote.address import AddressPolicy, address_of, innermost

PUBLIC = ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8", "64:ff9b::808:808")
PRIVATE = (
    "127.0.0.1",
    "127.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fc00::1",
    "::ffff:127.0.0.1",
    "::ffff:192.168.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "192.0.2.1",
    "240.0.0.1",
)
NEVER = (
    "0.0.0.0",
    "::",
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "fe80::1",
    "224.0.0.1",
    "ff02::1",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_let_through_unless_readable(address: str) -> None:
    """Encrypted they are; without encryption nothing goes over the internet, whatever is allowed."""
    assert AddressPolicy().fault(ip_address(address)) is None
    assert AddressPolicy(allow_private=True).fault(ip_address(address)) is None
    assert "https" in str(AddressPolicy(allow_private=True, is_plain=True).fault(ip_address(address)))


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_only_where_allowed(address: str) -> None:
    assert AddressPolicy().fault(ip_address(address)) is not None
    assert AddressPolicy(allow_private=True, is_plain=True).fault(ip_address(address)) is None


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_connected_to(address: str) -> None:
    """Clouds' metadata, link-local, unspecified and multicast addresses, also inside IPv6."""
    assert AddressPolicy(allow_private=True).fault(ip_address(address)) is not None


def test_an_address_inside_an_address_counts() -> None:
    assert str(innermost(ip_address("2002:a9fe:a9fe::1"))) == "169.254.169.254"
    assert str(innermost(ip_address("::ffff:1.2.3.4"))) == "1.2.3.4"
    assert str(innermost(ip_address("2606:2800::1"))) == "2606:2800::1"


def test_names_are_no_addresses() -> None:
    """Odd forms of IPv4 are names here: they are looked at again when they are resolved."""
    assert address_of("fe80::1%eth0") == ip_address("fe80::1")
    assert address_of("[::1]") == ip_address("::1")
    for name in ("localhost", "2130706433", "0x7f.1", "127.1", "0177.0.0.1", ""):
        assert address_of(name) is None


def test_a_refused_address_gets_no_socket() -> None:
    policy = AddressPolicy()
    with pytest.raises(PermissionError):
        policy.open_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))
    assert len(policy.refused) == 1
    AddressPolicy(allow_private=True).open_socket(
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))
    ).close()
