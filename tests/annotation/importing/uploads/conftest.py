"""A manager's browser that sends files in pieces, and the page that follows."""

import json
from html import unescape

import pytest
from django.urls import reverse

from annotation.importing.uploads import actions
from annotation.models import Upload


@pytest.fixture
def begin(client, project, max_):
    """Begins an upload; the answer of the server."""
    client.force_login(max_)

    def begin(name="rows.jsonl", size=1, **further):
        return client.post(
            reverse("data:begin_upload", args=[project.slug]),
            json.dumps({"name": name, "size": size} | further),
            content_type="application/json",
        )

    return begin


@pytest.fixture
def put(client):
    def put(address, offset, content):
        return client.put(
            f"{address}?offset={offset}",
            content,
            content_type="application/octet-stream",
            HTTP_ACCEPT="application/json",
        )

    return put


@pytest.fixture
def send(begin, put, monkeypatch):
    """Sends a whole file in small pieces; its row."""

    def send(content, name="rows.jsonl", piece_bytes=70_000, **further):
        if not isinstance(content, bytes):
            content = "".join(json.dumps(row) + "\n" for row in content).encode()
        answer = begin(name, len(content), **further).json()
        for offset in range(0, len(content), piece_bytes):
            answer = put(answer["pieces"], offset, content[offset : offset + piece_bytes]).json()
        assert answer["state"] == "complete"
        return Upload.objects.get(public_id=answer["id"])

    return send


@pytest.fixture
def post(client, project):
    """Presses a button of the upload's page with these fields; the page that follows, and its text."""

    def post(upload, then="preview", **fields):
        address = reverse("data:upload", args=[project.slug, upload.public_id])
        page = client.get(address)
        upload.refresh_from_db()
        if page.status_code != 200:
            return page, unescape(page.content.decode())
        form = page.context["form"]
        given = {
            bound.name: bound.value()
            for bound in form
            if bound.value() is not None and bound.value() is not False and bound.name not in fields
        }
        what = fields.pop("what", f"{upload.settings['kind']}/{upload.settings['format']}")
        values = {name: value for name, value in (given | fields).items() if value is not None}
        page = client.post(address, values | {"what": what, "then": then}, follow=True)
        upload.refresh_from_db()
        return page, unescape(page.content.decode())

    return post


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(actions, "MAX_PIECE_BYTES", 10)
