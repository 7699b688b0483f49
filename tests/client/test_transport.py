"""What the client sends again and what never, how long it waits, and what its errors say."""

import httpx
import pytest

from roundtable.client import (
    ApiError,
    Conflict,
    ConnectionLost,
    InvalidRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    Retries,
    ServerFault,
    StaleVersion,
    TooManyRequests,
)

LOST = httpx.ReadError("reset by peer")
UNREACHABLE = httpx.ConnectError("refused")
BUSY = (503, {})
OFTEN = (429, {})
KEYED = "a POST with a key"
UNKEYED = "a POST without"
READ = "a GET"
CHANGE = "a PATCH"
DELETE = "a DELETE"


def problem(status, code, headers=None, fields=None):
    body = {"type": "about:blank", "title": "No", "status": status, "detail": "It is so.", "code": code,
            "message": "It is so.", "fields": fields or {}}  # fmt: skip
    return httpx.Response(
        status, json=body, headers={"content-type": "application/problem+json"} | (headers or {})
    )


def site(script, requests):
    """Answers by the script, an exception, (status, headers) or an answer each; then 200."""
    steps = iter(script)

    def answer(request):
        requests.append(request)
        step = next(steps, None)
        if step is None:
            return httpx.Response(200, json={"task": None})
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, httpx.Response) else problem(step[0], "no", step[1])

    return answer


def call(client, what):
    project = client.project("kitchen")
    match what:
        case "a GET":
            return project.batches.get(3)
        case "a POST with a key":
            return project.criteria.create(name="harmless", question="Which?")
        case "a POST without":
            return project.assignments.claim()
        case "a PATCH":
            return project.members.update(3, role="reviewer")
        case "a DELETE":
            return project.members.delete(3)


# How many requests there are when the site first does this, and then would answer.
@pytest.mark.parametrize(
    ("what", "first", "requests"),
    [
        (READ, LOST, 2), (KEYED, LOST, 2), (DELETE, LOST, 2), (UNKEYED, LOST, 1), (CHANGE, LOST, 1),
        # Nothing was sent: whatever it is may be sent.
        (READ, UNREACHABLE, 2), (KEYED, UNREACHABLE, 2), (UNKEYED, UNREACHABLE, 2), (CHANGE, UNREACHABLE, 2),
        # Nothing was done.
        (READ, OFTEN, 2), (KEYED, OFTEN, 2), (UNKEYED, OFTEN, 2), (CHANGE, OFTEN, 2),
        # Something may have been done before the database went away.
        (READ, BUSY, 2), (KEYED, BUSY, 2), (UNKEYED, BUSY, 1), (CHANGE, BUSY, 1),
        (READ, (500, {}), 1), (KEYED, (500, {}), 1), (KEYED, (409, {}), 1), (KEYED, (400, {}), 1),
        (KEYED, problem(409, "idempotency_key_in_use"), 2),
    ],
)  # fmt: skip
def test_what_is_sent_again(make_client, what, first, requests):
    sent = []
    client = make_client(site([first], sent))
    if requests == 1:
        with pytest.raises((ApiError, ConnectionLost)):
            call(client, what)
    else:
        call(client, what)
    assert len(sent) == requests
    # One key for all attempts of a request.
    assert {request.headers.get("Idempotency-Key") is not None for request in sent} == {what == KEYED}
    assert len({request.headers.get("Idempotency-Key") for request in sent}) == 1


def test_each_request_has_its_own_key_unless_the_caller_names_one(make_client):
    sent = []
    client = make_client(site([], sent))
    call(client, KEYED)
    call(client, KEYED)
    client.project("kitchen").criteria.create(name="a", question="?", idempotency_key="mine")
    keys = [request.headers["Idempotency-Key"] for request in sent]
    assert len(set(keys)) == 3 and keys[2] == "mine"


def test_the_site_says_how_long_to_wait(make_client, sleeps):
    sent = []
    script = [(429, {"Retry-After": "7"}), (503, {"Retry-After": "11"}), LOST, LOST]
    call(make_client(site(script, sent)), READ)
    assert sleeps[:2] == [7.0, 11.0]
    # By itself it waits longer each time, half of it to all.
    assert 0.25 <= sleeps[2] <= 0.5 and 0.5 <= sleeps[3] <= 1.0


def test_it_gives_up_after_its_attempts_or_where_it_would_have_to_wait_too_long(make_client, sleeps):
    sent = []
    with pytest.raises(ConnectionLost, match="refused"):
        call(make_client(site([UNREACHABLE] * 9, sent), retries=Retries(attempts=3)), READ)
    assert (len(sent), len(sleeps)) == (3, 2)
    with pytest.raises(TooManyRequests) as caught:
        call(make_client(site([(429, {"Retry-After": "3600"})], sent)), READ)
    assert caught.value.retry_after == 3600 and len(sleeps) == 2
    # It comes back as often as it is asked to, for 300 seconds together.
    sleeps.clear()
    with pytest.raises(ServerFault):
        call(make_client(site([(503, {"Retry-After": "60"})] * 9, sent)), READ)
    assert sleeps == [60.0] * 5


def test_what_an_earlier_attempt_may_have_deleted_is_deleted(make_client):
    call(make_client(site([LOST, (404, {})], [])), DELETE)
    with pytest.raises(NotFound):
        call(make_client(site([(404, {})], [])), DELETE)
    with pytest.raises(NotFound):
        call(make_client(site([UNREACHABLE, (404, {})], [])), DELETE)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidRequest), (401, NotAuthenticated), (403, NotAllowed), (404, NotFound), (409, Conflict),
     (412, StaleVersion), (413, InvalidRequest), (422, InvalidRequest), (500, ServerFault)],
)  # fmt: skip
def test_a_refusal_says_its_code_sentence_and_fields(make_client, status, kind):
    refused = problem(status, "wrong_thing", fields={"rows.3.messages": "It is empty."})
    with pytest.raises(kind) as caught:
        call(make_client(site([refused], [])), KEYED)
    error = caught.value
    assert (error.status, error.code, error.message) == (status, "wrong_thing", "It is so.")
    assert error.fields == {"rows.3.messages": "It is empty."}


def test_what_a_proxy_answers_is_an_error_too(make_client):
    page = httpx.Response(502, text="<html>Bad gateway</html>")
    with pytest.raises(ServerFault, match="Bad Gateway"):
        call(make_client(site([page], []), retries=Retries(attempts=1)), READ)


def test_a_token_goes_to_no_other_place(make_client):
    sent = []
    elsewhere = httpx.Response(302, headers={"location": "https://elsewhere.example.org/"})
    with pytest.raises(ApiError, match="elsewhere"):
        call(make_client(site([elsewhere], sent)), READ)
    assert [request.url.host for request in sent] == ["desk.example.org"]
    # A next page is asked for by its cursor, whatever address the site believes to have.
    pages = [
        httpx.Response(200, json={"results": [{"id": 1}], "next": "http://internal/x", "next_cursor": "c1"}),
        httpx.Response(200, json={"results": [{"id": 2}], "next": None, "next_cursor": None}),
    ]
    sent.clear()
    rows = list(make_client(site(pages, sent)).project("kitchen").batches.list(state="open", limit=1))
    assert [row["id"] for row in rows] == [1, 2]
    assert [str(request.url) for request in sent] == [
        "https://desk.example.org/api/v1/projects/kitchen/batches?state=open&limit=1",
        "https://desk.example.org/api/v1/projects/kitchen/batches?state=open&limit=1&cursor=c1",
    ]


def test_keys_of_an_address_cannot_leave_it(make_client):
    sent = []
    make_client(site([], sent)).project("kitchen").runs.file(3, "../../me?x=1").read()
    assert sent[0].url.raw_path == b"/api/v1/projects/kitchen/runs/3/files/..%2F..%2Fme%3Fx%3D1"


def test_no_token_is_said_before_anything_is_sent(monkeypatch):
    from roundtable.client import Client

    monkeypatch.delenv("ROUNDTABLE_TOKEN", raising=False)
    with pytest.raises(ValueError, match="ROUNDTABLE_TOKEN"):
        Client("https://desk.example.org")
