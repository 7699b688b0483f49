"""The OpenAPI schema, told by the operations themselves."""

import re
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.fields import ChoiceField

from workspace.api.operations import Operation, operation_of
from workspace.api.paging import page_of
from workspace.api.serializers import ProblemSerializer
from workspace.problems import CONTENT_TYPE


class OperationSchema(AutoSchema):
    @property
    def what(self) -> Operation:
        found = operation_of(self.view, self.method)
        assert found is not None, f"{self.view} {self.method} is no operation"
        return found

    def get_operation_id(self) -> str:
        """As listBatches or createBatch would be: the method and the address."""
        words = [word for word in re.split(r"[/{}-]", self.path.removeprefix("/api/v1/")) if word]
        if words[:2] == ["projects", "slug"] and len(words) > 2:
            words = words[2:]
        verb = "list" if self.method == "GET" and self.what.lists else self.method.lower()
        return "_".join([verb, *words])

    def get_tags(self) -> list[str]:
        words = [word for word in self.path.removeprefix("/api/v1/").split("/") if not word.startswith("{")]
        return [words[1] if words[0] == "projects" and len(words) > 1 else words[0]]

    def _documentation(self) -> str:
        return getattr(self.view, self.method.lower()).__doc__ or ""

    def get_summary(self) -> str:
        return self._documentation().strip().partition("\n")[0]

    def get_description(self) -> str:  # type: ignore[override]
        who = self.what.capability
        needs = f"Takes the capability “{who}” on the project." if who else "Takes a login."
        rest = " ".join(self._documentation().strip().partition("\n")[2].split())
        return f"{rest}\n\n{needs}".strip()

    def get_extensions(self) -> dict[str, Any]:
        """`x-reads`: a POST that changes nothing, so that it may be sent again."""
        return {"x-reads": True} if self.method == "POST" and not self.what.changes else {}

    def get_override_parameters(self) -> list[Any]:
        parameters: list[Any] = [self.what.query] if self.what.query is not None else []
        if self.what.creates or self.what.keyed:
            parameters.append(
                OpenApiParameter(
                    "Idempotency-Key",
                    {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[!-~]+$"},
                    OpenApiParameter.HEADER,
                    description="Sent again with it within 24 hours, nothing is created twice.",
                )
            )
        if self.what.immutable or (self.what.changeable is not None and self.method == "GET"):
            parameters.append(OpenApiParameter("If-None-Match", OpenApiTypes.STR, OpenApiParameter.HEADER))
        elif self.what.changeable is not None:
            parameters.append(
                OpenApiParameter(
                    "If-Match",
                    OpenApiTypes.STR,
                    OpenApiParameter.HEADER,
                    description="The ETag of what was read: refused (412) when it was changed since.",
                )
            )
        return parameters

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        """A choice of a model that may be blank: what is read-only is told without its blank value otherwise."""
        told = super()._map_serializer_field(field, direction, bypass_extensions)
        model: Any = getattr(getattr(field.parent, "Meta", None), "model", None)
        names = {each.name for each in model._meta.concrete_fields} if model else set()
        is_shown_choice = (
            model is not None and isinstance(field, ChoiceField) and field.read_only and field.source in names
        )
        if is_shown_choice and model._meta.get_field(field.source).blank and "enum" in told:
            told = told | {"enum": list(dict.fromkeys([*told["enum"], ""]))}
        return told

    def get_request_serializer(self) -> Any:
        if self.what.takes_file:
            return {"application/octet-stream": OpenApiTypes.BINARY}
        if self.what.body is None:
            return None
        # One without fields takes any object.
        body: Any = self.what.body
        return {"application/json": body if body().fields else OpenApiTypes.OBJECT}

    def get_response_serializers(self) -> Any:
        what = self.what
        if what.sends:
            answers: dict[Any, Any] = {(200, kind): OpenApiTypes.BINARY for kind in what.sends}
        elif what.lists is not None:
            answers = {(what.status, "application/json"): page_of(what.lists)}
        elif what.answers is not None:
            answers = {(what.status, "application/json"): what.answers}
        else:
            answers = {what.status: OpenApiResponse(description="Done.")}
        if what.queues is not None:
            queued: Any = what.queues
            answers[202, "application/json"] = OpenApiResponse(queued, what.queues_note)
        if what.immutable or (what.changeable is not None and self.method == "GET"):
            answers[304] = OpenApiResponse(description="Unchanged: the program has it.")
        for status in sorted(self._refusals()):
            answers[status, CONTENT_TYPE] = ProblemSerializer
        return answers

    def _refusals(self) -> set[int]:
        what = self.what
        statuses = {400, 401, 403, 404, 429, 503}
        if self.method != "GET":
            statuses.add(409)
        if what.body is not None or what.takes_file:
            statuses |= {413, 415}
        if what.creates:
            statuses.add(422)
        if what.changeable is not None and self.method != "GET":
            statuses.add(412)
        return statuses
