"""Whence a request comes. A header that names another address is believed only as far as proxies of ours wrote it."""

import ipaddress
import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest

logger = logging.getLogger(__name__)
IPV6_OF_ONE_CLIENT = 64  # bits: whoever has one such address has all that begin alike

_warned = False


def client_address(request: HttpRequest) -> str | None:
    """As address_from, of a request."""
    return address_from(request.META)


def address_from(environ: Mapping[str, Any]) -> str | None:
    """The client's address; None where nobody knows (a Unix socket whose proxy names none).

    Each proxy appends whom it heard to X-Forwarded-For. With N proxies of ours the Nth entry from the right was written
    by the outermost of them; what stands left of it was sent by the client and may be anything.
    """
    heard: str | None = environ.get("REMOTE_ADDR")
    forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
    if not settings.PROXY_COUNT:
        _warn_once(forwarded)
        return _address(heard)
    entries = [entry.strip() for entry in forwarded.split(",") if entry.strip()]
    if len(entries) < settings.PROXY_COUNT:
        # Past the proxies, or the outermost of them names nobody: the address that was heard is the best there is.
        return _address(heard)
    return _address(entries[-settings.PROXY_COUNT])


def address_group(address: str | None) -> str | None:
    """What counts as one client: an IPv4 address, or the network that one client has in IPv6."""
    if address is None or ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address}/{IPV6_OF_ONE_CLIENT}", strict=False).network_address)


def _address(text: str | None) -> str | None:
    text = (text or "").strip()
    if text.startswith("["):  # [2001:db8::1]:443
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:443
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _warn_once(forwarded: str) -> None:
    global _warned
    if forwarded and not _warned:
        _warned = True
        logger.warning(
            "A request came with X-Forwarded-For, and ROUNDTABLE_PROXY_COUNT is 0: behind a proxy everybody has "
            "the proxy's address, and who guesses passwords locks others out. Set it to the number of proxies."
        )
