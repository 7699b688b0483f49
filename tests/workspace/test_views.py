import re

import pytest
from django.urls import reverse

from workspace import actions
from workspace.models import AuditEvent

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


# Who gets a 2xx answer; everybody else gets 404, or the log-in page when nobody is logged in.
PAGES = [
    ("get", "workspace:home", {}, {"annotator", "reviewer", "manager", "manager of another"}),
    ("get", "workspace:people", {"slug": "kitchen"}, {"manager"}),
    ("post", "workspace:invite", {"slug": "kitchen"}, {"manager"}),
    ("get", "workspace:new_project", {}, set()),
    ("post", "workspace:new_project", {}, set()),
    ("get", "workspace:login", {}, {"nobody"}),
    ("get", "workspace:health", {}, {"nobody", "annotator", "reviewer", "manager", "manager of another"}),
]


@pytest.mark.parametrize(("verb", "name", "kwargs", "allowed"), PAGES)
def test_each_page_answers_only_those_written_down(project, as_, cast, verb, name, kwargs, allowed):
    data = {"role": "annotator"} if verb == "post" else {}
    answers = {who: getattr(as_(who), verb)(reverse(name, kwargs=kwargs), data).status_code for who in cast}
    assert {who for who, status in answers.items() if 200 <= status < 300} == allowed
    assert all(status in (302, 404) for who, status in answers.items() if who not in allowed)


@pytest.mark.parametrize("who", ["nobody", "annotator", "reviewer", "manager of another"])
def test_only_a_manager_changes_members_and_invitations(project, as_, max_, ada, who):
    membership = project.memberships.get(user=ada)
    invitation, _ = actions.invite(actor=max_, project=project, role="annotator")
    browser = as_(who)
    for name, pk in (("change_member", membership.pk), ("withdraw_invitation", invitation.pk)):
        answer = browser.post(reverse(f"workspace:{name}", args=["kitchen", pk]), {"role": "manager"})
        assert answer.status_code in (302, 404)
        assert answer.status_code == 404 or "/login/" in answer["Location"]
    membership.refresh_from_db()
    invitation.refresh_from_db()
    assert membership.role == "annotator"
    assert invitation.withdrawn_at is None


def test_a_member_of_another_project_is_not_found_through_mine(client, project, max_, olga):
    theirs = olga.memberships.get()
    client.force_login(max_)
    answer = client.post(reverse("workspace:change_member", args=["kitchen", theirs.pk]), {"role": "remove"})
    assert answer.status_code == 404
    assert olga.memberships.count() == 1


def test_a_manager_invites_and_the_newcomer_lands_on_the_task_list(client, project, max_):
    client.force_login(max_)
    page = client.post(reverse("workspace:invite", args=["kitchen"]), {"role": "annotator", "note": "Nia"})
    link = re.search(r"/invitations/[\w-]+/", page.content.decode()).group()
    client.logout()
    assert client.get(link).status_code == 200
    answer = client.post(link, {"username": "nia", "password": "a long enough one"}, follow=True)
    assert answer.redirect_chain[-1][0] == reverse("annotation:home", args=["kitchen"])
    client.logout()
    assert client.get(link).status_code == 410


def test_a_wrong_password_is_throttled(client, max_):
    url = reverse("workspace:login")
    for _ in range(9):
        answer = client.post(url, {"username": "max", "password": "wrong"})
    assert answer.status_code == 429
    answer = client.post(url, {"username": "max", "password": "correct horse battery"})
    assert answer.status_code == 429


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
