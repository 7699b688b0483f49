"""What may be sent to the site, decided before any of it is read: how much and of which kind. Files come in pieces, to
views that say so; no form has one.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from workspace.front_door import refusal

View = TypeVar("View", bound=Callable[..., Any])

# A guideline of 100,000 characters, each of them twelve characters long as a form sends it, fits.
MAX_FORM_BYTES = 2_000_000
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
JSON = "application/json"
OCTETS = "application/octet-stream"


class UnexpectedFile(SuspiciousOperation):
    """A form with a file for a view that takes none."""


class NoFiles(FileUploadHandler):
    """The site's handler: the fields of a multipart form are read, a file is refused before a byte of it is kept."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise UnexpectedFile("This form takes no files.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        raise UnexpectedFile("This form takes no files.")

    def file_complete(self, file_size: int) -> None:
        return None


def takes_json(*, max_bytes: int) -> Callable[[View], View]:
    """For a view that a script sends JSON to and nothing else; outermost."""

    def mark(view: View) -> View:
        view.max_json_bytes = max_bytes  # type: ignore[attr-defined]
        return view

    return mark


def takes_pieces(*, max_bytes: int) -> Callable[[View], View]:
    """For a view that a script sends pieces of a file to, as they are; outermost."""

    def mark(view: View) -> View:
        view.max_piece_bytes = max_bytes  # type: ignore[attr-defined]
        return view

    return mark


class RequestBodyMiddleware:
    """The first middleware: what comes after it may read the body, and the CSRF check does."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        # As Django reads it: no more than this of the body reaches a view, and none where it is missing.
        length = _length(request)
        if not length:
            return None
        program_bytes = getattr(view, "max_program_bytes", None)
        if program_bytes is not None:
            # Of the API: its views say which kind they take, and read nothing before they know who sends it.
            return _too_large(request) if length > program_bytes else None
        json_bytes = getattr(view, "max_json_bytes", None)
        if json_bytes is not None:
            if request.content_type != JSON:
                sentence = "This address takes JSON alone: send it as application/json."
                return refusal(request, sentence, status=415, as_json=True)
            return _too_large(request, as_json=True) if length > json_bytes else None
        piece_bytes = getattr(view, "max_piece_bytes", None)
        if piece_bytes is not None and request.content_type == OCTETS:
            return _too_large(request, as_json=True) if length > piece_bytes else None
        if request.content_type not in (*FORMS, JSON):
            return refusal(request, gettext("This address takes forms alone."), status=415)
        return _too_large(request) if length > MAX_FORM_BYTES else None


def _length(request: HttpRequest) -> int:
    try:
        return max(0, int(request.META.get("CONTENT_LENGTH") or 0))
    except ValueError:
        return 0


def _too_large(request: HttpRequest, *, as_json: bool = False) -> HttpResponse:
    return refusal(
        request, gettext("What was sent is larger than this address takes."), status=413, as_json=as_json
    )
