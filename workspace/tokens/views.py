"""A person's tokens of the API: made, shown once, revoked."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from workspace.access import access_token
from workspace.errors import ActionError
from workspace.forms import add_errors
from workspace.requests import current_user, perform_action
from workspace.tokens import actions
from workspace.tokens.forms import TokenForm

SHOWN_FOR_SECONDS = 300


def _cookie() -> dict[str, Any]:
    """Where a new token waits for the page that shows it: in the browser of who made it, for a moment, as the link of
    an invitation does (workspace/views.py).
    """
    return {"key": "new-api-token", "path": reverse("workspace:tokens"), "samesite": "Strict"}


@require_http_methods(["GET", "POST"])
@never_cache
@login_required
def tokens(request: HttpRequest) -> HttpResponse:
    person = current_user(request)
    form = TokenForm(request.POST if request.method == "POST" else None, person=person)
    if request.method == "POST" and form.is_valid():
        try:
            _, text = actions.create_token(actor=person, **form.cleaned_data)
        except ActionError as error:
            add_errors(form, error)
        else:
            response = redirect("workspace:tokens")
            response.set_signed_cookie(
                value=text,
                max_age=SHOWN_FOR_SECONDS,
                httponly=True,
                secure=request.is_secure(),
                **_cookie(),
            )
            return response
    cookie = _cookie()
    shown = request.get_signed_cookie(cookie["key"], default="", max_age=SHOWN_FOR_SECONDS)
    context = {
        "form": form,
        "text": "" if form.is_bound else shown,
        "tokens": person.api_tokens.usable().select_related("project").order_by("-pk"),
    }
    page = render(request, "workspace/tokens.html", context, status=422 if form.is_bound else 200)
    if not form.is_bound and cookie["key"] in request.COOKIES:
        page.delete_cookie(**cookie)
    return page


@require_POST
@login_required
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """The person's own, or one of a project that they manage."""
    token = access_token(current_user(request), pk)
    perform_action(
        request,
        actions.revoke_token,
        token=token,
        done=gettext("“%(name)s” is revoked: it works no more.") % {"name": token.name},
    )
    back = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        return redirect(back)
    return redirect("workspace:tokens")
