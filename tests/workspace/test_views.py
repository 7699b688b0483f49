"""Who may see which page, logging in, forms and operators' pages."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from workspace import members
from workspace.models import AuditEvent, Invitation, Project

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def cast(max_, ada, ruth, olga):
    return {"nobody": None, "annotator": ada, "reviewer": ruth, "manager": max_, "manager of another": olga}


@pytest.fixture
def as_(client, cast):
    def log_in(who):
        client.logout()
        if cast[who] is not None:
            client.force_login(cast[who])
        return client

    return log_in


EVERYBODY = {"annotator", "reviewer", "manager", "manager of another"}
# Who gets a 2xx answer, or after a POST the page it leads to; everybody else gets 404, or the log-in page
# when nobody is logged in.
PAGES = [
    ("get", "workspace:home", {}, EVERYBODY),
    ("get", "workspace:change_password", {}, EVERYBODY),
    ("get", "workspace:tokens", {}, EVERYBODY),
    ("get", "workspace:people", {"slug": "kitchen"}, {"manager"}),
    ("get", "workspace:audit", {"slug": "kitchen"}, {"manager"}),
    ("get", "workspace:audit_export", {"slug": "kitchen"}, {"manager"}),
    ("get", "workspace:audit_of_all", {}, set()),
    ("get", "workspace:audit_of_all_export", {}, set()),
    ("post", "workspace:invite", {"slug": "kitchen"}, {"manager"}),
    ("post", "workspace:set_time_zone", {"slug": "kitchen"}, {"manager"}),
    ("post", "workspace:set_splits", {"slug": "kitchen"}, {"manager"}),
    ("get", "workspace:new_project", {}, set()),
    ("post", "workspace:new_project", {}, set()),
    ("get", "workspace:login", {}, {"nobody"}),
    ("get", "workspace:health", {}, {"nobody", *EVERYBODY}),
]


@pytest.mark.parametrize(("verb", "name", "kwargs", "allowed"), PAGES)
def test_each_page_answers_only_those_written_down(project, as_, cast, verb, name, kwargs, allowed):
    data = {"role": "annotator"} if verb == "post" else {}
    answers = {who: getattr(as_(who), verb)(reverse(name, kwargs=kwargs), data) for who in cast}

    def is_served(answer):
        done = verb == "post" and answer.status_code == 302 and "/login/" not in answer["Location"]
        # A form without its values is refused, on a page for those who may send it.
        done = done or (verb == "post" and answer.status_code in (409, 422))
        return done or 200 <= answer.status_code < 300

    assert {who for who, answer in answers.items() if is_served(answer)} == allowed
    assert all(answer.status_code in (302, 404) for who, answer in answers.items() if who not in allowed)


@pytest.mark.parametrize("who", ["nobody", "annotator", "reviewer", "manager of another"])
def test_only_a_manager_changes_members_and_invitations(project, as_, max_, ada, who):
    membership = project.memberships.get(user=ada)
    invitation, _ = members.invite(actor=max_, project=project, role="annotator")
    browser = as_(who)
    for name, pk in (("change_member", membership.pk), ("withdraw_invitation", invitation.pk)):
        answer = browser.post(reverse(f"workspace:{name}", args=["kitchen", pk]), {"role": "manager"})
        assert answer.status_code in (302, 404)
        assert answer.status_code == 404 or "/login/" in answer["Location"]
    membership.refresh_from_db()
    invitation.refresh_from_db()
    assert membership.role == "annotator"
    assert invitation.withdrawn_at is None


def test_a_wrong_password_is_throttled(client, max_):
    url = reverse("workspace:login")
    for _ in range(9):
        answer = client.post(url, {"username": "max", "password": "wrong"})
    assert answer.status_code == 429
    answer = client.post(url, {"username": "max", "password": "correct horse battery"})
    assert answer.status_code == 429


def test_managers_open_projects_where_operators_allow_it_and_nobody_else(settings, project, as_, max_):
    address = reverse("workspace:new_project")
    assert as_("manager").get(address).status_code == 404  # no permission defaults to yes
    assert address not in as_("manager").get("/").content.decode()
    settings.MANAGERS_CREATE_PROJECTS = True
    assert address in as_("manager").get("/").content.decode()
    assert as_("manager").get(address).status_code == 200
    for who in ("annotator", "reviewer"):
        assert as_(who).get(address).status_code == 404
        assert address not in as_(who).get("/").content.decode()


def test_a_criterion_is_taken_as_people_write_it(client, make_user):
    client.force_login(make_user("root", is_staff=True))
    form = {"name": "Garden", "question": "Which?", "overlap": 0, "lease_minutes": 30, "criterion_name": "??"}
    answer = client.post(reverse("workspace:new_project"), form)
    assert answer.status_code == 422
    assert "Give a whole number from 1 to 50." in answer.content.decode()
    answer = client.post(reverse("workspace:new_project"), form | {"overlap": 1})
    assert answer.status_code == 422 and Project.objects.count() == 0
    assert "Latin letters or digits, for example helpful" in answer.content.decode()
    assert (
        "slug" not in re.sub(r"\b\w{64}\b", "", answer.content.decode()).lower()
    )  # the token is random letters


def test_an_operator_creates_a_project_and_sees_mistakes_beside_the_field(client, make_user):
    client.force_login(make_user("root", is_staff=True))
    url = reverse("workspace:new_project")
    good = {
        "name": "Garden",
        "criterion_name": "helpful",
        "question": "Which is better?",
        "overlap": 2,
        "lease_minutes": 30,
    }
    assert client.post(url, {**good, "overlap": 0}).status_code == 422
    assert client.post(url, good).status_code == 302
    again = client.post(url, good)
    assert again.status_code == 422
    assert "already" in again.content.decode()


def test_the_admin_site_shows_the_audit_trail_and_changes_nothing(client, project, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root", password="correct horse battery"))
    event = project.audit_events.first()
    url = reverse("admin:workspace_auditevent_change", args=[event.pk])
    assert client.get(url).status_code == 200
    assert client.post(url, {"action": "x"}).status_code == 403
    assert client.post(reverse("admin:workspace_auditevent_delete", args=[event.pk])).status_code == 403
    event.refresh_from_db()
    assert event.action == "project.create"


def test_what_an_operator_changes_of_an_account_is_in_the_audit_trail(client, ada, django_user_model):
    root = django_user_model.objects.create_superuser("root", password="correct horse battery")
    client.force_login(root)
    page = reverse("admin:workspace_user_change", args=[ada.pk])
    # Without `is_active`: the box is not ticked any more.
    fields = {"username": "ada", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    assert client.post(page, fields).status_code == 302
    secret = "a new and long enough one"
    passwords = {"password1": secret, "password2": secret, "usable_password": "true"}
    page = reverse("admin:auth_user_password_change", args=[ada.pk])
    assert client.post(page, passwords).status_code == 302
    ada.refresh_from_db()
    assert not ada.is_active and ada.check_password(secret)
    events = AuditEvent.objects.filter(target_id=str(ada.pk), actor=root).order_by("pk")
    assert [event.action for event in events] == ["user.change", "user.set_password"]
    assert "is_active" in events[0].details["fields"]
    assert secret not in str([event.details for event in events])


def test_pages_carry_a_strict_content_security_policy(client):
    policy = client.get(reverse("workspace:login"))["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_the_page_for_our_own_faults_needs_nothing_that_may_be_broken(rf):
    from workspace.views import server_error

    answer = server_error(rf.get("/"))
    assert answer.status_code == 500
    assert b"logged" in answer.content
    assert b"static" not in answer.content


def test_a_form_sent_after_the_session_ended_leads_back_to_its_page_and_says_that_nothing_was_done(
    client, project, max_
):
    people = reverse("workspace:people", args=["kitchen"])
    answer = client.post(
        reverse("workspace:invite", args=["kitchen"]),
        {"role": "annotator"},
        headers={"Referer": f"http://testserver{people}?x=1"},
    )
    assert answer.status_code == 302
    assert (
        answer["Location"] == f"{reverse('workspace:login')}?next=%2Fprojects%2Fkitchen%2Fpeople%2F%3Fx%3D1"
    )
    login = client.get(answer["Location"])
    assert "That was not done" in login.content.decode()
    back = client.post(
        answer["Location"], {"username": "max", "password": "correct horse battery", "next": f"{people}?x=1"}
    )
    assert back["Location"] == f"{people}?x=1"
    assert client.get(back["Location"]).status_code == 200
    assert not Invitation.objects.exists()


@pytest.mark.parametrize(
    "referer", ["", "http://evil.example/projects/", "javascript:alert(1)", "//evil.example/"]
)
def test_a_form_without_a_page_of_ours_leads_home(client, project, referer):
    answer = client.post(
        reverse("workspace:invite", args=["kitchen"]), {}, headers={"Referer": referer} if referer else {}
    )
    assert answer["Location"] == f"{reverse('workspace:login')}?next=%2F"


def test_a_polling_part_is_told_to_leave_for_the_login_page(client, project):
    rounds = reverse("rounds:list", args=["kitchen"])
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{rounds}"}
    answer = client.get(rounds, headers=headers)
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == f"{reverse('workspace:login')}?next=%2Fprojects%2Fkitchen%2Frounds%2F"
    assert answer.content == b""
    answer = client.get(rounds, headers=headers | {"HX-Current-URL": "http://evil.example/"})
    assert answer["HX-Redirect"] == f"{reverse('workspace:login')}?next=%2F"
    answer = client.get(rounds, headers={"Accept": "application/json"})
    assert answer.status_code == 401
    assert "HX-Redirect" not in answer
    assert client.get(rounds).status_code == 302


def test_an_address_that_only_takes_forms_says_so_on_a_page(client, project, max_):
    client.force_login(max_)
    invite = reverse("workspace:invite", args=["kitchen"])
    answer = client.get(invite)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "Not a page" in answer.content.decode()
    assert client.get(invite, headers={"Accept": "application/json"}).content == b""


def test_a_form_without_a_valid_token_gets_a_page_of_ours_and_a_late_login_goes_home(max_, project):
    strict = Client(enforce_csrf_checks=True)
    login = reverse("workspace:login")
    refused = strict.post(login, {"username": "max", "password": "correct horse battery"})
    assert refused.status_code == 403
    assert "in another tab" in refused.content.decode()
    strict.force_login(max_)
    people = reverse("workspace:people", args=["kitchen"])
    late = strict.post(f"{login}?next={people}", {"username": "max", "password": "correct horse battery"})
    assert late.status_code == 302
    assert strict.get(late["Location"])["Location"] == people
    assert strict.post(reverse("workspace:invite", args=["kitchen"]), {}).status_code == 403


def test_people_change_their_own_password_and_the_audit_trail_has_it(client, ada):
    client.force_login(ada)
    url = reverse("workspace:change_password")
    secret = "a new and long enough one"
    fields = {"old_password": "wrong", "new_password1": secret, "new_password2": secret}
    assert client.post(url, fields).status_code == 422
    answer = client.post(url, fields | {"old_password": "correct horse battery"})
    assert (answer.status_code, answer["Location"]) == (302, reverse("workspace:home"))
    assert [str(message) for message in get_messages(answer.wsgi_request)] == ["Your password is changed."]
    ada.refresh_from_db()
    assert ada.check_password(secret)
    assert client.get(reverse("workspace:home")).status_code == 200  # still logged in
    assert AuditEvent.objects.filter(actor=ada, action="user.change_own_password").count() == 1


def test_the_sentence_of_the_lockout_sends_nobody_to_somebody_who_cannot_help(client, max_):
    url = reverse("workspace:login")
    for _ in range(9):
        answer = client.post(url, {"username": "max", "password": "wrong"})
    said = answer.content.decode()
    assert "operates this site" in said
    assert "manager" not in said


def test_pages_of_a_project_show_times_in_its_zone(client, project, max_):
    client.force_login(max_)
    url = reverse("annotation:settings", args=["kitchen"])
    project.guidelines.update(created_at=datetime(2026, 7, 1, 22, 30, tzinfo=UTC))
    assert "1 July 2026, 22:30" in client.get(url).content.decode()
    zone = reverse("workspace:set_time_zone", args=["kitchen"])
    shown = client.get(url).context["time_zone_form"]["shown"].value()
    saved = client.post(zone, {"time_zone": "Asia/Kolkata", "shown": shown}, follow=True).content.decode()
    assert "2 July 2026, 04:00" in saved and "Times are those of Asia/Kolkata now." in saved
    shown = client.get(url).context["time_zone_form"]["shown"].value()
    refused = client.post(zone, {"time_zone": "Europe/Berln", "shown": shown}).content.decode()
    assert "did you mean Europe/Berlin?" in refused
    project.refresh_from_db()
    assert project.time_zone == "Asia/Kolkata"
    event = AuditEvent.objects.get(action="project.set_time_zone")
    now = {"time_zone": "Asia/Kolkata"}
    assert (event.actor, event.details) == (max_, {"before": {"time_zone": "UTC"}, "now": now})
