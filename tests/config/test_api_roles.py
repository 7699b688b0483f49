"""Who may call what of the API: the allowed set is written down for every operation, and nothing else answers 2xx."""

import json
import re

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver

from tests.config import api_world
from tests.config.api_rows import READING
from tests.config.api_table import FILE, TABLE
from workspace.actions import create_project
from workspace.members import invite
from workspace.tokens.actions import create_token

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]


@pytest.fixture
def world(project, max_, ada):
    """What the addresses of the table name, by name."""
    invitation, _ = invite(actor=max_, project=project, role="annotator")
    return api_world.make(project, max_, ada, FILE) | {
        "slug": project.slug,
        "member": project.memberships.get(user=ada).pk,
        "invitation": invitation.pk,
    }


@pytest.fixture
def callers(project, ada, ruth, max_, olga, make_user):
    """By name: a function (method, address, body) -> answer."""
    attic = create_project(actor=max_, name="Cellar")
    tokens = {
        "manager's token": {"project": project, "scope": "write", "role": "manager"},
        "manager's reading token": {"project": project, "scope": "read", "role": "manager"},
        "manager's annotating token": {"project": project, "scope": "write", "role": "annotator"},
        "manager's scoring token": {"project": project, "scope": "score", "role": "manager"},
        "token of another project": {"project": attic, "scope": "write", "role": "manager"},
    }
    people = {
        "nobody": None,
        "annotator": ada,
        "reviewer": ruth,
        "manager": max_,
        "manager of another project": olga,
        "outsider": make_user("otto"),
    }

    def caller(person, text):
        client = Client()
        if person is not None:
            client.force_login(person)

        def call(method, address, body=None):
            headers = {"Authorization": f"Bearer {text}"} if text else {}
            if isinstance(body, bytes):
                data = {"data": body, "content_type": "application/octet-stream"}
            elif body is None:
                data = {}
            else:
                data = {"data": json.dumps(body), "content_type": "application/json"}
            return client.generic(method, f"/api/v1/{address}", headers=headers, **data)

        return call

    found = {name: caller(person, None) for name, person in people.items()}
    for name, fields in tokens.items():
        _, text = create_token(actor=max_, name=name, days=1, **fields)
        found[name] = caller(None, text)
    return found


def filled_in(value, world):
    """A body with the names of the world replaced: "{batch}" alone is the value itself."""
    if isinstance(value, dict):
        return {name: filled_in(inner, world) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled_in(inner, world) for inner in value]
    if isinstance(value, str) and re.fullmatch(r"\{\w+\}", value):
        return world[value[1:-1]]
    return value


def operations():
    """(method, address with bare names in braces) of every operation that there is."""

    def walk(resolver, prefix):
        for entry in resolver.url_patterns:
            route = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                yield from walk(entry, route)
            elif route.startswith("api/v1/"):
                view = entry.callback.view_class
                for method in view.http_method_names:
                    if hasattr(getattr(view, method, None), "operation") and method != "head":
                        yield method.upper(), re.sub(r"<(?:\w+:)?\w+>", "{}", route.removeprefix("api/v1/"))

    return sorted(walk(get_resolver(), ""))


def test_every_operation_is_in_the_table():
    named = re.compile(r"\{\w+\}|(?<=files/)[\w.]+$")
    listed = sorted({(row.method, named.sub("{}", row.address.partition("?")[0])) for row in TABLE})
    assert listed == operations()


@pytest.mark.sqlite_only
def test_nobody_else_gets_in(callers, world):
    """Refusals change nothing, so that one world serves them all."""
    wrong = []
    for row in TABLE:
        address, body = row.address.format(**world), filled_in(row.body, world)
        for name in set(callers) - row.allowed:
            expected = {401} if name == "nobody" else {404, 403} if name in READING else {404}
            if row.address == "projects":
                expected = {401} if name == "nobody" else {403}
            status = callers[name](row.method, address, body).status_code
            if status not in expected:
                wrong.append((name, row.method, address, status))
    assert wrong == []


def test_who_may_is_let_in(callers, world):
    """Each in a transaction of its own that is taken back."""
    wrong = []
    for row in TABLE:
        address, body = row.address.format(**world), filled_in(row.body, world)
        for name in sorted(row.allowed):
            with transaction.atomic():
                answer = callers[name](row.method, address, body)
                if answer.status_code != row.status:
                    wrong.append((name, row.method, address, answer.status_code, answer.content))
                transaction.set_rollback(True)
    assert wrong == []


def test_every_other_verb_is_refused_whoever_asks(callers, world):
    """PUT like PATCH: where there is no operation, nobody has one."""
    known = {}
    for row in TABLE:
        known.setdefault(row.address, set()).add(row.method)
    wrong = []
    for address, methods in known.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - methods:
            for name in ("nobody", "annotator", "manager", "manager's token"):
                status = callers[name](method, address.format(**world), {}).status_code
                if status != 405:
                    wrong.append((name, method, address, status))
    assert wrong == []


def test_what_lies_in_another_project_is_found_through_none(callers, world, olga, max_):
    """Every key of an address is looked up in the project of the address, not only in the table."""
    theirs = olga.memberships.get().project.slug
    wrong = []
    for row in TABLE:
        if row.address.count("{") < 2:
            continue
        address, body = row.address.format(**world | {"slug": theirs}), filled_in(row.body, world)
        answer = callers["manager of another project"](row.method, address, body)
        if answer.status_code != 404:
            wrong.append((row.method, address, answer.status_code))
    assert wrong == []


def test_no_operation_takes_a_parameter_or_a_field_that_it_does_not_name(callers, world):
    """No way through relations to other tables, and none to what is not for callers to set."""
    wrong = []
    for row in TABLE:
        address, body = row.address.format(**world), filled_in(row.body, world)
        caller = sorted(row.allowed - READING)
        if not caller:
            continue
        if row.method == "GET":
            for parameter in ("project__slug", "user__password", "annotator__username__startswith"):
                answer = callers[caller[0]](row.method, f"{address}?{parameter}=x")
                if answer.status_code != 400 or parameter not in answer.json()["fields"]:
                    wrong.append((address, parameter, answer.status_code))
        # A draft is the program's own; those of status 409 take no body and look at none.
        elif isinstance(body, dict) and not address.endswith("/draft") and row.status != 409:
            for field in ("is_staff", "project", "annotator", "created_by"):
                answer = callers[caller[0]](row.method, address, body | {field: 1})
                if answer.status_code != 400 or field not in answer.json()["fields"]:
                    wrong.append((address, field, answer.status_code))
    assert wrong == []


def test_operators_create_projects(client, make_user, program, max_):
    operator = make_user("root", is_staff=True)
    client.force_login(operator)
    answer = client.post("/api/v1/projects", {"name": "Attic"}, content_type="application/json")
    assert answer.status_code == 201
    client.logout()
    assert program(operator)("POST", "projects", {"name": "Loft"}).status_code == 201
    assert program(operator, role="reviewer")("POST", "projects", {"name": "Roof"}).status_code == 403
    attic = operator.memberships.get(project__slug="attic").project
    assert program(operator, attic)("POST", "projects", {"name": "Roof"}).status_code == 403
    assert program(max_)("POST", "projects", {"name": "Roof"}).status_code == 403


def test_managers_create_projects_where_the_installation_lets_them(settings, program, project, max_, ada):
    settings.MANAGERS_CREATE_PROJECTS = True
    assert program(max_)("GET", "me").json()["may_create_projects"] is True
    assert program(max_)("POST", "projects", {"name": "Attic"}).status_code == 201
    for refused in (program(ada), program(max_, project), program(max_, role="reviewer")):
        assert refused("POST", "projects", {"name": "Roof"}).status_code == 403
