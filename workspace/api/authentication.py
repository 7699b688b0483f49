"""Who calls: a program by its token, or the browser of somebody who is logged in."""

import base64
import binascii
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from workspace.members import hash_token
from workspace.models import ApiToken, User
from workspace.tokens.actions import MARK, record_use


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer rt_...`, or Basic with the token as the password, for programs that take an address and no
    header (https://token:rt_...@host/). A person's own password is none.
    """

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() == "basic":
            text = _password(text)
            if not text.startswith(MARK):
                return None  # of a proxy that asks for a password, perhaps
        elif scheme.lower() != "bearer":
            return None
        token = (
            ApiToken.objects.usable()
            .select_related("user", "project")
            .filter(token_hash=hash_token(text.strip()))
            .first()
        )
        if token is None:
            # The same for all of them: a guess learns nothing.
            raise AuthenticationFailed("The token is unknown, revoked or has expired.", "token_invalid")
        record_use(token=token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Roundtable"'


def _password(credentials: str) -> str:
    """Of Basic credentials (RFC 7617); empty where they are none."""
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return decoded.partition(":")[2]


class SessionAuthentication(authentication.SessionAuthentication):
    """The session of the pages; what changes something carries their CSRF token."""

    def enforce_csrf(self, request: HttpRequest | Request) -> None:
        try:
            super().enforce_csrf(request)  # type: ignore[arg-type]
        except PermissionDenied as error:
            raise PermissionDenied(
                "The CSRF token is missing or old: send the cookie's as X-CSRFToken.", "csrf_failed"
            ) from error


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "workspace.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "Made on the page “API tokens”."}


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "workspace.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
