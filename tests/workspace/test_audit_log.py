"""The audit trail as managers and operators read it: found by person, action, object and day, and as a file."""

import csv
import json
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse

from workspace import audit_log
from workspace.actions import record_audit
from workspace.audit_log import audit_events, filter_audit, known_actions
from workspace.csv_lines import csv_line
from workspace.models import AuditEvent, Project

pytestmark = [pytest.mark.db, pytest.mark.django_db]
BERLIN = ZoneInfo("Europe/Berlin")


def content(answer):
    return b"".join(answer.streaming_content).decode()


@pytest.fixture
def trail(project, ada, ruth, max_, monkeypatch):
    """Four entries after those of the fixtures: (who, action, when)."""

    def record(actor, action, when, **details):
        field = AuditEvent._meta.get_field("created_at")
        with monkeypatch.context() as patched:
            patched.setattr(field, "pre_save", lambda row, add: setattr(row, "created_at", when) or when)
            patched.setattr("workspace.actions.insert_unread", lambda event: event.save())
            record_audit(actor=actor, action=action, project=project, target=actor, **details)
        return AuditEvent.objects.latest("pk")

    return [
        record(ada, "tea.pour", datetime(2026, 11, 1, 22, 59, tzinfo=UTC), note="=cup()"),
        record(ruth, "tea.pour", datetime(2026, 11, 1, 23, 0, tzinfo=UTC)),  # the 2nd in Berlin
        record(ada, "tea.stir", datetime(2026, 11, 2, 22, 59, tzinfo=UTC)),
        record(ada, "tea.stir", datetime(2026, 11, 2, 23, 0, tzinfo=UTC)),
    ]


def test_found_by_each_and_by_all_together(project, trail, ada):
    first, second, third, fourth = trail
    tea = audit_events(project).filter(action__startswith="tea.").order_by("pk")

    def found(**filters):
        return list(filter_audit(tea, zone=BERLIN, **filters))

    assert found() == trail
    assert found(person="ada") == [first, third, fourth]
    assert found(person="nobody") == []
    assert found(action="tea.stir") == [third, fourth]
    assert found(since=date(2026, 11, 2)) == [second, third, fourth]
    assert found(since=date(2026, 11, 2), until=date(2026, 11, 2)) == [second, third]
    assert found(types=["workspace.user"], key=str(ada.pk)) == [first, third, fourth]
    assert found(types=["workspace.project"]) == []
    assert found(person="ada", action="tea.stir", until=date(2026, 11, 2)) == [third]


def test_the_actions_are_those_that_were(project, olga, trail):
    there = AuditEvent.objects.filter(project=project).values_list("action", flat=True)
    assert known_actions(project) == sorted(set(there)) and "tea.pour" in known_actions(project)
    other = Project.objects.exclude(pk=project.pk).first()
    assert other is None or "tea.pour" not in known_actions(other)
    assert set(known_actions(project)) <= set(known_actions(None))


def test_the_page_shows_filters_and_refuses_what_it_cannot_read(client, project, trail, max_, ada):
    client.force_login(max_)
    address = reverse("workspace:audit", args=["kitchen"])
    page = client.get(address, {"person": "ada", "action": "tea.stir"}).content.decode()
    assert "2 entries found" in page and "workspace.user" in page
    assert "1 entry found" in client.get(address, {"until": "2026-11-01", "person": "ada"}).content.decode()
    of_ada = {"target": f"user {ada.pk}", "action": "tea.stir"}
    assert "2 entries found" in client.get(address, of_ada).content.decode()
    for wrong in ({"target": "teapot 1"}, {"since": "yesterday"}, {"action": "no.such"}):
        answer = client.get(address, wrong)
        assert answer.status_code == 422 and "0 entries found" in answer.content.decode()


def test_pages_keep_what_was_asked(client, project, max_, ada):
    for _ in range(60):
        record_audit(actor=ada, action="tea.pour", project=project)
    client.force_login(max_)
    page = client.get(reverse("workspace:audit", args=["kitchen"]), {"person": "ada", "action": "tea.pour"})
    older = page.context["listing"].older
    assert "person=ada" in older and "action=tea.pour" in older
    following = client.get(reverse("workspace:audit", args=["kitchen"]) + older)
    assert len(following.context["rows"]) == 10


def test_the_files_have_every_row_once_and_the_export_is_recorded(client, project, trail, max_, monkeypatch):
    monkeypatch.setattr(audit_log, "ROWS_PER_READ", 2)
    client.force_login(max_)
    address = reverse("workspace:audit_export", args=["kitchen"])
    lines = content(client.get(address, {"format": "jsonl", "target": "user"})).splitlines()
    found = [json.loads(line) for line in lines]
    assert [row["id"] for row in found if row["action"].startswith("tea.")] == [event.pk for event in trail]
    assert found[-1]["person"] == "ada" and found[-1]["time"].startswith("2026-11-02T23:00:00")
    rows = list(csv.reader(content(client.get(address, {"person": "ruth"})).splitlines()))
    assert rows[0] == list(audit_log.COLUMNS) and rows[-1][3:5] == ["ruth", "tea.pour"]
    told = AuditEvent.objects.filter(action="audit.export").order_by("pk")
    assert [event.details["filters"] for event in told] == [{"target": "user"}, {"person": "ruth"}]
    assert client.get(address, {"format": "xml"}).status_code == 404


def test_a_cell_that_a_spreadsheet_would_carry_out_is_text():
    assert csv_line(["=cup()", 3, "tea"]) == b"'=cup(),3,tea\r\n"


def test_operators_read_all_and_nobody_else(client, make_user, project, trail, max_):
    addresses = [reverse("workspace:audit_of_all"), reverse("workspace:audit_of_all_export")]
    client.force_login(max_)
    assert [client.get(address).status_code for address in addresses] == [404, 404]
    operator = make_user("otto")
    operator.is_staff = True
    operator.save()
    client.force_login(operator)
    page = client.get(addresses[0], {"action": "tea.stir"}).content.decode()
    assert "2 entries found" in page and "kitchen" in page
    # Without a project, as an operator's own actions are.
    record_audit(actor=operator, action="user.set_password", project=None)
    assert "user.set_password,workspace" not in content(client.get(addresses[1]))
    assert "user.set_password" in content(client.get(addresses[1]))
    assert client.get(reverse("workspace:audit", args=["kitchen"])).status_code == 404


def test_by_a_program(program, trail, max_, ada):
    answer = program(max_)("GET", f"projects/kitchen/audit?object_type=user&object_id={ada.pk}&person=ada")
    rows = [row for row in answer.json()["results"] if row["action"].startswith("tea.")]
    assert [row["id"] for row in rows] == [trail[3].pk, trail[2].pk, trail[0].pk]
    assert rows[-1]["details"] == {"note": "=cup()"}
    assert program(max_)("GET", "projects/kitchen/audit?object_type=teapot").status_code == 400
