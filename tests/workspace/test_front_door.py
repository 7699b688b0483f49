"""The site behind a proxy: as it should be, and as it is while something is not set yet."""

import json
import logging
import re

import pytest
from django.test import Client
from django.urls import reverse

from workspace.models import User

pytestmark = [pytest.mark.db, pytest.mark.django_db]

# As nginx sends it.
PROXY = {"host": "desk.example.org", "x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.7"}


@pytest.fixture
def behind_tls(settings):
    """The settings that ROUNDTABLE_URL=https://desk.example.org gives (tests/config has them checked)."""
    settings.SITE_URL = "https://desk.example.org"
    settings.ALLOWED_HOSTS = ["desk.example.org", "127.0.0.1", "localhost", "[::1]"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://desk.example.org"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_SSL_REDIRECT, settings.SECURE_SSL_HOST = True, "desk.example.org"
    settings.SECURE_HSTS_SECONDS = 31_536_000
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"


@pytest.fixture
def in_the_open(settings):
    """A site on which nothing was set."""
    settings.ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]


def log_in(client, headers, username="ada"):
    """As a browser does: the page, then the form with its token and origin."""
    page = client.get(reverse("workspace:login"), headers={k: v for k, v in headers.items() if k != "origin"})
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode()).group(1)
    data = {"username": username, "password": "correct horse battery", "csrfmiddlewaretoken": token}
    return client.post(reverse("workspace:login"), data, headers=headers)


def test_a_login_behind_a_proxy_with_tls(behind_tls, make_user):
    make_user("ada")
    client = Client(enforce_csrf_checks=True)
    answer = log_in(client, PROXY | {"origin": "https://desk.example.org"})
    assert answer.status_code == 302
    assert answer["Strict-Transport-Security"].startswith("max-age=31536000")
    # https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes
    for name in ("__Host-sessionid", "__Host-csrftoken"):
        cookie = client.cookies[name]
        assert cookie["secure"] and cookie["path"] == "/" and not cookie["domain"]
    assert (
        client.cookies["__Host-sessionid"]["httponly"] and not client.cookies["__Host-csrftoken"]["httponly"]
    )


def test_http_is_sent_on_to_https_with_what_was_asked_for(behind_tls):
    answer = Client().get("/login/?next=/projects/x/", headers=PROXY | {"x-forwarded-proto": "http"})
    assert answer.status_code == 301
    assert answer["Location"] == "https://desk.example.org/login/?next=/projects/x/"


def test_a_proxy_that_does_not_say_https_is_told_so_instead_of_going_in_a_circle(behind_tls, caplog):
    headers = {"host": "desk.example.org", "accept": "text/html"}
    answer = Client().get("/login/", headers=headers)
    assert answer.status_code == 400
    assert "reached over https only" in answer.content.decode()
    assert answer["X-Content-Type-Options"] == "nosniff"
    [line] = caplog.messages
    assert "X-Forwarded-Proto" in line and "ROUNDTABLE_URL" in line and "docs/deploy.md" in line


@pytest.mark.parametrize("address", ["/healthz"])
def test_probes_are_answered_under_any_name_and_without_tls(behind_tls, address):
    for headers in ({"host": "10.1.2.3:8000"}, {"host": "10.1.2.3:8000", "x-forwarded-proto": "http"}):
        assert Client().get(address, headers=headers).status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_name_that_is_not_the_sites_is_one_sentence_and_a_log_line_with_the_setting(
    in_the_open, caplog, accept
):
    answer = Client().get("/login/", headers={"host": "desk.example.org", "accept": accept})
    assert answer.status_code == 400
    sentence = "This site does not go by the name in your browser"
    text = answer.content.decode()
    assert sentence in (json.loads(text)["message"] if accept == "application/json" else text)
    [line] = caplog.messages
    assert "'desk.example.org'" in line
    assert "ROUNDTABLE_URL=https://desk.example.org" in line and "ROUNDTABLE_ALLOWED_HOSTS" in line


def test_a_host_that_is_no_name_is_written_to_the_log_in_one_harmless_line(in_the_open, caplog):
    answer = Client().get("/login/", headers={"host": "a\r\nb\u202e<script>"})
    assert (
        answer.status_code == 400
        and "<script>" not in answer.content.decode().split("<main")[1].split("</main")[0]
    )
    [line] = caplog.messages
    assert "\n" not in line and "\u202e" not in line


@pytest.mark.parametrize(
    "headers",
    [
        # TLS in front and nothing set: the browser's origin has another scheme.
        {"host": "127.0.0.1:8000", "origin": "https://127.0.0.1:8000"},
        # `Host $host` on another port.
        {"host": "localhost", "origin": "http://localhost:18080"},
        # A proxy that does not pass Host on; the browser says that it is no other site's form.
        {"host": "127.0.0.1:8000", "origin": "https://desk.example.org", "sec-fetch-site": "same-origin"},
    ],
)
def test_a_form_refused_for_a_wrong_proxy_says_what_to_set_and_blames_nobody(
    in_the_open, make_user, caplog, headers
):
    make_user("ada")
    caplog.set_level(logging.WARNING)
    answer = log_in(Client(enforce_csrf_checks=True), headers)
    assert answer.status_code == 403
    text = answer.content.decode()
    assert "no mistake of yours" in text and "another tab" not in text and headers["origin"] in text
    [line] = caplog.messages
    assert f"set ROUNDTABLE_URL={headers['origin']}," in line
    assert User.objects.get(username="ada").last_login is None


@pytest.mark.parametrize("site", [{}, {"sec-fetch-site": "cross-site"}])
def test_a_form_of_another_site_is_refused_and_its_address_is_not_advised(
    in_the_open, make_user, caplog, site
):
    make_user("ada")
    headers = {"host": "127.0.0.1:8000", "origin": "https://evil.example.com"} | site
    answer = log_in(Client(enforce_csrf_checks=True), headers)
    assert answer.status_code == 403
    assert "another site (https://evil.example.com)" in answer.content.decode()
    assert "ROUNDTABLE_URL=https://evil" not in caplog.text


def test_a_form_without_a_token_still_says_why_that_may_be(in_the_open):
    client = Client(enforce_csrf_checks=True, headers={"host": "localhost"})
    answer = client.post("/login/", {"username": "ada"})
    assert answer.status_code == 403 and "another tab" in answer.content.decode()


def test_an_invitation_link_is_under_the_address_people_type(behind_tls, max_, project):
    client = Client(headers=PROXY | {"host": "127.0.0.1"})
    client.force_login(max_)
    client.post(reverse("workspace:invite", args=[project.slug]), {"role": "annotator"})
    page = client.get(reverse("workspace:people", args=[project.slug]))
    assert re.search(r"https://desk\.example\.org/invitations/[\w-]+/", page.content.decode())


def test_an_older_key_is_still_believed_and_its_sessions_move_to_the_new_one(settings, ada):
    meanwhile, away = Client(), Client()
    meanwhile.force_login(ada)
    away.force_login(ada)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another-key-" * 4
    assert meanwhile.get(reverse("workspace:home")).status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert meanwhile.get(reverse("workspace:home")).status_code == 200
    assert away.get(reverse("workspace:home")).status_code == 302
