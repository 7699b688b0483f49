"""What every view of the API is made of."""

from datetime import UTC
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from workspace.api.authentication import SessionAuthentication, TokenAuthentication
from workspace.api.bodies import JsonParser
from workspace.api.errors import answer_exception
from workspace.api.operations import Operation, operation_of
from workspace.api.permissions import IsPerson, access_project_by_program, require_scope
from workspace.api.schema import OperationSchema
from workspace.api.throttles import CallerThrottle
from workspace.models import Project, User
from workspace.roles import Capability


class OneRepresentation(BaseContentNegotiation):
    """JSON, whatever is asked for: rows in other formats have addresses of their own."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        content_type = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == content_type), None)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: Any = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class ApiView(APIView):
    """For people who are logged in and their programs. Its methods are operations, or nobody may call them."""

    authentication_classes = [TokenAuthentication, SessionAuthentication]
    permission_classes = [IsPerson]
    throttle_classes = [CallerThrottle]
    parser_classes = [JsonParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = OneRepresentation
    schema = OperationSchema()
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]

    max_body_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        view = super().as_view(**initkwargs)
        view.max_program_bytes = cls.max_body_bytes  # type: ignore[attr-defined]  # workspace/request_bodies.py
        return view

    query: dict[str, Any]  # the checked parameters of the address

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # Times of the API are UTC; those of pages are the project's.
        with timezone.override(UTC):
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        what = operation_of(self, request.method or "")
        if what is None:
            raise MethodNotAllowed(request.method or "")
        super().initial(request, *args, **kwargs)
        self.authorize(request, what, **kwargs)
        if what.changes:
            require_scope(request)

    def authorize(self, request: Request, what: Operation, **kwargs: Any) -> None:
        """Raises what the caller is answered who may not."""
        assert what.capability is None, "a capability is one on a project: make it a ProjectApiView"

    @property
    def actor(self) -> User:
        assert isinstance(self.request.user, User)
        return self.request.user

    @property
    def allowed_methods(self) -> list[str]:
        return [name.upper() for name in self.http_method_names if operation_of(self, name)]

    def get_exception_handler(self) -> Any:
        return answer_exception

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        finished = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(finished, Response) and finished.data is None:
            finished["Content-Length"] = "0"
        finished.headers.setdefault("Cache-Control", "private, no-store")
        patch_vary_headers(finished, ["Authorization", "Cookie"])
        return finished


class ProjectApiView(ApiView):
    """Below /projects/{slug}/: for those who have the operation's capability on the project."""

    project: Project
    capabilities: frozenset[Capability]

    def authorize(self, request: Request, what: Operation, **kwargs: Any) -> None:
        assert what.capability is not None, f"{type(self).__name__} says nothing of who may call it"
        self.project, self.capabilities = access_project_by_program(request, kwargs["slug"], what.capability)
