"""Pages in the language that somebody chose, or that their browser asks for."""

import pytest
from django.conf import settings
from django.utils import translation

from workspace.members import invite
from workspace.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.db]
GERMAN = {"HTTP_ACCEPT_LANGUAGE": "de-AT,de;q=0.9,en;q=0.5"}


def test_a_stranger_gets_the_browsers_language(client):
    page = client.get("/login/", **GERMAN)
    assert b'<html lang="de" dir="ltr"' in page.content
    assert "Anmelden" in page.content.decode() and b"Log in<" not in page.content
    assert page["Content-Language"] == "de" and "Accept-Language" in page["Vary"]
    for asked in ("fr-FR,fr;q=0.9", "", "*", "xx-~!", "en-US,en"):
        assert b"Log in<" in client.get("/login/", HTTP_ACCEPT_LANGUAGE=asked).content
    # The thread does not keep it for the next request.
    assert translation.get_language() == settings.LANGUAGE_CODE


def test_a_choice_wins_over_the_browser_and_comes_along_with_the_account(client, ada):
    answer = client.post("/language/", {"language": "es", "next": "/login/?next=/tokens/"}, **GERMAN)
    assert answer.status_code == 303 and answer["Location"] == "/login/?next=/tokens/"
    assert answer.cookies["language"]["httponly"] and answer.cookies["language"]["samesite"] == "Lax"
    assert "Iniciar sesión" in client.get("/login/", **GERMAN).content.decode()
    client.force_login(ada)
    assert "Tus proyectos" in client.get("/").content.decode()
    client.post("/language/", {"language": "de"})
    assert User.objects.get(pk=ada.pk).language == "de"
    # Another browser, which asks for Spanish.
    client.cookies.clear()
    ada.set_password("correct horse battery")
    ada.save(update_fields=["password"])
    client.post(
        "/login/", {"username": "ada", "password": "correct horse battery"}, HTTP_ACCEPT_LANGUAGE="es"
    )
    assert "Ihre Projekte" in client.get("/", HTTP_ACCEPT_LANGUAGE="es").content.decode()


@pytest.mark.parametrize("language", ["fr", "", "de-x", "../de"])
def test_a_language_that_the_site_does_not_have_is_refused(client, ada, language):
    client.force_login(ada)
    answer = client.post("/language/", {"language": language})
    assert answer.status_code == 422 and "no such language" in answer.content.decode()
    assert "language" not in answer.cookies and User.objects.get(pk=ada.pk).language == ""


@pytest.mark.parametrize(
    "address", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)"]
)
def test_the_way_back_stays_on_the_site(client, address):
    assert client.post("/language/", {"language": "de", "next": address})["Location"] == "/"


def test_every_page_is_in_the_language_and_says_so(client, project, max_):
    client.force_login(max_)
    for address, words in (
        ("/tokens/", "Token anlegen"),
        (f"/projects/{project.slug}/people/", "Jemanden einladen"),
        (f"/projects/{project.slug}/runs/", "Noch ist nichts gelaufen"),
        (f"/projects/{project.slug}/rounds/", "Noch keine Runde"),
        ("/nothing-here/", "Diese Seite gibt es nicht"),
    ):
        page = client.get(address, **GERMAN)
        text = page.content.decode()
        assert '<html lang="de"' in text and words in text and "Abmelden" in text
        assert page["Content-Language"] == "de" and "Accept-Language" in page["Vary"]


def test_what_programs_and_operators_read_stays_as_it_is(client, ada):
    client.force_login(ada)
    answer = client.get("/api/v1/projects/nowhere/", **GERMAN)
    assert answer.status_code == 404 and "There is nothing at this address" in answer.json()["message"]
    assert "Content-Language" not in answer
    assert b'<html lang="en' in client.get("/operators/login/", follow=True, **GERMAN).content
    assert b'<html lang="en' in client.get("/api/docs/", **GERMAN).content


def test_sentences_of_actions_are_said_in_the_language_of_the_page(client, project, max_):
    _, token = invite(actor=max_, project=project, role="annotator")
    page = client.post(f"/invitations/{token}/", {"username": "neu", "password": "kurz"}, **GERMAN)
    assert page.status_code == 422 and "Mein Konto anlegen" in page.content.decode()
    gone = client.get("/invitations/unknown/", **GERMAN)
    assert gone.status_code == 410 and "Diese Einladung wurde benutzt" in gone.content.decode()
