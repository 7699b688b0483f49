"""The way to a server of language models: to an address that an operator allows, whatever its name says today."""

import socket
from ipaddress import ip_address

import httpx

from learning.interface.addresses import Address, is_allowed, is_named
from learning.interface.model_servers import NETWORKS_VARIABLE, KnownServer
from learning.interface.options import UserError


class CheckedTransport(httpx.BaseTransport):
    """Goes to an address that was looked at, as the host of the URL: that name is sent and its certificate checked."""

    def __init__(self, server: KnownServer) -> None:
        self._server = server
        self._transport = httpx.HTTPTransport(retries=0, trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host, url = request.url.host, request.url
        failure: httpx.ConnectError | None = None
        for address in resolve(url, self._server):
            request.url = url.copy_with(host=str(address))
            request.extensions = {**request.extensions, "sni_hostname": host}
            try:
                return self._transport.handle_request(request)
            except httpx.ConnectError as error:  # nothing was sent yet
                failure = error
        raise failure or httpx.ConnectError(f"{host} has no address")

    def close(self) -> None:
        self._transport.close()


def resolve(url: httpx.URL, server: KnownServer) -> list[Address]:
    """Raises UserError when any of the host's addresses is one that the server may not have."""
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"the name {url.host} has no address") from error
    addresses = list(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
    for address in addresses:
        if not is_allowed(address, server.networks):
            raise UserError(
                f"the model server {server.name}: {address} is no public address; an operator can allow it "
                f"({NETWORKS_VARIABLE})"
            )
        if url.scheme == "http" and not is_named(address, server.networks):
            raise UserError(
                f"the model server {server.name}: {address} is public, and a server is asked there by https:// only"
            )
    return addresses
