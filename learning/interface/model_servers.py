"""The servers of language models that an operator allows: names, addresses and keys, from the environment alone.

What a run's configuration says is a name. No address and no key is ever stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from urllib.parse import urlsplit

from learning.interface.addresses import Network

SERVERS_VARIABLE = "ROUNDTABLE_MODEL_SERVERS"  # name=address, with commas between them
KEYS_VARIABLE = "ROUNDTABLE_MODEL_SERVER_KEYS"  # name=key
NETWORKS_VARIABLE = "ROUNDTABLE_MODEL_SERVERS_PRIVATE_ADDRESSES"
VARIABLES = (SERVERS_VARIABLE, KEYS_VARIABLE, NETWORKS_VARIABLE)


@dataclass(frozen=True, kw_only=True)
class KnownServer:
    """`address` is what stands before /completions, as https://models.example.org/v1."""

    name: str
    address: str
    key: str = field(default="", repr=False)
    networks: tuple[Network, ...] = ()  # that are not public, and allowed


def servers_in(environment: Mapping[str, str]) -> dict[str, KnownServer]:
    """Those that the environment names. Raises ValueError, a sentence that says no key."""
    addresses = parse_servers(_words(environment, SERVERS_VARIABLE))
    keys = parse_keys(_words(environment, KEYS_VARIABLE), addresses)
    networks = parse_networks(_words(environment, NETWORKS_VARIABLE))
    return {
        name: KnownServer(name=name, address=address, key=keys.get(name, ""), networks=networks)
        for name, address in addresses.items()
    }


def parse_servers(entries: Sequence[str]) -> dict[str, str]:
    """{name: address} of entries such as `vllm=http://10.1.0.5:8000/v1`. Raises ValueError, a sentence."""
    found: dict[str, str] = {}
    for entry in entries:
        name, sign, address = (part.strip() for part in entry.partition("="))
        form = f"{SERVERS_VARIABLE}: “{entry}” must be written as name=https://example.org/v1"
        if not sign or not name or len(name) > 60 or not name.replace("-", "").replace("_", "").isalnum():
            raise ValueError(form)
        try:
            parts = urlsplit(address)
            port_is_wrong = parts.port == 0
        except ValueError as error:
            raise ValueError(form) from error
        if parts.scheme not in ("http", "https") or not parts.hostname or port_is_wrong:
            raise ValueError(form)
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise ValueError(
                f"{SERVERS_VARIABLE}: the address of {name} has a user, a password, ? or #; a key belongs into "
                f"{KEYS_VARIABLE}"
            )
        if name in found:
            raise ValueError(f"{SERVERS_VARIABLE}: {name} stands twice")
        found[name] = address.rstrip("/")
    return found


def parse_keys(entries: Sequence[str], servers: Mapping[str, str]) -> dict[str, str]:
    """{name: key}. Raises ValueError for what is no name of a server; the sentence has no part of a key."""
    found = {}
    for entry in entries:
        name, sign, key = (part.strip() for part in entry.partition("="))
        if not sign or name not in servers or not key or not key.isascii() or not key.isprintable():
            raise ValueError(
                f"{KEYS_VARIABLE}: each entry is name=key, with a name that {SERVERS_VARIABLE} has; one is not"
            )
        found[name] = key
    return found


def parse_networks(entries: Sequence[str]) -> tuple[Network, ...]:
    """Raises ValueError, a sentence."""
    try:
        return tuple(ip_network(text) for text in entries)
    except ValueError as error:
        raise ValueError(
            f"{NETWORKS_VARIABLE} must be networks with commas between them, as 10.1.0.0/16,127.0.0.1"
        ) from error


def _words(environment: Mapping[str, str], variable: str) -> list[str]:
    return [word.strip() for word in environment.get(variable, "").split(",") if word.strip()]
