"""Idempotency-Key: a request that creates something, sent twice with one key, creates it once.

The key, the hash of the request and its answer are kept for 24 hours. Short work and its answer are one transaction, so
that a repetition finds both or neither, and one that comes at the same moment waits for the first. Work that takes long
(it must not hold the database) leaves its key behind first; where the process dies in the middle, the key stays taken:
the caller is told, and nothing is done twice.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from learning.interface.text import find_unstorable_character
from workspace.api.errors import KeyConflict, StillRunning
from workspace.database import write_transaction
from workspace.models import IdempotentRequest, User

KEPT = timedelta(hours=24)
MAX_KEY = 100
REPLAYED = "Idempotency-Replayed"


def read_key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY or find_unstorable_character(key):
        raise ValidationError({"Idempotency-Key": [f"It must have 1 to {MAX_KEY} characters."]})
    return key


def answer_once(
    request: Request, carry_out: Callable[[], Response], *, secret: tuple[str, ...], is_long: bool
) -> Response:
    """The answer of `carry_out`, or what it was the first time. `secret` fields are not kept: a repetition has null."""
    key = read_key(request)
    if key is None:
        return carry_out()
    user = request.user
    assert isinstance(user, User)
    digest = _digest(request)
    _forget_old(user)
    if earlier := IdempotentRequest.objects.filter(user=user, key=key).first():
        return _replay(earlier, digest)
    try:
        if is_long:
            return _carry_out_in_steps(user, key, digest, carry_out, secret)
        return _carry_out_at_once(user, key, digest, carry_out, secret)
    except _Taken:
        # Somebody was faster. Theirs has ended, or it is one that takes long.
        taken = IdempotentRequest.objects.filter(user=user, key=key).first()
        if taken is None:
            raise StillRunning from None
        return _replay(taken, digest)


class _Taken(Exception):
    """The key was used a moment ago."""


@write_transaction
def _carry_out_at_once(
    user: User, key: str, digest: str, carry_out: Callable[[], Response], secret: tuple[str, ...]
) -> Response:
    begun = _begin(user, key, digest)
    response = carry_out()
    _keep(begun, response, secret)
    return response


def _carry_out_in_steps(
    user: User, key: str, digest: str, carry_out: Callable[[], Response], secret: tuple[str, ...]
) -> Response:
    begun = _begin(user, key, digest)
    try:
        response = carry_out()
    except Exception:
        begun.delete()
        raise
    _keep(begun, response, secret)
    return response


def _begin(user: User, key: str, digest: str) -> IdempotentRequest:
    try:
        with transaction.atomic():
            return IdempotentRequest.objects.create(user=user, key=key, request_sha256=digest)
    except IntegrityError as error:
        raise _Taken from error


def _keep(begun: IdempotentRequest, response: Response, secret: tuple[str, ...]) -> None:
    kept = response.data
    if secret:
        kept = {name: None if name in secret else value for name, value in response.data.items()}
    begun.status, begun.body = response.status_code, _json(kept)
    begun.save(update_fields=["status", "body"])


def _json(data: Any) -> str:
    return JSONRenderer().render(data).decode()


def _replay(earlier: IdempotentRequest, digest: str) -> Response:
    if earlier.request_sha256 != digest:
        raise KeyConflict
    if earlier.status is None:
        raise StillRunning
    data = json.loads(earlier.body) if earlier.body else None
    return Response(data, status=earlier.status, headers={REPLAYED: "true"})


def _digest(request: Request) -> str:
    content = json.dumps([request.method, request.path, request.data], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _forget_old(user: User) -> None:
    IdempotentRequest.objects.filter(user=user, created_at__lt=timezone.now() - KEPT).delete()
