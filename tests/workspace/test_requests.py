"""Who is let into a project's page, and what a button's page says afterwards."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages import get_messages
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import Http404, HttpResponse
from django.test import RequestFactory

from learning.interface.options import UserError
from workspace.errors import ActionError
from workspace.requests import current_user, perform_action, project_view
from workspace.roles import ROLE_CAPABILITIES, Capability

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@project_view(Capability.REVIEW)
def page(request, number):
    return HttpResponse(f"{request.project.slug} {number} {sorted(request.capabilities)}")


def request_of(user):
    request = RequestFactory().get("/here/")
    request.user = user
    request.session = {}
    request._messages = FallbackStorage(request)
    return request


def test_the_page_gets_the_project_and_what_its_visitor_may_do(project, ruth):
    response = page(request_of(ruth), slug=project.slug, number=7)
    assert response.content.decode() == f"kitchen 7 {sorted(ROLE_CAPABILITIES['reviewer'])}"


def test_who_may_not_finds_nothing_and_who_is_nobody_logs_in(project, ada, olga):
    for visitor in (ada, olga):
        request = request_of(visitor)
        with pytest.raises(Http404):
            page(request, slug=project.slug, number=7)
        assert not hasattr(request, "project")
    with pytest.raises(Http404):
        page(request_of(olga), slug="nowhere", number=7)
    response = page(request_of(AnonymousUser()), slug=project.slug, number=7)
    assert response.status_code == 302 and response["Location"].startswith("/login/")


def test_a_button_says_that_it_is_done_and_returns_what_the_action_returned(max_):
    request = request_of(max_)
    assert perform_action(request, lambda *, actor, x: (actor, x), x=3, done="Done.") == (max_, 3)
    assert [(m.level_tag, m.message) for m in get_messages(request)] == [("success", "Done.")]
    assert current_user(request) == max_


@pytest.mark.parametrize("error", [ActionError("Not now."), UserError("Not now.")])
def test_a_button_says_what_was_wrong(max_, error):
    def refuse(*, actor):
        raise error

    request = request_of(max_)
    assert perform_action(request, refuse, done="Done.") is None
    assert [(m.level_tag, m.message) for m in get_messages(request)] == [("error", "Not now.")]
