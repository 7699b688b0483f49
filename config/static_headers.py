"""The headers of static files beside those that every answer has."""

from collections.abc import MutableMapping

# A picture that is opened by its own address (SVG can hold scripts) runs nothing and loads nothing.
CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"


def add_content_policy(headers: MutableMapping[str, str], path: str, url: str) -> None:
    headers["Content-Security-Policy"] = CONTENT_POLICY
