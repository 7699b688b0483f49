"""What nobody types: NUL, half of a surrogate pair, texts and numbers without end, in every path, query parameter, form
field, cookie and JSON body of the site. The answer is a page, a form with its mistake, or 4xx; never 500.
"""

import itertools
import json
import re
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from django.db import connection
from django.http import QueryDict
from django.urls import URLPattern, URLResolver, get_resolver

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.queue.actions import claim_task
from rounds.plans import preset_plan
from rounds.schedules.actions import create_schedule
from rounds.schedules.triggers import after_round
from runs.models import Run
from workspace.members import invite
from workspace.request_records import PROBES

pytestmark = [pytest.mark.db, pytest.mark.django_db]

# As they stand in an address: percent-encoded. The first are refused at one door, whatever their name.
UNSTORABLE = {"NUL": "a%00b", "half of a surrogate pair": "%ED%A0%80"}
TOO_LARGE = (
    "19 digits"  # reaches a query, which either database refuses in its own way: asked wherever there is time
)
CRAFTED = {
    TOO_LARGE: "9" * 19,
    "401 digits": "9" * 401,
    "negative": "-1",
    "Arabic digits": quote("٣"),
    "infinite": "1e400",
    "not a number": "nan",
}


def patterns(resolver=None, prefix=""):
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, route)
        elif isinstance(entry, URLPattern) and "(?P" not in route:
            yield route


class Forms(HTMLParser):
    """(action, {name: value}) of the forms of a page that are sent by POST."""

    def __init__(self, page):
        super().__init__()
        self.found, self.open, self.select = [], None, None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.open = (attributes.get("action", ""), {})
            if attributes.get("method", "").lower() == "post":
                self.found.append(self.open)
        elif self.open and tag in ("input", "textarea", "select") and attributes.get("name"):
            self.open[1].setdefault(attributes["name"], attributes.get("value") or "")
            self.select = attributes["name"] if tag == "select" else None
        elif (
            tag == "option"
            and self.open
            and self.select
            and ("selected" in attributes or not self.open[1][self.select])
        ):
            self.open[1][self.select] = attributes.get("value") or ""

    def handle_endtag(self, tag):
        if tag == "form":
            self.open = None


@pytest.fixture
def site(client, project, annotating_round, criterion, policy, prompt_set, max_, ada, settings, tmp_path):
    """Everything there is once; {what stands in a route: a value that is there}."""
    settings.DATA_DIR = tmp_path
    settings.LOGGING_CONFIG = None
    client.raise_request_exception = False
    max_.is_staff = max_.is_superuser = True
    max_.save()
    assignment = claim_task(actor=max_, project=project)
    judgment = submit_judgment(
        actor=max_, assignment=assignment, content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[1]),
        idempotency_key="the-first",
    )  # fmt: skip
    create_schedule(
        actor=max_, project=project, when=after_round(repeats=True), criterion=criterion, start_policy=policy,
        prompt_set=prompt_set, plan=preset_plan("tiny"),
    )  # fmt: skip
    run = Run.objects.create(project=project, kind="policy.ppo", title="Run", config={}, requested_by=max_)
    run.path.mkdir(parents=True)
    (run.path / "log.txt").write_text("said")
    token = invite(actor=max_, project=project, role="annotator")[1]
    client.force_login(max_)
    return {
        "slug:slug": "kitchen", "int:number": "1", "uuid:public_id": str(assignment.public_id),
        "int:judgment_pk": str(judgment.pk), "str:token": token, "str:name": "log.txt", "path:object_id": str(max_.pk),
        "int:content_type_id": "1", "id": str(max_.pk), "path:url": "x",
        "int:pk": {"runs": str(run.pk), "batches": str(annotating_round.batch.pk), "people": str(ada.pk)},
    }  # fmt: skip


def address(route, site, crafted=None):
    """The route with values that are there; the `crafted` converter, if any, gets that value."""

    def fill(found):
        name = found.group(1)
        value = site.get(name, "1")
        if isinstance(value, dict):
            value = next((pk for part, pk in value.items() if f"/{part}/" in f"/{route}"), "1")
        return crafted[1] if crafted and crafted[0] == name else value

    return "/" + re.sub(r"<([^>]+)>", fill, route)


def crafted_for(names, values, *, at_once=1):
    """({name: value}, what it is): one value in turn for every name; on PostgreSQL, which refuses more than SQLite, the
    number that is too large for all of them instead, since the other values are refused before a query. Pages with
    options of a recipe (there are hundreds) are Django forms, which look at every field whatever the others are: 24 of
    their names at a time, and their options, read by the same code, 120 at a time with one value in turn.
    """
    options = sorted(name for name in names if "." in name)
    plain = [name for name in names if "." not in name]
    at_once = 24 if options else at_once
    kinds = itertools.cycle(values.items())
    for first in range(0, len(plain), at_once):
        what, value = next(kinds)
        if connection.vendor == "postgresql" and TOO_LARGE in values:
            what, value = TOO_LARGE, values[TOO_LARGE]
        yield dict.fromkeys(plain[first : first + at_once], value), what
    for first in range(0, len(options), 120):
        what, value = next(kinds)
        yield dict.fromkeys(options[first : first + 120], value), what


ROUTES = sorted(set(patterns()))
METHODS = ("get", "post")


def ask(client, method, url, **more):
    """The status; `url` goes out as it is written."""
    path, _, query = url.partition("?")
    answer = getattr(client, method)("/", QUERY_STRING=query, **more, PATH_INFO=_wsgi(path))
    return answer.status_code


def _wsgi(path):
    """As a web server puts a percent-encoded path into PATH_INFO."""
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(path).decode("latin-1")


def test_no_path_is_a_fault_of_the_program(client, site):
    """What no converter lets through never gets to a page: one such value in turn for each part of a route."""
    faults = []
    others = itertools.cycle(
        [("long", "x" * 5000), *((what, value) for what, value in CRAFTED.items() if what != TOO_LARGE)]
    )
    for route in ROUTES:
        for name in re.findall(r"<([^>]+)>", route):
            if name.startswith(("str", "path")):
                values = UNSTORABLE | {"long": "x" * 5000}
            else:
                values = {TOO_LARGE: CRAFTED[TOO_LARGE]} | dict([next(others)])
            for what, value in values.items():
                url = address(route, site, (name, value))
                faults += [(m, url[:80], what) for m in METHODS if ask(client, m, url) >= 500]
    assert not faults, faults


def test_no_query_parameter_is_a_fault_of_the_program(client, site, monkeypatch):
    """Every page with each parameter it looks at, found by watching it look."""
    looked_at = set()
    for method in ("get", "__getitem__", "getlist", "__contains__"):
        original = getattr(QueryDict, method)

        def watched(self, key, *rest, original=original):
            looked_at.add(key)
            return original(self, key, *rest)

        monkeypatch.setattr(QueryDict, method, watched)
    faults, seen = [], {}
    for url in (address(route, site) for route in ROUTES):
        if url in PROBES:
            # Answered before anything reads the request; 503 is an answer of theirs.
            assert all(ask(client, m, f"{url}?unknown=%00") in (200, 404, 405, 503) for m in METHODS)
            continue
        looked_at.clear()
        ask(client, "get", f"{url}?unknown=1")
        seen[url] = sorted(key for key in looked_at if isinstance(key, str))
        if url.startswith("/operators/"):
            seen[url].append("pk__exact")  # Django's lists filter by whatever is in an address
        for asked in ("unknown=%00", "a%00b=1"):
            faults += [(m, url, asked) for m in METHODS if ask(client, m, f"{url}?{asked}") not in (400, 404)]
        if ask(client, "get", f"{url}?unknown=%ED%A0%80") >= 500:
            faults.append(("get", url, "half of a surrogate pair"))
        # Pages of Django and of a library read each parameter by itself.
        alike = url.startswith(("/operators/", "/api/schema/"))
        for given, what in crafted_for(seen[url], CRAFTED, at_once=24 if alike else 1):
            query = "&".join(f"{name}={value}" for name, value in given.items())
            if ask(client, "get", f"{url}?{query}") >= 500:
                faults.append((url, list(given), what))
    assert not faults, faults
    assert any("annotator" in names for names in seen.values()) and any(
        "page" in names for names in seen.values()
    )


def test_no_field_of_a_form_is_a_fault_of_the_program(client, site):
    faults, forms = [], {}
    for route in ROUTES:
        url = address(route, site)
        page = client.get(url)
        if page.status_code == 200 and "html" in page.get("Content-Type", ""):
            for action, fields in Forms(page.content.decode()).found:
                if "logout" not in action:
                    forms.setdefault(action or url, {}).update(fields)
    for action, fields in forms.items():
        values = UNSTORABLE if "operators" in action else CRAFTED | {"NUL": "%00"}
        for crafted, what in crafted_for(fields, values):
            body = "&".join(f"{name}={crafted.get(name, quote(given))}" for name, given in fields.items())
            answer = client.post(action, body, content_type="application/x-www-form-urlencoded")
            if answer.status_code >= 500 or (what == "NUL" and answer.status_code != 400):
                faults.append((action, list(crafted), what, answer.status_code))
    assert not faults, faults
    assert {"prompts", "time_zone", "name", "guideline", "quota"} <= set(itertools.chain(*forms.values()))


@pytest.mark.parametrize("name", ["sessionid", "csrftoken", "messages", "unknown"])
@pytest.mark.parametrize("value", ['"\\000"', "\xff", "x" * 5000, '"\\355\\240\\200"'])
def test_no_cookie_is_a_fault_of_the_program(client, site, name, value):
    for url in ("/", "/login/", "/projects/kitchen/annotate/"):
        client.cookies.clear()
        assert client.get(url, headers={"Cookie": f"{name}={value}"}).status_code < 500


VALUES = [
    "\ud800", "\x00", "x" * 100_000, 10**400, -(10**30), True, None, [], {}, [["A"], [None]], {"A": {"x": 10**400}},
    [["\x00"]], {"\ud800": 1}, {"after_assignment": "\x00"}, {"after_assignment": 10**400},
]  # fmt: skip
KEYS = (
    "tiers strengths marks rationale flags seconds guideline_version settings_version idempotency_key revise "
    "claim_next after_assignment reason"
).split()


def test_no_json_body_is_a_fault_of_the_program(client, site, project, ada):
    client.force_login(ada)
    task = claim_task(actor=ada, project=project)
    urls = [
        url.replace(site["uuid:public_id"], str(task.public_id))
        for url in (address(route, site) for route in ROUTES if "annotate/" in route)
    ]
    deep = "[" * 900 + "]" * 900
    bodies = [b"\xff", b"[", b"null", b'"x"', b"1e999", deep.encode(), f'{{"tiers": {deep}}}'.encode()]
    valid = {"tiers": [["A"], ["B"]], "strengths": [1], "idempotency_key": "one-key", "seconds": 1.0}
    for key in KEYS:
        bodies += [json.dumps(valid | {key: value}).encode() for value in VALUES]
        bodies.append(json.dumps(valid)[:-1].encode() + f', "{key}": {deep}}}'.encode())
    faults = []
    for url in urls:
        if client.post(url, b"{}", content_type="application/json").status_code in (404, 405):
            continue
        faults += [
            (url, body[:100])
            for body in bodies
            if client.post(url, body, content_type="application/json").status_code >= 500
        ]
        for kind in ("multipart/form-data; boundary=x", "text/plain"):
            assert client.post(url, b"{}", content_type=kind).status_code < 500
    assert not faults, faults
