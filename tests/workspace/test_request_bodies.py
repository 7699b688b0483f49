"""What may be sent, and that what may not is refused before it is read."""

import io
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from annotation.annotator.json_api import MAX_BODY_BYTES

pytestmark = [pytest.mark.db, pytest.mark.django_db]


class Unreadable(io.BytesIO):
    """A body of which a byte was read is a body that was taken."""

    def read(self, *args):
        raise AssertionError("the body was read")

    readline = read


def announce(client, address, content_type, length):
    """A request whose body must not be read."""
    # The test client takes a body of one byte to be one; the environment says what it would be.
    return client.generic(
        "POST", address, b"x", content_type=content_type,
        **{"CONTENT_LENGTH": str(length), "wsgi.input": Unreadable()},
    )  # fmt: skip


@pytest.fixture
def own_token():
    """A visitor who made the CSRF cookie himself: with it the check reads the body of a form."""
    client = Client(enforce_csrf_checks=True)
    client.cookies["csrftoken"] = "a" * 32
    return client


@pytest.mark.parametrize(
    ("content_type", "length", "status"),
    [
        ("multipart/form-data; boundary=x", 597_000_000, 413),
        ("application/x-www-form-urlencoded", 2_000_001, 413),
        ("application/octet-stream", 10, 415),
        ("text/plain", 10, 415),
    ],
)
def test_nobody_fills_the_disk_through_the_login_page(own_token, content_type, length, status):
    assert announce(own_token, "/login/", content_type, length).status_code == status


def test_a_file_where_none_is_expected_is_refused_and_not_kept(own_token, monkeypatch):
    kept = []
    monkeypatch.setattr("tempfile.NamedTemporaryFile", lambda *a, **k: kept.append(a))
    file = SimpleUploadedFile("a.bin", b"x" * 100_000)
    answer = own_token.post("/login/", {"csrfmiddlewaretoken": "a" * 32, "file": file})
    assert answer.status_code == 415 and "takes no files" in answer.content.decode()
    assert kept == []


def test_a_small_multipart_form_without_a_file_is_read(make_user):
    make_user("ada")
    answer = Client().post("/login/", {"username": "ada", "password": "correct horse battery"})  # multipart
    assert answer.status_code == 302


def test_a_piece_of_a_file_is_bounded_and_only_where_pieces_are_taken(project, max_):
    pieces = reverse("data:upload_pieces", args=[project.slug, uuid.uuid4()])
    manager = Client()
    manager.force_login(max_)
    assert announce(manager, pieces, "application/octet-stream", 1_000_001).status_code == 413
    assert announce(manager, pieces, "text/plain", 10).status_code == 415
    begin = reverse("data:begin_upload", args=[project.slug])
    assert announce(manager, begin, "application/octet-stream", 10).status_code == 415


@pytest.mark.parametrize(
    ("content_type", "length", "status"),
    [
        ("application/json", MAX_BODY_BYTES + 1, 413),
        ("multipart/form-data; boundary=x", 10, 415),
        ("text/plain", 10, 415),
    ],
)
def test_an_address_for_scripts_takes_small_json_alone(own_token, project, content_type, length, status):
    answer = announce(own_token, reverse("annotation:next_task", args=[project.slug]), content_type, length)
    assert answer.status_code == status
    assert answer.json()["message"].endswith(".")


def test_what_a_page_sends_at_most_fits(client, project, max_):
    """The longest guideline, of characters that a form sends as twelve each."""
    client.force_login(max_)
    address = reverse("annotation:settings", args=[project.slug])
    body = "guideline=" + "%F0%9F%99%82" * 100_000
    assert len(body) > 1_200_000
    answer = client.post(address, body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code not in (400, 413, 415)
