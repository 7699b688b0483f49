"""Headers that every page has: it is not kept, and it asks for nothing that is not used."""

import pytest
from django.test import Client
from django.urls import reverse

from workspace import members

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_no_page_is_kept_by_a_browser_or_a_proxy(client, project, max_):
    client.force_login(max_)
    _, token = members.invite(actor=max_, project=project, role="annotator")
    names = (
        "workspace:people annotation:overview annotation:annotate annotation:guideline annotation:settings "
        "annotation:batches rounds:list rounds:start runs:list"
    )
    addresses = [reverse(name, args=[project.slug]) for name in names.split()]
    addresses += ["/", "/password/", "/projects/none/", f"/invitations/{token}/"]
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code in (200, 404), address
        assert "no-store" in answer["Cache-Control"], address
        assert "camera=()" in answer["Permissions-Policy"], address
    assert "no-store" in Client().get("/login/")["Cache-Control"]


def test_the_content_policy_names_what_pages_use_and_no_more(client):
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in client.get("/login/")["Content-Security-Policy"].split(";")
    )
    assert policy == {
        "default-src": "'self'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:",
        "font-src": "'self'", "connect-src": "'self'", "object-src": "'none'", "base-uri": "'none'",
        "frame-ancestors": "'none'", "form-action": "'self'",
    }  # fmt: skip


def test_other_sites_may_not_read_static_files(settings):
    settings.WHITENOISE_AUTOREFRESH = settings.WHITENOISE_USE_FINDERS = True  # without collecting them
    answer = Client().get("/static/roundtable.svg")
    assert answer.status_code == 200 and "svg" in answer["Content-Type"]
    assert "Access-Control-Allow-Origin" not in answer
    assert answer["X-Content-Type-Options"] == "nosniff"
    policy = answer["Content-Security-Policy"].split("; ")
    assert policy[0] == "default-src 'none'" and "sandbox" in policy
