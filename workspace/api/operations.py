"""An operation of the API: a method of a view, and all that is to be known of it: who may call it, what it takes, what
it answers. The view does what the operation says, and the schema (workspace/api/schema.py) tells it.

    class Batches(ProjectApiView):
        @operation(Capability.REVIEW, lists=BatchSerializer, query=BatchQuery)
        def get(self, request: Request) -> QuerySet[Batch]:
            \"\"\"The batches of the project.\"\"\"
            return self.project.batches.filter(visible=True)

        @operation(Capability.MANAGE, body=NewBatch, answers=BatchSerializer, creates=True)
        def post(self, request: Request, data: dict[str, Any]) -> Batch:
            \"\"\"A batch in draft.\"\"\"
            return create_batch(actor=self.actor, project=self.project, **data)
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.http.response import HttpResponseBase
from django.utils.http import parse_etags
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from workspace.api.bodies import Query, read_query
from workspace.api.idempotency import answer_once
from workspace.api.paging import page_of, read_page
from workspace.roles import Capability
from workspace.shown_values import Shown, digest_of


@dataclass(frozen=True, kw_only=True)
class Operation:
    capability: Capability | None  # on the project in the address; None: it takes no more than a login
    answers: type[BaseSerializer[Any]] | None = None  # of what the method returns
    lists: type[BaseSerializer[Any]] | None = None  # of each row of the QuerySet that it returns
    body: type[BaseSerializer[Any]] | None = None
    query: type[Query] | None = None
    queues: type[BaseSerializer[Any]] | None = None  # of the run, where it returns Queued: answered 202
    queues_note: str = "A worker does it: look at this run (`runs/ID`) until it has ended."
    status: int = 200
    creates: bool = False  # takes an Idempotency-Key
    keyed: bool = False  # takes an Idempotency-Key, which its action keeps itself
    is_long: bool = False  # must not be one transaction with its key
    secret: tuple[str, ...] = ()  # fields of the answer that are shown once
    immutable: bool = False  # answers with an ETag
    # What of the answer can be changed: its digest is part of the ETag, and a change takes it by If-Match as `shown`.
    changeable: Callable[[Any], Mapping[str, Any]] | None = None
    # What it sends instead of JSON, or takes: content types.
    sends: tuple[str, ...] = ()
    takes_file: bool = False
    # Reads by POST, as a search would: a token that only reads may.
    changes: bool = True


@dataclass(frozen=True)
class Queued:
    """What a method returns whose work is done later: the program looks at the run, or at what waits to be one."""

    run: Any


def operation(
    capability: Capability | None, *, status: int | None = None, **described: Any
) -> Callable[[Callable[..., Any]], Callable[..., HttpResponseBase]]:
    """Makes a method an operation. It gets the checked body as `data`, and the address's keys by name."""
    created = 201 if described.get("creates") else 200
    what = Operation(capability=capability, status=status or created, **described)

    def decorate(method: Callable[..., Any]) -> Callable[..., HttpResponseBase]:
        @wraps(method)
        def carried_out(view: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            kwargs.pop("slug", None)  # view.project
            view.query = read_query(what.query, request)
            if what.body is not None:
                body = what.body(data=request.data, context={"view": view})
                body.is_valid(raise_exception=True)
                kwargs["data"] = body.validated_data

            if what.changeable is not None and request.method == "PATCH":
                kwargs["shown"] = _shown(request)

            def answer() -> Response:
                return _render(what, view, request, method(view, request, *args, **kwargs))

            if what.creates:
                return answer_once(request, answer, secret=what.secret, is_long=what.is_long)
            return answer()

        carried_out.operation = what  # type: ignore[attr-defined]
        return carried_out

    return decorate


def operation_of(view: Any, method: str) -> Operation | None:
    """What a view does on this method; None where it does nothing."""
    name = "get" if method.upper() == "HEAD" else method.lower()
    return getattr(getattr(view, name, None), "operation", None)


def _render(what: Operation, view: Any, request: Request, result: Any) -> Any:
    if isinstance(result, HttpResponseBase):
        return result
    context = {"view": view, "request": request}
    if isinstance(result, Queued):
        assert what.queues is not None, "an operation that queues says as what: the schema tells it"
        return Response(what.queues(result.run, context=context).data, status=202)
    if what.lists is not None:
        rows, address, cursor = read_page(result, view.query, request)
        page = page_of(what.lists)
        data: Any = page({"results": rows, "next": address, "next_cursor": cursor}, context=context).data
    elif what.answers is not None:
        data = what.answers(result, context=context).data
    else:
        data = None
    if not what.immutable and what.changeable is None:
        return Response(data, status=what.status)
    tag = hashlib.sha256(JSONRenderer().render(data)).hexdigest()[:32]
    tag = f'"{tag}"' if what.changeable is None else f'"{tag}-{digest_of(what.changeable(result))}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.method in ("GET", "HEAD") and is_known(request, tag):
        return Response(status=304, headers=headers)
    return Response(data, status=what.status, headers=headers)


def _shown(request: Request) -> Shown:
    """What If-Match names of the values that can be changed; whatever else of the answer has changed is no conflict."""
    if "If-Match" not in request.headers:
        return None
    tags = parse_etags(request.headers["If-Match"])
    if "*" in tags:
        return None
    return tuple(tag.strip('"').rpartition("-")[2] for tag in tags if not tag.startswith("W/"))


def is_known(request: Request, tag: str) -> bool:
    """Whether the program has this version already (If-None-Match)."""
    known = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in known or tag in {other.removeprefix("W/") for other in known}
