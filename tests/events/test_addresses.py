"""To which addresses a webhook may go; the right values are those of the registries (RFC 6890, IANA)."""

import socket
from ipaddress import ip_address, ip_network

import pytest

from events import addresses
from events.addresses import AddressRefused, is_allowed, parse_url, resolve
from events.errors import WebhookRefused

PUBLIC = ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"]
REFUSED = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "224.0.1.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.0.8",
    "::", "::1", "fe80::1", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1",
    "3fff::1", "5f00::1", "192.88.99.1",
    # An IPv4 address in an IPv6 address, however it is put.
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a00:1::", "2001:0:4136:e378:8000:63bf:f5ff:fffe",
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_allowed(text):
    assert is_allowed(ip_address(text))


@pytest.mark.parametrize("text", REFUSED)
def test_every_other_address_is_refused(text):
    assert not is_allowed(ip_address(text))


def test_the_setting_allows_what_it_names_and_nothing_beside(settings):
    settings.WEBHOOKS_PRIVATE_ADDRESSES = [ip_network("10.1.0.0/16"), ip_network("fd12::/16")]
    allowed = ["10.1.255.255", "::ffff:10.1.0.1", "fd12::1", *PUBLIC]
    refused = ["10.2.0.1", "127.0.0.1", "169.254.169.254", "fd13::1", "::ffff:10.2.0.1"]
    assert [is_allowed(ip_address(text)) for text in allowed] == [True] * len(allowed)
    assert [is_allowed(ip_address(text)) for text in refused] == [False] * len(refused)


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "ftp://example.org/", "https://", "https:///hook", "https://example.org:0/",
        "https://example.org:99999/", "https://user:secret@example.org/", "https://example.org/#part",
        "https://exa mple.org/", "https://example.org/a b", "https://example.org/a\nb", "https://bücher.example/",
        "https://[::1/", "http://example.org/", "https://127.0.0.1/", "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/", "https://example.org/" + "x" * 500,
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_receiver_is_refused_at_once(url):
    with pytest.raises(WebhookRefused) as refused:
        parse_url(url)
    assert set(refused.value.fields) == {"url"}


def answer(monkeypatch, *texts):
    """The resolver's answer, and a list that grows with each question."""
    asked = []

    def getaddrinfo(host, port, **options):
        asked.append(host)
        if not texts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port)) for text in texts]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "10.0.0.5", "::ffff:127.0.0.1", "fe80::1%eth0", "169.254.169.254"]
)
def test_a_name_is_refused_for_what_it_resolves_to(monkeypatch, text):
    answer(monkeypatch, text)
    with pytest.raises(AddressRefused, match="is no public address"):
        resolve(parse_url("https://innocent.example/hook"))


def test_one_private_address_among_public_ones_refuses_the_name(monkeypatch):
    answer(monkeypatch, PUBLIC[0], "127.0.0.1")
    with pytest.raises(AddressRefused, match="127.0.0.1 is no public address"):
        resolve(parse_url("https://innocent.example/hook"))


def test_a_name_without_an_address_is_said(monkeypatch):
    answer(monkeypatch)
    with pytest.raises(AddressRefused, match="The name nobody.example has no address"):
        resolve(parse_url("https://nobody.example/hook"))


def test_numbers_that_the_resolver_reads_as_an_address_are_looked_at(monkeypatch):
    """2130706433 and 0x7f.1 are 127.0.0.1 to it; they are no addresses as Python writes them."""
    for url in ("https://2130706433/", "https://0x7f.1/"):
        with pytest.raises(AddressRefused, match="127.0.0.1 is no public address"):
            resolve(parse_url(url))


def test_http_goes_only_where_the_setting_allows_it(monkeypatch, settings):
    settings.WEBHOOKS_PRIVATE_ADDRESSES = [ip_network("10.0.0.0/8")]
    answer(monkeypatch, "10.0.0.5")
    assert resolve(parse_url("http://inside.example/")) == [ip_address("10.0.0.5")]
    answer(monkeypatch, PUBLIC[0])
    with pytest.raises(AddressRefused, match="by https:// only"):
        resolve(parse_url("http://outside.example/"))
