"""The feed on a page, for who reviews; webhooks and their dead letters, for managers."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.models import Count, Q
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from events import actions
from events.access import access_delivery, access_webhook
from events.feed import without_hidden_checks
from events.forms import ChangedWebhookForm, WebhookForm
from events.kinds import GROUPS, KINDS, expand
from events.models import Delivery, Webhook
from events.presentation import event_rows
from events.publishing import PUBLISHED_BY_A_READER, publish_events
from workspace.changed_page import save_shown_values
from workspace.errors import ActionError
from workspace.forms import add_errors
from workspace.lists import Filter, field_filter, read_list
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

SHOWN_FOR_SECONDS = 300
SHOWN_DELIVERIES = 20


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def events(request: ProjectRequest) -> HttpResponse:
    publish_events(at_most=PUBLISHED_BY_A_READER)
    kinds = Filter(
        name="kind",
        label=gettext("Kind"),
        choices=[(group, group.capitalize()) for group in GROUPS] + [(kind, kind) for kind in KINDS],
        apply=lambda rows, value: rows.filter(kind__in=expand([value])),
    )
    listing = read_list(request, request.project.events.all(), filters=[kinds])
    rows = without_hidden_checks(listing.rows, request.capabilities)
    context = {"listing": listing, "rows": event_rows(request.project, rows)}
    if Capability.MANAGE in request.capabilities:
        context |= _notices(request)
    return render(request, "events/events.html", context)


def _notices(request: ProjectRequest) -> dict[str, Any]:
    return {
        "turned_off": request.project.webhooks.exclude(off_reason="").order_by("pk"),
        "n_dead": Delivery.objects.dead().filter(webhook__project=request.project).count(),
    }


def _cookie(request: ProjectRequest, webhook: Webhook) -> dict[str, Any]:
    """Where a new secret waits for the page that shows it, as a new token does (workspace/tokens/views.py)."""
    path = reverse("events:webhook", args=[request.project.slug, webhook.pk])
    return {"key": f"new-secret-{webhook.pk}", "path": path, "samesite": "Strict"}


def _go_and_show_secret(request: ProjectRequest, webhook: Webhook) -> HttpResponse:
    response = redirect("events:webhook", slug=request.project.slug, pk=webhook.pk)
    response.set_signed_cookie(
        value=webhook.secret,
        max_age=SHOWN_FOR_SECONDS,
        httponly=True,
        secure=request.is_secure(),
        **_cookie(request, webhook),
    )
    return response


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def webhooks(request: ProjectRequest) -> HttpResponse:
    form = WebhookForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.create_webhook(
                actor=request.user, project=request.project, **form.webhook_options()
            )
        except ActionError as error:
            add_errors(form, error)
        else:
            return _go_and_show_secret(request, made)
    dead = Count("deliveries", filter=Q(deliveries__state=Delivery.State.DEAD))
    rows = request.project.webhooks.annotate(n_dead=dead).order_by("pk")
    context = {"form": form, "webhooks": rows} | _notices(request)
    return render(request, "events/webhooks.html", context, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def webhook(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_webhook(request.project, pk)
    if request.method == "POST":
        return save_shown_values(
            request,
            lambda data: ChangedWebhookForm(data, webhook=access_webhook(request.project, pk)),
            partial(actions.change_webhook, webhook=found),
            what=found.description or gettext("Webhook"),
            back=reverse("events:webhook", args=[request.project.slug, pk]),
        )
    cookie = _cookie(request, found)
    secret = request.get_signed_cookie(cookie["key"], default="", max_age=SHOWN_FOR_SECONDS)
    deliveries = found.deliveries.select_related("event")
    context = {
        "webhook": found,
        "form": ChangedWebhookForm(webhook=found),
        "secret": secret,
        "waiting": deliveries.waiting().order_by("event_id")[:SHOWN_DELIVERIES],
        "n_dead": found.deliveries.dead().count(),
        "delivered": deliveries.filter(state=Delivery.State.DELIVERED).order_by("-pk")[:SHOWN_DELIVERIES],
    }
    page = render(request, "events/webhook.html", context)
    if cookie["key"] in request.COOKIES:
        page.delete_cookie(**cookie)
    return page


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def dead_letters(request: ProjectRequest) -> HttpResponse:
    """What could not be delivered, the newest first."""
    rows = Delivery.objects.dead().filter(webhook__project=request.project).select_related("event", "webhook")
    known = [(str(row.pk), row.description or row.url) for row in request.project.webhooks.order_by("pk")]
    listing = read_list(
        request, rows, filters=[field_filter("webhook", gettext("Webhook"), known, "webhook_id")]
    )
    return render(request, "events/dead_letters.html", {"listing": listing})


def _button(action: Callable[..., Any], done: str | Promise) -> Callable[..., HttpResponseBase]:
    """A view that does the action to the webhook and goes back to its page."""

    @require_POST
    @project_view(Capability.MANAGE)
    def view(request: ProjectRequest, pk: int) -> HttpResponse:
        perform_action(request, action, done=str(done), webhook=access_webhook(request.project, pk))
        return redirect("events:webhook", slug=request.project.slug, pk=pk)

    return view


turn_on = _button(actions.turn_on, gettext_lazy("It is on and goes on where it stopped."))
turn_off = _button(
    actions.turn_off, gettext_lazy("It is off: nothing is sent until it is on again, and nothing is lost.")
)
send_test = _button(actions.send_test, gettext_lazy("A test is on its way: the worker sends it in a moment."))
resend_all = _button(actions.resend_all, gettext_lazy("They are sent again."))


@require_POST
@project_view(Capability.MANAGE)
def replace_secret(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_webhook(request.project, pk)
    changed = perform_action(request, actions.replace_secret, webhook=found)
    if changed is None:
        return redirect("events:webhook", slug=request.project.slug, pk=pk)
    return _go_and_show_secret(request, changed)


@require_POST
@project_view(Capability.MANAGE)
def remove(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_webhook(request.project, pk)
    perform_action(request, actions.remove_webhook, webhook=found, done=gettext("The webhook is removed."))
    return redirect("events:webhooks", slug=request.project.slug)


def _delivery_button(
    action: Callable[..., Any], done: str | Promise, back: str
) -> Callable[..., HttpResponseBase]:
    @require_POST
    @project_view(Capability.MANAGE)
    def view(request: ProjectRequest, pk: int) -> HttpResponse:
        delivery = access_delivery(request.project, pk)
        perform_action(request, action, done=str(done), delivery=delivery)
        if back == "webhook":
            return redirect("events:webhook", slug=request.project.slug, pk=delivery.webhook_id)
        return redirect("events:dead_letters", slug=request.project.slug)

    return view


try_now = _delivery_button(actions.try_now, gettext_lazy("The worker tries again in a moment."), "webhook")
give_up = _delivery_button(
    actions.give_up, gettext_lazy("Given up: it is among the dead letters."), "webhook"
)
resend = _delivery_button(actions.resend, gettext_lazy("It is sent again."), "dead letters")
drop = _delivery_button(actions.drop, gettext_lazy("Dropped."), "dead letters")
