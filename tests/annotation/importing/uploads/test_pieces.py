"""Files in pieces: what arrives is what was sent, and only its owner goes on with it."""

import hashlib
import http.client
import os
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.importing.uploads import actions
from annotation.importing.uploads.actions import forget_abandoned_uploads
from annotation.models import Upload
from workspace.actions import create_project
from workspace.members import set_role

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_pieces_arrive_in_order_and_the_server_says_from_where_to_go_on(begin, put, client):
    answer = begin("rows.jsonl", 10).json()
    assert (answer["offset"], answer["state"], answer["piece_bytes"]) == (0, "receiving", 1_000_000)
    pieces = answer["pieces"]
    assert put(pieces, 0, b"abcd").json()["offset"] == 4
    for offset, content in ((0, b"abcd"), (8, b"ij"), (3, b"defg")):
        answer = put(pieces, offset, content)
        assert (answer.status_code, answer.json()["offset"]) == (409, 4)
    assert client.get(pieces).json()["offset"] == 4
    assert put(pieces, 4, b"efghijk").status_code == 422  # one byte too many
    assert put(pieces, 4, b"efghij").json()["state"] == "complete"
    upload = Upload.objects.get()
    assert upload.path.read_bytes() == b"abcdefghij"
    assert upload.sha256 == hashlib.sha256(b"abcdefghij").hexdigest()
    assert put(pieces, 10, b"x").status_code == 409


def test_a_piece_that_was_written_and_not_recorded_is_written_again(begin, put):
    pieces = begin("rows.jsonl", 6).json()["pieces"]
    put(pieces, 0, b"abc")
    upload = Upload.objects.get()
    with upload.path.open("ab") as file:
        file.write(b"def cut here")
    assert put(pieces, 3, b"xyz").json()["state"] == "complete"
    assert upload.path.read_bytes() == b"abcxyz"


def test_what_the_disk_has_lost_is_sent_again(begin, put):
    pieces = begin("rows.jsonl", 6).json()["pieces"]
    put(pieces, 0, b"abcd")
    upload = Upload.objects.get()
    upload.path.write_bytes(b"ab")
    answer = put(pieces, 4, b"ef")
    assert (answer.status_code, answer.json()["offset"]) == (409, 2)
    assert put(pieces, 2, b"cdef").json()["state"] == "complete"
    assert upload.path.read_bytes() == b"abcdef"


def test_the_same_file_goes_on_after_the_browser_was_closed_and_another_begins_anew(begin, put):
    first = begin("rows.jsonl", 6, fingerprint="6 170").json()
    put(first["pieces"], 0, b"abc")
    again = begin("rows.jsonl", 6, fingerprint="6 170").json()
    assert (again["id"], again["offset"]) == (first["id"], 3)
    for other in ({"fingerprint": "6 171"}, {}, {"fingerprint": "6 170", "name": "x.jsonl"}):
        assert begin(**({"name": "rows.jsonl", "size": 6} | other)).json()["offset"] == 0
    assert Upload.objects.count() == 4


def test_a_file_lies_under_a_name_of_ours_and_keeps_its_owners_for_people(send):
    upload = send(b"a,b\n", "../../etc/Käse (1).CSV.GZ")
    assert upload.name == "Käse (1).CSV.GZ"
    assert upload.path.name == "file.csv.gz" and upload.path.parent.name == upload.public_id.hex
    assert upload.path.is_file()
    assert send(b"x", "a.sh").path.name == "file" and send(b"x", "..\\b.json").name == "b.json"


def test_a_file_that_is_not_what_was_announced_is_sent_again(begin, put):
    wanted = hashlib.sha256(b"abc").hexdigest()
    pieces = begin("rows.jsonl", 3, sha256=wanted).json()["pieces"]
    answer = put(pieces, 0, b"abX")
    assert answer.status_code == 422 and answer.json()["code"] == "other_sha256"
    assert put(pieces, 0, b"abc").json()["state"] == "complete"
    assert begin("rows.jsonl", 3, sha256="short").json()["code"] == "bad_sha256"


def test_sizes_quota_and_disk_have_limits_that_are_said(begin, put, settings, monkeypatch):
    settings.UPLOAD_MAX_MB, settings.UPLOAD_QUOTA_MB = 2, 3
    assert begin(size=2_000_001).json()["code"] == "too_large"
    assert begin(size=0).json()["code"] == "empty"
    assert begin(size="2").status_code == begin(size=2**70).status_code == 422
    pieces = begin(size=2_000_000).json()["pieces"]
    assert begin(size=1_000_001).json()["code"] == "quota"
    assert begin(size=1_000_000).status_code == 201
    assert put(pieces, 0, b"x" * 1_000_001).status_code == 413
    usage = type("usage", (), {"free": 5_000_000})
    monkeypatch.setattr(actions.shutil, "disk_usage", lambda path: usage)
    settings.RUN_MIN_FREE_DISK_MB = 5
    answer = put(pieces, 0, b"abc")
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")


def test_only_its_owner_in_its_project_goes_on(begin, put, client, project, make_user, max_, ada, ruth, olga):
    answer = begin("rows.jsonl", 6).json()
    other = make_user("mia")
    set_role(actor=max_, project=project, user=other, role="manager")
    second = create_project(actor=max_, name="Second")
    for person in (ada, ruth, olga, other):
        client.force_login(person)
        assert put(answer["pieces"], 0, b"abc").status_code == 404
        for address in (answer["pieces"], answer["page"]):
            assert client.get(address).status_code == 404
    client.force_login(max_)
    assert put(answer["pieces"].replace(project.slug, second.slug, 1), 0, b"abc").status_code == 404
    client.logout()
    assert put(answer["pieces"], 0, b"abc").status_code == 401
    for person in (ada, ruth, olga):
        client.force_login(person)
        assert begin("rows.jsonl", 6).status_code == 404
    assert Upload.objects.get().received_bytes == 0


def test_what_nobody_touched_for_a_week_is_forgotten(begin, put, send, django_capture_on_commit_callbacks):
    kept = send(b"abc")
    for name in ("begun.jsonl", "old.jsonl"):
        put(begin(name, 6).json()["pieces"], 0, b"abc")
    old = Upload.objects.get(name="old.jsonl")
    Upload.objects.filter(pk=old.pk).update(touched_at=timezone.now() - timedelta(days=8))
    orphan = old.folder.parent / ("0" * 32)
    orphan.mkdir()
    os.utime(orphan, (0, 0))
    with django_capture_on_commit_callbacks(execute=True):
        assert forget_abandoned_uploads() == 1
    assert set(Upload.objects.values_list("name", flat=True)) == {"rows.jsonl", "begun.jsonl"}
    assert kept.path.is_file() and not old.folder.exists() and not orphan.exists()


def test_its_owner_removes_an_upload(send, client, project, django_capture_on_commit_callbacks):
    upload = send(b"abc")
    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("data:remove_upload", args=[project.slug, upload.public_id]))
    assert not Upload.objects.exists() and not upload.folder.exists()


@pytest.mark.django_db(transaction=True)
def test_an_upload_that_is_cut_three_times_arrives_whole(begin, client, live_server):
    """Over a real connection that is closed in the middle of a piece, each time at another place."""
    content = os.urandom(2_300_000)
    answer = begin("rows.bin", len(content), sha256=hashlib.sha256(content).hexdigest()).json()
    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    server = urlsplit(live_server.url)

    def ask(verb, offset, piece=b"", cut_after=None):
        connection = http.client.HTTPConnection(server.hostname, server.port, timeout=60)
        connection.putrequest(verb, f"{answer['pieces']}?offset={offset}")
        headers = {"Cookie": cookie, "Accept": "application/json"}
        if piece:
            headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(len(piece))}
            token = client.cookies.get("csrftoken")
            headers |= {"X-CSRFToken": token.value if token else ""}
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(piece if cut_after is None else piece[:cut_after])
        if cut_after is not None:
            connection.close()
            return None
        response = connection.getresponse()
        found = response.read()
        connection.close()
        return response.status, found

    client.get(answer["page"])  # sets the CSRF cookie
    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    for cut_after in (1, 400_000, 999_999):
        offset = client.get(answer["pieces"]).json()["offset"]
        ask("PUT", offset, content[offset : offset + 1_000_000], cut_after)
        offset = client.get(answer["pieces"]).json()["offset"]
        ask("PUT", offset, content[offset : offset + 300_000])
    while (offset := client.get(answer["pieces"]).json()["offset"]) < len(content):
        status, said = ask("PUT", offset, content[offset : offset + 1_000_000])
        assert status in (200, 409), said
    upload = Upload.objects.get()
    assert upload.state == "complete"
    assert hashlib.sha256(upload.path.read_bytes()).digest() == hashlib.sha256(content).digest()
