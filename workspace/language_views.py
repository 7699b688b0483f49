"""Choosing the language of the pages, with an account or before the login."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from workspace.front_door import refusal
from workspace.languages import choose_language, keep_language
from workspace.requests import current_user


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Back to the page it was chosen on, in that language from now on."""
    language = request.POST.get("language", "")
    if language not in dict(settings.LANGUAGES):
        return refusal(
            request, gettext("This site has no such language: choose one of those on the page."), status=422
        )
    if request.user.is_authenticated:
        choose_language(current_user(request), language)
    next_page = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(
        next_page, {request.get_host()}, require_https=request.is_secure()
    ):
        next_page = resolve_url(settings.LOGIN_REDIRECT_URL)
    # 303, not 302: a redirect of a form to the login page would be told as a session that has ended.
    response = HttpResponse(status=303, headers={"Location": iri_to_uri(next_page)})
    keep_language(response, language)
    return response
