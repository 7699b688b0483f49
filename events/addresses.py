"""To which addresses a webhook may go: to public ones, and to those that the setting
ROUNDTABLE_WEBHOOKS_PRIVATE_ADDRESSES names.

A name is looked up once for each attempt, every address it has is looked at, and the connection goes to one of these
very addresses: a name that means something else a moment later (DNS rebinding) changes nothing.
"""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from events.errors import WebhookRefused
from events.models import MAX_URL

Address = IPv4Address | IPv6Address
# An IPv4 address is the last part of these (RFC 6052): a gateway would take us there.
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
# Not public in IANA's registries, and not known to every version of Python's ipaddress.
_SPECIAL = tuple(
    ip_network(text)
    for text in ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20", "5f00::/16")
)


class AddressRefused(Exception):
    """A sentence: the webhook's name has no address, or one that it may not go to."""


def parse_url(text: str) -> SplitResult:
    """The parts of a webhook's address. Raises WebhookRefused for what is none, or can be seen to be none of ours."""
    try:
        parts = urlsplit(text.strip())
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise _refused("It is no address: write https://example.org/hook.") from error
    if len(text) > MAX_URL:
        raise _refused(f"An address has at most {MAX_URL} characters.")
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise _refused("It is no address: write https://example.org/hook.")
    if not text.isascii() or any(
        character.isspace() or not character.isprintable() for character in text.strip()
    ):
        raise _refused(
            "An address has letters of ASCII only: write a name as xn--..., other characters as %C3%A9."
        )
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _refused("An address has no user name, password or #part: the signature says who sends.")
    if parts.scheme == "http" and not settings.WEBHOOKS_PRIVATE_ADDRESSES:
        raise _refused("It must begin with https://.")
    try:
        literal = ip_address(host)
    except ValueError:
        return parts
    if not is_allowed(literal):
        raise _refused(_why(literal))
    return parts


def origin(url: str) -> str:
    """`https://host:port` of a webhook's address: what may be said of it to others than its managers. The rest, the
    path and what follows, is a secret with many receivers.
    """
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return ""
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def _refused(message: str) -> WebhookRefused:
    return WebhookRefused(message, code="webhook_url", fields={"url": message})


def resolve(parts: SplitResult) -> list[Address]:
    """The addresses to connect to, in the resolver's order. Raises AddressRefused when there is none, or when any of
    them is one that a webhook may not go to.
    """
    assert parts.hostname is not None
    try:
        found = socket.getaddrinfo(parts.hostname, port_of(parts), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"The name {parts.hostname} has no address.") from error
    # A link-local address has its interface after it (fe80::1%eth0).
    addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    unique = list(dict.fromkeys(addresses))
    for address in unique:
        if not is_allowed(address):
            raise AddressRefused(_why(address))
        if parts.scheme == "http" and not _is_named(address):
            raise AddressRefused(f"{address} is public: a webhook goes there by https:// only.")
    return unique


def port_of(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def is_allowed(address: Address) -> bool:
    return _is_named(address) or all(_is_public(meant) for meant in _meant(address))


def _is_named(address: Address) -> bool:
    """Whether the setting allows it."""
    last = _meant(address)[-1]
    return any(last in network for network in settings.WEBHOOKS_PRIVATE_ADDRESSES)


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


def _why(address: Address) -> str:
    return (
        f"{address} is no public address: an operator can allow it (ROUNDTABLE_WEBHOOKS_PRIVATE_ADDRESSES)."
    )
