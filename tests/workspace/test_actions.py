from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from workspace import accounts, actions, joining, members
from workspace.commands import find_project
from workspace.errors import ActionError, InvitationUnusable, LastManager
from workspace.models import AuditEvent, Invitation, Membership, Project, User

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_creating_a_project_makes_its_first_criterion_settings_guideline_and_manager(max_):
    project = actions.create_project(actor=max_, name="Kitchen talk", criterion_name="Helpful", overlap=3)
    assert project.slug == "kitchen-talk"
    assert project.criteria.get().name == "helpful"
    assert project.question_settings.get().version == 1
    assert project.guidelines.get().version == 1
    assert project.memberships.get().user == max_
    assert AuditEvent.objects.filter(project=project, action="project.create", actor=max_).count() == 1


def test_two_projects_of_one_name_are_refused_with_a_sentence_at_the_name(project, max_):
    with pytest.raises(ActionError) as caught:
        actions.create_project(actor=max_, name=project.name)
    assert "name" in caught.value.fields
    assert Project.objects.count() == 1


@pytest.mark.parametrize("name", ["", "!!!"])
def test_a_name_without_letters_is_refused(max_, name):
    with pytest.raises(ActionError):
        actions.create_project(actor=max_, name=name)


@pytest.mark.parametrize("end", ["removed", "demoted", "deactivated"])
def test_an_invitation_ends_with_the_right_to_invite_and_does_not_come_back_with_it(
    project, max_, make_user, end
):
    second = make_user("second")
    members.set_role(actor=max_, project=project, user=second, role="manager")
    _, spare = members.invite(actor=second, project=project, role="manager")
    _, other = members.invite(actor=max_, project=project, role="annotator")
    assert joining.find_invitation(spare).role == "manager"
    if end == "removed":
        members.remove_member(actor=max_, project=project, user=second)
    elif end == "demoted":
        members.set_role(actor=max_, project=project, user=second, role="reviewer")
    else:
        User.objects.filter(pk=second.pk).update(is_active=False)
    with pytest.raises(InvitationUnusable):
        joining.accept_invitation(token=spare, username="stranger", password="a long enough one")
    with pytest.raises(InvitationUnusable):
        joining.join_by_invitation(actor=second, token=spare)
    assert not User.objects.filter(username="stranger").exists()
    assert joining.find_invitation(other).role == "annotator"
    if end != "deactivated":
        # Who is a manager again has to make a new link: the old one was withdrawn.
        members.set_role(actor=max_, project=project, user=second, role="manager")
        with pytest.raises(InvitationUnusable):
            joining.find_invitation(spare)


def test_an_invitation_works_once(project, max_):
    _, token = members.invite(actor=max_, project=project, role="annotator")
    user = joining.accept_invitation(token=token, username="newcomer", password="a long enough one")
    assert Membership.objects.get(project=project, user=user).role == "annotator"
    with pytest.raises(InvitationUnusable):
        joining.accept_invitation(token=token, username="second", password="a long enough one")
    assert not User.objects.filter(username="second").exists()


def test_only_the_hash_of_a_token_is_stored(project, max_):
    invitation, token = members.invite(actor=max_, project=project, role="reviewer")
    stored = " ".join(str(v) for v in Invitation.objects.filter(pk=invitation.pk).values().get().values())
    assert token not in stored


def test_expired_and_withdrawn_invitations_are_refused(project, max_):
    expired, expired_token = members.invite(actor=max_, project=project, role="annotator")
    past = timezone.now() - timedelta(days=30)
    Invitation.objects.filter(pk=expired.pk).update(created_at=past, expires_at=past + timedelta(days=1))
    withdrawn, withdrawn_token = members.invite(actor=max_, project=project, role="annotator")
    members.withdraw_invitation(actor=max_, invitation=withdrawn)
    for token in (expired_token, withdrawn_token, "guess"):
        with pytest.raises(InvitationUnusable):
            joining.accept_invitation(token=token, username="newcomer", password="a long enough one")
    assert not User.objects.filter(username="newcomer").exists()


@pytest.mark.parametrize(
    ("username", "password", "field"),
    [
        ("max", "a long enough one", "username"),
        ("MAX", "a long enough one", "username"),
        ("bad name!", "a long enough one", "username"),
        ("new", "short", "password"),
    ],
)
def test_a_bad_account_is_refused_at_its_field_and_the_invitation_stays_usable(
    project, max_, username, password, field
):
    _, token = members.invite(actor=max_, project=project, role="annotator")
    with pytest.raises(ActionError) as caught:
        joining.accept_invitation(token=token, username=username, password=password)
    assert field in caught.value.fields
    assert joining.find_invitation(token)


def test_a_project_keeps_a_manager(project, max_, ada):
    with pytest.raises(LastManager):
        members.set_role(actor=max_, project=project, user=max_, role="annotator")
    with pytest.raises(LastManager):
        members.remove_member(actor=max_, project=project, user=max_)
    members.set_role(actor=max_, project=project, user=ada, role="manager")
    members.set_role(actor=max_, project=project, user=max_, role="annotator")
    assert project.memberships.get(role="manager").user == ada


def test_who_cannot_log_in_is_no_manager_to_leave_a_project_to(project, max_, ada):
    robot = accounts.create_machine_annotator(actor=max_, project=project, name="robot", kind="simulated")
    with pytest.raises(ActionError, match="can only annotate"):
        members.set_role(actor=max_, project=project, user=robot, role="manager")
    members.set_role(actor=max_, project=project, user=ada, role="manager")
    User.objects.filter(pk=ada.pk).update(is_active=False)
    with pytest.raises(LastManager):
        members.remove_member(actor=max_, project=project, user=max_)


def test_settings_and_guidelines_change_by_new_versions(project, max_):
    actions.change_question_settings(actor=max_, project=project, allow_ties=False, ask_rationale=True)
    actions.publish_guideline(actor=max_, project=project, text="New words.")
    assert list(project.question_settings.order_by("version").values_list("version", "allow_ties")) == [
        (1, True),
        (2, False),
    ]
    assert project.guidelines.count() == 2


def test_the_audit_trail_cannot_be_changed_even_past_the_orm(project):
    event = AuditEvent.objects.get(action="project.create")
    for sql in ("UPDATE workspace_auditevent SET action = 'x'", "DELETE FROM workspace_auditevent"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    assert AuditEvent.objects.get(pk=event.pk).action == "project.create"


def test_the_database_refuses_what_forms_would(project, ada):
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.filter(user=ada).update(role="owner")
    with pytest.raises(IntegrityError), transaction.atomic():
        Project.objects.filter(pk=project.pk).update(overlap=0)
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(project=project, user=ada, role="manager")


def test_nobody_logs_in_as_a_machine(project, max_, client):
    robot = accounts.create_machine_annotator(actor=max_, project=project, name="robot", kind="simulated")
    assert not robot.has_usable_password()
    with pytest.raises(ActionError):
        accounts.create_machine_annotator(actor=max_, project=project, name="max", kind="simulated")
    with pytest.raises(ActionError):
        accounts.create_machine_annotator(actor=max_, project=project, name="other", kind="person")


def test_an_imported_annotator_is_an_inactive_account_with_an_audit_row_and_no_membership(project, max_):
    user = accounts.create_imported_annotator(
        actor=max_, project=project, pseudonym="annotator-7", kind="person"
    )
    assert (user.pseudonym, user.kind, user.is_active) == ("annotator-7", "person", False)
    assert not user.has_usable_password() and not user.memberships.exists()
    event = AuditEvent.objects.get(action="imported_annotator.create")
    assert (event.actor, event.project, event.target_id) == (max_, project, str(user.pk))


def test_a_new_password_makes_the_old_one_useless_and_is_written_down(db):
    user, first = accounts.create_or_reset_account(username="guest")
    again, second = accounts.create_or_reset_account(username="guest")
    assert again == user
    assert again.check_password(second) and not again.check_password(first)
    events = AuditEvent.objects.filter(actor=user).order_by("pk")
    assert [event.action for event in events] == ["user.create", "user.set_password"]


def test_of_versioned_rows_the_latest_is_the_highest_version(project, max_):
    assert project.guidelines.latest_version().version == 1
    new = actions.publish_guideline(actor=max_, project=project, text="Prefer the shorter one.")
    assert project.guidelines.latest_version() == new
    project.question_settings.all().delete()
    assert project.question_settings.latest_version() is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("new", "new-1"),
        ("New!", "new-1"),
        ("مطبخ", "project-1"),
        ("厨房", "project-1"),
        ("Küche", "kuche"),
    ],
)
def test_a_project_may_be_called_new_or_be_in_any_script(client, max_, name, slug):
    project = actions.create_project(actor=max_, name=name)
    assert (project.name, project.slug) == (name, slug)
    client.force_login(max_)
    assert client.get(f"/projects/{slug}/", follow=True).status_code == 200
    assert find_project(name) == find_project(slug) == project
    other = actions.create_project(actor=max_, name="事")
    assert other.slug != slug
