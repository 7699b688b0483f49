"""What a program is told that went wrong: problem details of RFC 9457, with our code, message and fields in them.

    {"type": "about:blank", "title": "Conflict", "status": 409, "detail": "The batch is closed.",
     "code": "batch_not_open", "message": "The batch is closed.", "fields": {}}

`code` is for programs, `message` (the same as `detail`) for people, `fields` says it of each value by its place.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, JsonResponse

CONTENT_TYPE = "application/problem+json"


def problem_details(
    status: int, code: str, message: str, fields: Mapping[str, str] | None = None
) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": message,
        "code": code,
        "message": message,
        "fields": dict(fields or {}),
    }


def problem_response(
    status: int, code: str, message: str, fields: Mapping[str, str] | None = None
) -> JsonResponse:
    """For what goes wrong before or behind the API's own views."""
    details = problem_details(status, code, message, fields)
    return JsonResponse(details, status=status, content_type=CONTENT_TYPE)


def is_for_program(request: HttpRequest) -> bool:
    """Whether it asks for an address of the API, which answers everybody as programs."""
    return request.path.startswith("/api/")
