"""The language of the pages: what somebody chose, or else what their browser asks for.

A choice is kept in a cookie, so that no request reads it from the database, and with the account, so that a login in
another browser brings it along. What programs read (the API, commands, logs, what is stored of a run) stays in the
site's own language.
"""

from collections.abc import Callable
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import DjangoTranslation
from django.views.i18n import JavaScriptCatalog

from workspace.models import User

# What is below these is for programs and operators, or is Django's own.
_UNTRANSLATED = ("/api/", "/operators/", "/metrics")
_COOKIE_SECONDS = 365 * 86400


class LanguageMiddleware:
    """Django's LocaleMiddleware, but for pages only."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_translated = not request.path_info.startswith(_UNTRANSLATED)
        if is_translated:
            translation.activate(translation.get_language_from_request(request))
        try:
            response = self.get_response(request)
            language = translation.get_language()
        finally:
            # The thread answers somebody else's request next.
            translation.deactivate()
        if is_translated:
            patch_vary_headers(response, ("Accept-Language",))
            response.headers.setdefault("Content-Language", language or settings.LANGUAGE_CODE)
        return response


def keep_language(response: HttpResponse, language: str) -> None:
    """Set the cookie that Django reads the language from."""
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=_COOKIE_SECONDS,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def choose_language(person: User, language: str) -> None:
    """For the person's next login in whatever browser. Raises ValueError for a language that the site does not have."""
    if language not in dict(settings.LANGUAGES):
        raise ValueError(f"no language of this site: {language}")
    User.objects.filter(pk=person.pk).update(language=language)


@lru_cache
def _script_texts(language: str) -> dict[str, str | list[str]]:
    catalog = JavaScriptCatalog()
    catalog.translation = DjangoTranslation(
        language, domain="djangojs", localedirs=[str(path) for path in settings.LOCALE_PATHS]
    )
    texts: dict[str, str | list[str]] = catalog.get_catalog()
    return texts


def read_script_texts() -> dict[str, str | list[str]]:
    """{text in the scripts: translation, or its forms for one and for several}, in the active language.

    Empty in the site's own language, whose texts stand in the scripts.
    """
    language = translation.get_language() or settings.LANGUAGE_CODE
    return {} if language == settings.LANGUAGE_CODE else _script_texts(language)
