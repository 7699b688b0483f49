"""The audit trail on a page and as a file: for managers of a project, and for operators over all."""

import json
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from workspace import audit_log
from workspace.forms import StyledFormMixin
from workspace.lists import read_list
from workspace.models import Project, User
from workspace.requests import ProjectRequest, current_user, project_view
from workspace.roles import Capability

SHOWN_DETAILS = 400


def _date_input() -> forms.DateInput:
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


class AuditFilterForm(StyledFormMixin, forms.Form):
    person = forms.CharField(required=False, max_length=150, label=gettext_lazy("Person"))
    action = forms.ChoiceField(required=False, label=gettext_lazy("Action"))
    target = forms.CharField(
        required=False,
        max_length=130,
        label=gettext_lazy("Object"),
        widget=forms.TextInput(attrs={"placeholder": "batch 7"}),
    )
    since = forms.DateField(required=False, label=gettext_lazy("From"), widget=_date_input())
    until = forms.DateField(required=False, label=gettext_lazy("To"), widget=_date_input())

    def __init__(self, *args: Any, project: Project | None, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "audit_%s")
        super().__init__(*args, **kwargs)
        actions = [(name, name) for name in audit_log.known_actions(project)]
        self.fields["action"] = forms.ChoiceField(required=False, choices=[("", gettext("All")), *actions])
        self.order_fields(["person", "action", "target", "since", "until"])
        self.add_bootstrap_classes()

    def clean_target(self) -> tuple[list[str], str]:
        """The model labels and the key that "batch 7", "batch" or "annotation.batch 7" says."""
        name, _, key = self.cleaned_data["target"].strip().partition(" ")
        if not name:
            return [], ""
        types = audit_log.types_called(name)
        if not types:
            raise forms.ValidationError(
                gettext(
                    "Nothing is called “%(name)s”: give a kind of object and its number, for example batch 7."
                )
                % {"name": name}
            )
        return types, key.strip()

    def filters(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        types, key = cleaned["target"]
        given = {name: cleaned[name] for name in ("person", "action", "since", "until")}
        return given | {"types": types, "key": key}


def _read(request: HttpRequest, project: Project | None) -> tuple[AuditFilterForm, Any, dict[str, str]]:
    """The form, the events that it finds (none where it is wrong), and what was asked."""
    form = AuditFilterForm(request.GET, project=project)
    events = audit_log.audit_events(project)
    asked = {name: value for name in form.fields if (value := request.GET.get(name, "").strip())}
    if not form.is_valid():
        return form, events.none(), asked
    zone = ZoneInfo(project.time_zone if project else settings.TIME_ZONE)
    return form, audit_log.filter_audit(events, zone=zone, **form.filters()), asked


def _page(request: HttpRequest, project: Project | None) -> HttpResponse:
    form, events, asked = _read(request, project)
    listing = read_list(request, events, kept=asked)
    rows = []
    for event in listing.rows:
        details = json.dumps(event.details, ensure_ascii=False) if event.details else ""
        more = len(details) > SHOWN_DETAILS
        rows.append({"event": event, "details": details[:SHOWN_DETAILS], "more": more})
    query = request.GET.copy()
    for name in list(query):
        if name not in asked:
            del query[name]
    context = {
        "form": form,
        "listing": listing,
        "rows": rows,
        "is_filtered": bool(asked),
        "query": query.urlencode(),
        "export_address": request.path + "export/",
        "of_all": project is None,
    }
    return render(request, "workspace/audit.html", context, status=200 if form.is_valid() else 422)


def _export(request: HttpRequest, project: Project | None, actor: User) -> HttpResponseBase:
    kind = request.GET.get("format", audit_log.CSV)
    if kind not in audit_log.CONTENT_TYPES:
        raise Http404("No such format.")
    form, events, asked = _read(request, project)
    if not form.is_valid():
        return _page(request, project)
    content = audit_log.export_audit(actor=actor, project=project, events=events, kind=kind, filters=asked)
    name = f"audit-{project.slug if project else 'all'}-{timezone.localdate():%Y-%m-%d}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(content, content_type=audit_log.CONTENT_TYPES[kind], headers=headers)


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def audit(request: ProjectRequest) -> HttpResponse:
    return _page(request, request.project)


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def audit_export(request: ProjectRequest) -> HttpResponseBase:
    return _export(request, request.project, request.user)


def _operator(request: HttpRequest) -> User:
    user = current_user(request)
    if not (user.is_active and user.is_staff):
        raise Http404("No such page.")
    return user


@require_GET
@never_cache
@login_required
def audit_of_all(request: HttpRequest) -> HttpResponse:
    _operator(request)
    return _page(request, None)


@require_GET
@never_cache
@login_required
def audit_of_all_export(request: HttpRequest) -> HttpResponseBase:
    return _export(request, None, _operator(request))
