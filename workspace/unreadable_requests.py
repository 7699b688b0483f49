"""The one place that refuses what no browser sends: addresses, forms and cookies with characters no database keeps.

PostgreSQL stores no NUL and no half of a surrogate pair, so that each query with one would be a fault of the program.
JSON bodies are checked where they are parsed.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render

from learning.interface.text import find_unstorable_character
from workspace.problems import is_for_program, problem_response
from workspace.unavailable import wants_no_page

logger = logging.getLogger(__name__)

MAX_QUERY_CHARACTERS = 4_000  # the longest of ours has a few hundred
MAX_COOKIE_CHARACTERS = 4_096  # as browsers keep them


class UnreadableRequestMiddleware:
    """Stands after the CSRF check, so that nobody's form is read who may not send one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        for name, value in list(request.COOKIES.items()):
            # As if it were not there: whoever has such a cookie cannot get rid of it.
            if len(value) > MAX_COOKIE_CHARACTERS or find_unstorable_character(value):
                del request.COOKIES[name]
        if find_unstorable_character(request.path_info):
            raise Http404("No page has such an address.")
        if _holds_unstorable(request.GET):
            return _refuse(request, "The address holds a character that cannot be stored.")
        if len(request.META.get("QUERY_STRING", "")) > MAX_QUERY_CHARACTERS:
            return _refuse(request, "The address is too long.")
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        # What needs no CSRF token takes no form: it would be read before anybody asked who sends it.
        reads_forms = not getattr(view, "csrf_exempt", False)
        if request.method == "POST" and reads_forms and _holds_unstorable(request.POST):
            return _refuse(request, "The form holds a character that cannot be stored.")
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A number that no column holds, or text where a number belongs: Django's own pages look it up unchecked."""
        no_number = isinstance(exception, ValueError) and " expected a number but got " in str(exception)
        if not no_number and not isinstance(exception, (OverflowError, DataError)):
            return None
        logger.warning("refused as a request that cannot be read: %s", exception, exc_info=exception)
        return _refuse(request, "A number in the request is none that can be.")


def _holds_unstorable(fields: QueryDict) -> bool:
    texts: Iterable[str] = (text for name, values in fields.lists() for text in (name, *map(str, values)))
    return any(find_unstorable_character(text) for text in texts)


def _refuse(request: HttpRequest, reason: str) -> HttpResponse:
    if is_for_program(request):
        return problem_response(400, "bad_request", reason)
    if wants_no_page(request):
        return JsonResponse({"code": "bad_request", "message": reason, "fields": {}}, status=400)
    return render(request, "bad_request.html", {"reason": reason}, status=400)
