"""The client's address: what proxies of ours wrote is believed, what the client wrote is not."""

import logging

import pytest

from workspace import client_address as module
from workspace.client_address import address_group, client_address


@pytest.mark.parametrize(
    ("proxies", "heard", "forwarded", "address"),
    [
        (0, "192.0.2.7", "203.0.113.9", "192.0.2.7"),  # no proxy: a header is what the client likes
        (1, "10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (1, "10.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),  # the client sent 1.2.3.4, the proxy the rest
        (1, "10.0.0.1", "", "10.0.0.1"),  # past the proxy
        (2, "10.0.0.1", "1.2.3.4, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (2, "10.0.0.1", "203.0.113.9", "10.0.0.1"),  # one proxy is missing: the entry may be the client's own
        (1, "", "203.0.113.9:51234", "203.0.113.9"),  # over a Unix socket
        (1, "", "[2001:db8::5]:443", "2001:db8::5"),
        (1, "10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "10.0.0.1", "unknown", None),
        (0, "unix:", "", None),
    ],
)
def test_only_as_many_entries_are_believed_as_there_are_proxies(
    rf, settings, proxies, heard, forwarded, address
):
    settings.PROXY_COUNT = proxies
    header = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    spoofed = {
        "HTTP_X_REAL_IP": "9.9.9.9",
        "HTTP_FORWARDED": "for=9.9.9.9",
        "HTTP_CF_CONNECTING_IP": "9.9.9.9",
    }
    assert client_address(rf.get("/", REMOTE_ADDR=heard, **header, **spoofed)) == address


def test_one_client_has_a_whole_network_in_ipv6():
    assert address_group("2001:db8:1:2:3:4:5:6") == address_group("2001:db8:1:2::9") == "2001:db8:1:2::"
    assert address_group("2001:db8:1:3::9") != address_group("2001:db8:1:2::9")
    assert address_group("192.0.2.7") == "192.0.2.7"
    assert address_group(None) is None


def test_a_proxy_that_nobody_set_is_told_once(rf, settings, monkeypatch, caplog):
    settings.PROXY_COUNT = 0
    monkeypatch.setattr(module, "_warned", False)
    for _ in range(3):
        client_address(rf.get("/", HTTP_X_FORWARDED_FOR="203.0.113.9"))
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 1 and "ROUNDTABLE_PROXY_COUNT" in told[0]
