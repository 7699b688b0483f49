"""Which addresses of the internet are public, whatever form they are written in. Pure; the caller looks names up."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
# An IPv4 address is the last part of these (RFC 6052): a gateway would take us there.
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
# Not public in IANA's registries, and not known to every version of Python's ipaddress.
_SPECIAL = tuple(
    ip_network(text)
    for text in ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20", "5f00::/16")
)


def is_allowed(address: Address, networks: Iterable[Network]) -> bool:
    """Public, or in one of the networks that an operator named."""
    return is_named(address, networks) or all(_is_public(meant) for meant in _meant(address))


def is_named(address: Address, networks: Iterable[Network]) -> bool:
    last = _meant(address)[-1]
    return any(last in network for network in networks)


def _meant(address: Address) -> Sequence[Address]:
    """The address, and the IPv4 address that is in it."""
    if isinstance(address, IPv4Address):
        return [address]
    inner: IPv4Address | None = address.ipv4_mapped or address.sixtofour
    if inner is None and address.teredo is not None:
        inner = address.teredo[1]
    if inner is None and any(address in network for network in _NAT64):
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    return [address] if inner is None else [address, inner]


def _is_public(address: Address) -> bool:
    """`is_global` leaves out private, loopback, link-local, shared (CGNAT), reserved and documentation addresses."""
    is_site_local = isinstance(address, IPv6Address) and address.is_site_local
    is_special = any(address in network for network in _SPECIAL)
    return address.is_global and not (
        address.is_multicast or address.is_reserved or is_site_local or is_special
    )
