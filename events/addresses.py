"""To which addresses a webhook may go: to public ones, and to those that the setting
ROUNDTABLE_WEBHOOKS_PRIVATE_ADDRESSES names.

A name is looked up once for each attempt, every address it has is looked at, and the connection goes to one of these
very addresses: a name that means something else a moment later (DNS rebinding) changes nothing.
"""

import socket
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from events.errors import WebhookRefused
from events.models import MAX_URL
from learning.interface import addresses
from learning.interface.addresses import Address


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
    every = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    unique = list(dict.fromkeys(every))
    for address in unique:
        if not is_allowed(address):
            raise AddressRefused(_why(address))
        if parts.scheme == "http" and not _is_named(address):
            raise AddressRefused(f"{address} is public: a webhook goes there by https:// only.")
    return unique


def port_of(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def is_allowed(address: Address) -> bool:
    return addresses.is_allowed(address, settings.WEBHOOKS_PRIVATE_ADDRESSES)


def _is_named(address: Address) -> bool:
    """Whether the setting allows it."""
    return addresses.is_named(address, settings.WEBHOOKS_PRIVATE_ADDRESSES)


def _why(address: Address) -> str:
    return (
        f"{address} is no public address: an operator can allow it (ROUNDTABLE_WEBHOOKS_PRIVATE_ADDRESSES)."
    )
