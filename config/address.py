"""Where people find the site: what follows from its address, and from the older settings that say it in parts."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from config.environment import Environment, refused

LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]


@dataclass(frozen=True, kw_only=True)
class Address:
    url: str  # without a slash at its end; "" when not set
    hosts: list[str]  # that requests may name
    origins: list[str]  # that forms may come from
    behind_tls: bool


def read_address(env: Environment) -> Address:
    """Raises ImproperlyConfigured, one sentence, for a value that is no address, host name or origin."""
    url, hosts, origins = env.read("URL").rstrip("/"), env.read("ALLOWED_HOSTS"), env.read("TRUSTED_ORIGINS")
    for host in hosts:
        # [::1] is a host, a:80 is none.
        if "/" in host or ":" in host.rpartition("]")[2]:
            raise refused("ROUNDTABLE_ALLOWED_HOSTS", "host names without https:// and without a port")
    for origin in origins:
        if not origin.startswith(("https://", "http://")) or origin.count("/") > 2:
            raise refused(
                "ROUNDTABLE_TRUSTED_ORIGINS", "origins such as https://desk.example.org, with commas between"
            )
    scheme = ""
    if url:
        scheme, name = _split(url)
        hosts = [*hosts, name]
        origins = [*origins, url.lower()]
    if url or not hosts:
        hosts = [*hosts, *LOOPBACK]
    behind_tls = env.read("BEHIND_TLS") if env.is_set("BEHIND_TLS") else scheme == "https"
    return Address(url=url, hosts=hosts, origins=origins, behind_tls=behind_tls)


def _split(url: str) -> tuple[str, str]:
    """Scheme and host of the site's own address."""
    wanted = "https://, the host and nothing behind it but a port, as https://desk.example.org"
    try:
        parts = urlsplit(url)
        port = parts.port  # raises ValueError for one that is no number
    except ValueError:
        raise refused("ROUNDTABLE_URL", wanted) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise refused("ROUNDTABLE_URL", wanted)
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        raise refused("ROUNDTABLE_URL", wanted)
    return parts.scheme, f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
