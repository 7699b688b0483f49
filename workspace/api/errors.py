"""From an exception to the problem details that a program is answered with."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404
from django.http.response import HttpResponseBase
from rest_framework import exceptions
from rest_framework.response import Response

from learning.interface.options import UserError
from workspace.access import NoLongerMember
from workspace.errors import ActionError
from workspace.problems import CONTENT_TYPE, problem_details
from workspace.shown_values import ChangedMeanwhile
from workspace.unavailable import unavailable_response

# As the work page's script knows them.
_CODES = {"not_authenticated": "login_required", "parse_error": "bad_request", "error": "server_error"}
_LONGEST_MESSAGE = 1000
_PLACES_IN_MESSAGE = 5


class BodyTooLarge(exceptions.APIException):
    status_code = 413
    default_code = "body_too_large"
    default_detail = "The request is too large."


class KeyConflict(exceptions.APIException):
    status_code = 422
    default_code = "idempotency_key_reused"
    default_detail = "This Idempotency-Key belongs to another request: use a new one."


class StillRunning(exceptions.APIException):
    status_code = 409
    default_code = "idempotency_key_in_use"
    default_detail = (
        "A request with this Idempotency-Key was begun and has not ended: wait and send it again, or look whether it "
        "was done."
    )


def problem(
    status: int,
    code: str,
    message: str,
    fields: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    details = problem_details(status, code, message, fields)
    return Response(details, status=status, headers=dict(headers or {}), content_type=CONTENT_TYPE)


def answer_exception(error: Exception, context: dict[str, Any]) -> HttpResponseBase | None:
    """For EXCEPTION_HANDLER. None for a fault of the program, which Django logs and answers with 500."""
    match error:
        case ChangedMeanwhile():  # only of what came with If-Match
            return problem(412, error.code, error.message)
        case ActionError():
            gone = (
                error.code == "not_a_member"
            )  # a moment ago: they are told what a later request would be told
            status = 404 if gone else 409 if error.is_conflict else 400
            return problem(status, error.code, error.message, error.fields)
        case UserError():
            return problem(400, "invalid", str(error))
        case NoLongerMember():
            return problem(404, "not_a_member", error.message)
        case Http404():
            return problem(404, "not_found", str(error) or "There is nothing at this address.")
        case DjangoPermissionDenied():
            return problem(403, "permission_denied", "You may not do this.")
        case exceptions.ValidationError():
            return _answer_invalid(error)
        case exceptions.APIException():
            code = error.get_codes()
            assert isinstance(code, str)
            headers = {}
            if challenge := getattr(error, "auth_header", None):
                headers["WWW-Authenticate"] = challenge
            if wait := getattr(error, "wait", None):  # of Throttled, in whole seconds
                headers["Retry-After"] = str(wait)
            return problem(error.status_code, _CODES.get(code, code), str(error.detail), headers=headers)
    return unavailable_response(context["request"]._request, error)


def _answer_invalid(error: exceptions.ValidationError) -> Response:
    places = list(_flatten(error.detail, ""))
    fields: dict[str, str] = {}
    for place, sentence in places:
        fields[place] = f"{fields[place]} {sentence}" if place in fields else sentence
    said = [f"{place}: {sentence}" if place else sentence for place, sentence in fields.items()]
    more = f" (and {len(said) - _PLACES_IN_MESSAGE} more)" if len(said) > _PLACES_IN_MESSAGE else ""
    message = ("; ".join(said[:_PLACES_IN_MESSAGE]) + more)[:_LONGEST_MESSAGE]
    fields.pop("", None)
    return problem(400, "invalid", message, fields)


def _flatten(detail: Any, place: str) -> Iterator[tuple[str, str]]:
    """(place, sentence) of each fault; a place is the way to the value: rows.3.messages."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            name = "" if name == "non_field_errors" else str(name)
            yield from _flatten(inner, ".".join(filter(None, (place, name))))
    elif isinstance(detail, list):
        for number, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from _flatten(inner, f"{place}.{number}".lstrip(".") if nested else place)
    else:
        yield place, str(detail)
