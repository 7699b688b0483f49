"""What every operation of the API has in common: who is let in, how it refuses, pages, ETags, limits."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from django.db import connections
from django.test import Client

from workspace.actions import add_criterion, create_project
from workspace.api import throttles
from workspace.api.documentation import written_schema
from workspace.api.throttles import Buckets
from workspace.members import set_role
from workspace.models import ApiToken, IdempotentRequest
from workspace.tokens.actions import create_token

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def problem(answer, status, code):
    """The problem details of an answer, checked to be whole."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    details = answer.json()
    assert set(details) == {"type", "title", "status", "detail", "code", "message", "fields"}
    assert (details["status"], details["code"]) == (status, code)
    assert details["detail"] == details["message"] != ""
    return details


def test_nobody_is_told_how_to_call(client, project):
    answer = client.get("/api/v1/me")
    problem(answer, 401, "login_required")
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("spoil", ["unknown", "revoked", "expired", "deactivated"])
def test_a_token_that_does_not_hold_is_refused_in_the_same_words(client, program, project, ada, spoil):
    call = program(ada, project, role="annotator")
    assert call("GET", "me").status_code == 200
    token = ApiToken.objects.get()
    if spoil == "unknown":
        ApiToken.objects.update(token_hash="0" * 64)
    elif spoil == "revoked":
        ApiToken.objects.update(revoked_at=token.created_at)
    elif spoil == "expired":
        ApiToken.objects.update(created_at="2020-01-01T00:00Z", expires_at="2020-01-02T00:00Z")
    else:
        type(ada).objects.filter(pk=ada.pk).update(is_active=False)
    details = problem(call("GET", "me"), 401, "token_invalid")
    assert details["message"] == "The token is unknown, revoked or has expired."


def test_a_token_says_who_and_what_it_may(program, project, ruth, max_):
    other = create_project(actor=max_, name="Cellar")
    set_role(actor=max_, project=other, user=ruth, role="manager")
    me = program(ruth, project, role="annotator")("GET", "me").json()
    assert me["username"] == "ruth"
    assert me["token"]["role"] == "annotator"
    # A reviewer's token as an annotator, of one project: it may less than she may.
    assert me["projects"] == [
        {
            "slug": project.slug,
            "name": "Kitchen",
            "role": "reviewer",
            "capabilities": ["annotate", "open"],
        }
    ]
    everywhere = program(ruth)("GET", "me").json()
    assert {found["slug"] for found in everywhere["projects"]} == {project.slug, other.slug}


def test_a_token_may_no_more_than_its_owner_at_each_use(program, project, ruth, max_):
    call = program(max_, project)
    set_role(actor=max_, project=project, user=ruth, role="manager")
    assert call("GET", f"projects/{project.slug}/members").status_code == 200
    set_role(actor=ruth, project=project, user=max_, role="annotator")
    problem(call("GET", f"projects/{project.slug}/members"), 404, "not_found")
    assert call("GET", f"projects/{project.slug}").status_code == 200


def test_a_token_of_one_project_gets_nothing_of_another(program, project, max_):
    other = create_project(actor=max_, name="Cellar")
    call = program(max_, project)
    problem(call("GET", f"projects/{other.slug}"), 404, "not_found")
    assert [found["slug"] for found in call("GET", "projects").json()["results"]] == [project.slug]


def test_a_token_that_reads_changes_nothing(program, project, max_):
    call = program(max_, project, scope="read")
    body = {"name": "harmless", "question": "Which is less harmful?"}
    problem(call("POST", f"projects/{project.slug}/criteria", body), 403, "token_scope")
    assert project.criteria.count() == 1


def test_a_session_needs_the_csrf_token_to_change_something(project, max_):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(max_)
    address = f"/api/v1/projects/{project.slug}/criteria"
    body = {"name": "harmless", "question": "Which is less harmful?"}
    assert browser.get(address).status_code == 200
    problem(browser.post(address, body, content_type="application/json"), 403, "csrf_failed")
    browser.get(f"/projects/{project.slug}/people/")
    token = browser.cookies["csrftoken"].value
    answer = browser.post(address, body, content_type="application/json", headers={"X-CSRFToken": token})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        ("{", "application/json", 400, "bad_request"),
        ('{"a": NaN}', "application/json", 400, "bad_request"),
        ('{"a": -1e400}', "application/json", 400, "bad_request"),
        ("[" * 100_000, "application/json", 400, "bad_request"),
        ('{"name": "a\\u0000b"}', "application/json", 400, "bad_request"),
        ('{"name": "\\ud800"}', "application/json", 400, "bad_request"),
        ("[]", "application/json", 400, "invalid"),
        ("{}", "text/plain", 415, "unsupported_media_type"),
        ("a=b", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        ('{"question": "' + "x" * 10_000_000 + '"}', "application/json", 413, "body_too_large"),
    ],
    ids=["cut", "nan", "infinity", "deep", "nul", "surrogate", "list", "text", "form", "large"],
)
def test_a_body_that_cannot_be_read_is_refused(
    client, program, project, max_, body, content_type, status, code
):
    program(max_)  # there is one who could
    client.force_login(max_)
    answer = client.post(f"/api/v1/projects/{project.slug}/criteria", body, content_type=content_type)
    problem(answer, status, code)


def test_unknown_and_wrong_fields_are_named_by_their_place(program, project, max_):
    call = program(max_)
    details = problem(
        call("PATCH", f"projects/{project.slug}", {"slug": "mine", "test_per_tag": {"a": -1}}), 400, "invalid"
    )
    assert set(details["fields"]) == {"slug"}
    details = problem(call("PATCH", f"projects/{project.slug}", {"test_per_tag": {"a": -1}}), 400, "invalid")
    assert set(details["fields"]) == {"test_per_tag.a"}
    assert "test_per_tag.a" in details["message"]


def test_an_unknown_parameter_of_an_address_is_named(program, project, max_):
    call = program(max_)
    details = problem(call("GET", f"projects/{project.slug}/members?user__password=x"), 400, "invalid")
    assert set(details["fields"]) == {"user__password"}
    details = problem(call("GET", "me?limit=3"), 400, "invalid")
    assert set(details["fields"]) == {"limit"}
    for parameter in ("order=name", "limit=0", "limit=1000", "limit=1&limit=2", "cursor=x", "cursor=W10"):
        problem(call("GET", f"projects/{project.slug}/criteria?{parameter}"), 400, "invalid")


def test_an_action_refuses_with_the_code_of_the_pages(program, project, max_):
    call = program(max_)
    member = project.memberships.get(user=max_)
    details = problem(
        call("PATCH", f"projects/{project.slug}/members/{member.pk}", {"role": "annotator"}),
        409,
        "last_manager",
    )
    assert "only manager" in details["message"]
    problem(call("PATCH", f"projects/{project.slug}", {"time_zone": "Mars/Base"}), 400, "time_zone_unknown")


def test_what_is_nowhere_is_a_problem_too(client, program, project, max_):
    problem(client.get("/api/v1/nothing"), 404, "not_found")
    call = program(max_)
    problem(call("GET", "projects/nothing"), 404, "not_found")
    answer = call("PUT", f"projects/{project.slug}", {})
    problem(answer, 405, "method_not_allowed")
    assert answer["Allow"] == "GET, HEAD, PATCH"
    problem(call("OPTIONS", f"projects/{project.slug}"), 405, "method_not_allowed")
    problem(call("GET", "me?a=%00"), 400, "bad_request")


def test_pages_follow_each_other_while_rows_are_added(program, project, max_):
    for number in range(5):
        add_criterion(actor=max_, project=project, name=f"c{number}", question="?")
    call, address, seen = program(max_), f"projects/{project.slug}/criteria?limit=2", []
    while address:
        page = call("GET", address).json()
        seen += [row["name"] for row in page["results"]]
        add_criterion(actor=max_, project=project, name=f"new{len(seen)}", question="?")
        address = page["next"]
    assert seen == ["c4", "c3", "c2", "c1", "c0", "helpful"]
    up, address = [], f"projects/{project.slug}/criteria?limit=4&order=id"
    while address:
        page = call("GET", address).json()
        up += [row["name"] for row in page["results"]]
        address = page["next"]
    assert up == ["helpful", "c0", "c1", "c2", "c3", "c4", "new2", "new4", "new6"]


@pytest.mark.parametrize("looked_at", [1, 40], ids=["rows far apart", "rows near"])
def test_a_page_is_whole_wherever_its_rows_are_in_the_table(program, project, max_, monkeypatch, looked_at):
    monkeypatch.setattr("workspace.api.paging.TABLE_ROWS_PER_ROW", looked_at)
    other = create_project(actor=max_, name="Larger")
    for number in range(4):
        add_criterion(actor=max_, project=project, name=f"c{number}", question="?")
        for more in range(3):
            add_criterion(actor=max_, project=other, name=f"d{number}{more}", question="?")
    expected = ["c3", "c2", "c1", "c0", "helpful"]
    for order, rows in (("-id", expected), ("id", expected[::-1])):
        address, seen = f"projects/{project.slug}/criteria?limit=2&order={order}", []
        while address:
            page = program(max_)("GET", address).json()
            seen.append([row["name"] for row in page["results"]])
            address = page["next"]
        assert seen == [rows[:2], rows[2:4], rows[4:]]


def test_pages_by_a_column_with_equal_values_lose_and_repeat_nothing(program, max_):
    for number in range(7):
        create_project(actor=max_, name=f"Twin {number}", overlap=1)
        max_.memberships.all()
    type(max_.memberships.get(project__slug="twin-0").project).objects.filter(slug__startswith="twin").update(
        name="Twin"
    )
    call, address, seen = program(max_), "projects?limit=3&order=name", []
    while address:
        page = call("GET", address).json()
        seen += [row["slug"] for row in page["results"]]
        address = page["next"]
    assert seen == [f"twin-{number}" for number in range(7)]


def test_a_cursor_of_another_order_is_refused(program, max_):
    for number in range(3):
        create_project(actor=max_, name=f"Twin {number}")
    call = program(max_)
    cursor = call("GET", "projects?limit=1&order=name").json()["next_cursor"]
    problem(call("GET", f"projects?limit=1&order=-name&cursor={cursor}"), 400, "invalid")


def test_a_key_creates_once_and_answers_the_same(program, project, max_):
    call, address = program(max_), f"projects/{project.slug}/criteria"
    body = {"name": "harmless", "question": "Which is less harmful?"}
    first = call("POST", address, body, Idempotency_Key="k1")
    again = call("POST", address, body, Idempotency_Key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "Idempotency-Replayed" not in first and again["Idempotency-Replayed"] == "true"
    assert project.criteria.filter(name="harmless").count() == 1
    problem(
        call("POST", address, body | {"name": "honest"}, Idempotency_Key="k1"), 422, "idempotency_key_reused"
    )
    problem(call("POST", address, body, Idempotency_Key="x" * 101), 400, "invalid")
    # Without the key it is another request, which the project refuses.
    problem(call("POST", address, body), 400, "criterion_invalid")


def test_what_was_refused_may_be_sent_again_with_its_key(program, project, max_):
    call, address = program(max_), f"projects/{project.slug}/criteria"
    problem(
        call("POST", address, {"name": "helpful", "question": "?"}, Idempotency_Key="k"),
        400,
        "criterion_invalid",
    )
    assert not IdempotentRequest.objects.exists()


def test_a_key_is_forgotten_after_a_day(program, project, max_):
    call, address = program(max_), f"projects/{project.slug}/guidelines"
    call("POST", address, {"text": "One."}, Idempotency_Key="k")
    IdempotentRequest.objects.update(created_at="2020-01-01T00:00Z")
    assert call("POST", address, {"text": "One."}, Idempotency_Key="k").json()["version"] == 3


def test_keys_of_two_people_are_two(program, project, ruth, max_):
    set_role(actor=max_, project=project, user=ruth, role="manager")
    address = f"projects/{project.slug}/guidelines"
    versions = [
        program(person)("POST", address, {"text": "One."}, Idempotency_Key="k").json()["version"]
        for person in (max_, ruth)
    ]
    assert versions == [2, 3]


def test_a_link_that_is_shown_once_is_not_kept(program, project, max_):
    call, address = program(max_), f"projects/{project.slug}/invitations"
    link = call("POST", address, {"role": "annotator"}, Idempotency_Key="k").json()["link"]
    assert "/invitations/" in link
    again = call("POST", address, {"role": "annotator"}, Idempotency_Key="k").json()
    assert again["link"] is None
    assert link.rstrip("/").rpartition("/")[2] not in IdempotentRequest.objects.get().body
    assert project.invitations.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_requests_with_one_key_at_the_same_moment_create_once(program, project, max_):
    call, address = program(max_), f"projects/{project.slug}/guidelines"

    def send(_):
        try:
            return call("POST", address, {"text": "At once."}, Idempotency_Key="k")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(send, range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert {json.dumps(answer.json()) for answer in answers} == {json.dumps(answers[0].json())}
    assert project.guidelines.count() == 2


def test_a_bucket_lets_the_rate_through_and_says_how_long_to_wait():
    buckets = Buckets()
    assert [buckets.take("a", 60, 0.0) for _ in range(60)] == [0.0] * 60
    assert buckets.take("a", 60, 0.0) == pytest.approx(1.0)
    assert buckets.take("b", 60, 0.0) == 0.0
    assert buckets.take("a", 60, 0.5) == pytest.approx(0.5)
    assert buckets.take("a", 60, 1.0) == 0.0
    # Ten quiet minutes fill it up and no further.
    assert [buckets.take("a", 60, 601.0) == 0 for _ in range(61)] == [True] * 60 + [False]


def test_who_calls_too_often_is_told_when_to_come_back(program, project, max_, settings, monkeypatch):
    monkeypatch.setattr(throttles, "_buckets", Buckets())
    monkeypatch.setattr(
        throttles, "time", SimpleNamespace(monotonic=lambda: 1000.0)
    )  # however slow the machine
    settings.API_REQUESTS_PER_MINUTE = 3
    call = program(max_)
    assert [call("GET", "me").status_code for _ in range(3)] == [200] * 3
    answer = call("GET", "me")
    problem(answer, 429, "throttled")
    assert answer["Retry-After"] == "20"


def test_answers_are_kept_by_nobody_in_between(program, max_):
    answer = program(max_)("GET", "me")
    assert answer["Cache-Control"] == "private, no-store"
    assert {"authorization", "cookie"} <= {name.strip().lower() for name in answer["Vary"].split(",")}


def test_the_schema_and_its_page_are_for_who_is_logged_in(client, ada, program, project):
    assert client.get("/api/schema/").status_code == 401
    assert client.get("/api/docs/")["Location"].startswith("/login/")
    assert program(ada, project, role="annotator")("GET", "http://testserver/api/schema/").status_code == 200
    client.force_login(ada)
    page = client.get("/api/docs/")
    text = page.content.decode()
    # Nothing in the page itself that the content security policy would refuse, and nothing of another server.
    assert "<style" not in text and "//" not in text.replace("<!DOCTYPE", "").replace("//#", "")
    assert "script-src 'self'" in page["Content-Security-Policy"]


def test_the_schema_is_made_once_a_process_and_sent_once_a_program(client, ada):
    client.force_login(ada)
    first = client.get("/api/schema/")
    assert json.loads(first.content)["paths"]["/api/v1/me"] and first["ETag"].startswith('"')
    made = written_schema.cache_info().misses
    again = client.get("/api/schema/")
    assert (again.content, again["ETag"]) == (first.content, first["ETag"])
    assert written_schema.cache_info().misses == made
    known = client.get("/api/schema/", headers={"If-None-Match": first["ETag"]})
    assert (known.status_code, known.content, known["ETag"]) == (304, b"", first["ETag"])
    # Programs read the site's own language, whoever asks.
    german = client.get("/api/schema/", headers={"Accept-Language": "de"})
    assert german["ETag"] == first["ETag"]


def test_a_token_may_be_the_password_of_basic_credentials_and_nothing_else_is_one(client, max_, project):
    """For programs that take an address and no header. What a proxy asked a browser for is left alone."""
    _, token = create_token(actor=max_, project=None, name="t", scope="read", role="manager", days=1)

    def ask(credentials):
        encoded = base64.b64encode(credentials.encode()).decode()
        return client.get("/api/v1/me", headers={"Authorization": f"Basic {encoded}"}).status_code

    assert ask(f"anybody:{token}") == 200
    assert ask(f"{token}:") == ask("max:correct horse battery") == ask(f"max:{token}x") == 401
    client.force_login(max_)
    assert ask("max:the proxy's") == 200  # by the session
    assert client.get("/api/v1/me", headers={"Authorization": "Basic ?"}).status_code == 200
