"""Tokens of the API: stored hashed, shown once, scoped, expiring, revoked."""

import hashlib
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.urls import reverse
from django.utils import timezone

from workspace.actions import create_project
from workspace.members import remove_member, set_role
from workspace.models import ApiToken, AuditEvent
from workspace.tokens.actions import TokenRefused, create_token, revoke_token

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def make(actor, project, **fields):
    given = {"name": "script", "scope": "read", "role": "annotator", "days": 30}
    return create_token(actor=actor, project=project, **given | fields)


def test_only_the_hash_is_stored_and_the_text_is_256_bits(project, ada):
    token, text = make(ada, project)
    stored = ApiToken.objects.filter(pk=token.pk).values().get()
    assert stored["token_hash"] == hashlib.sha256(text.encode()).hexdigest()
    assert text not in str(stored)
    assert text.startswith(token.prefix) and len(text.removeprefix(token.prefix)) >= 43
    assert stored["expires_at"] - stored["created_at"] >= timedelta(days=29)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"days": 0}, "days"),
        ({"days": 367}, "days"),
        ({"scope": "all"}, "scope"),
        ({"role": "owner"}, "role"),
        ({"role": "manager"}, "role"),
    ],
)
def test_what_fits_no_token_is_refused(project, ada, fields, where):
    with pytest.raises(TokenRefused) as refused:
        make(ada, project, **fields)
    assert set(refused.value.fields) == {where}
    assert not ApiToken.objects.exists()


def test_a_token_that_asks_reward_models_is_a_managers_and_tells_nothing_else(client, project, max_, ada):
    for actor, role in ((max_, "annotator"), (max_, "reviewer"), (ada, "manager")):
        with pytest.raises(TokenRefused) as refused:
            make(actor, project, scope="score", role=role)
        assert refused.value.code == "role_unfit"
    _, text = make(max_, project, scope="score", role="manager")
    headers = {"Authorization": f"Bearer {text}"}
    for address in (f"projects/{project.slug}", f"projects/{project.slug}/reward-models"):
        assert client.get(f"/api/v1/{address}", headers=headers).status_code == 404
    assert client.get("/api/v1/projects", headers=headers).json()["results"] == []


def test_nobody_makes_a_token_for_a_project_that_is_not_theirs(project, olga):
    with pytest.raises(TokenRefused):
        make(olga, project)


def test_nobody_has_more_than_fifty(project, ada):
    for _ in range(50):
        make(ada, project)
    with pytest.raises(TokenRefused):
        make(ada, project)
    revoke_token(actor=ada, token=ApiToken.objects.first())
    make(ada, project)


def test_making_and_revoking_leave_a_trace(project, ada):
    token, _ = make(ada, project)
    revoke_token(actor=ada, token=token)
    traces = AuditEvent.objects.filter(action__startswith="token.").order_by("pk")
    assert [(trace.action, trace.actor, trace.target_id) for trace in traces] == [
        ("token.create", ada, str(token.pk)),
        ("token.revoke", ada, str(token.pk)),
    ]
    with pytest.raises(TokenRefused):
        revoke_token(actor=ada, token=token)


def test_the_owner_and_the_projects_managers_revoke_and_nobody_else(project, ada, ruth, max_, olga):
    for other in (ruth, olga):
        with pytest.raises(TokenRefused):
            revoke_token(actor=other, token=make(ada, project)[0])
    revoke_token(actor=max_, token=make(ada, project)[0])
    with pytest.raises(TokenRefused):
        revoke_token(actor=max_, token=make(ada, None)[0])


def test_who_is_removed_does_not_find_their_tokens_alive_when_they_come_back(project, ada, max_):
    token, _ = make(ada, project)
    everywhere, _ = make(ada, None)
    remove_member(actor=max_, project=project, user=ada)
    set_role(actor=max_, project=project, user=ada, role="annotator")
    assert list(ApiToken.objects.usable()) == [everywhere]
    token.refresh_from_db()
    assert token.revoked_at is not None


@pytest.mark.parametrize("fields", [{"scope": "all"}, {"role": "owner"}, {"name": ""}])
def test_the_database_refuses_what_is_no_token(project, ada, fields):
    token, _ = make(ada, project)
    with pytest.raises(IntegrityError):
        ApiToken.objects.filter(pk=token.pk).update(**fields)


def test_a_token_expires(project, ada):
    token, _ = make(ada, project)
    ApiToken.objects.filter(pk=token.pk).update(
        created_at=timezone.now() - timedelta(days=2), expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert not ApiToken.objects.usable().exists()


def test_the_page_shows_a_new_token_once(client, project, ada):
    client.force_login(ada)
    page = reverse("workspace:tokens")
    form = {"name": "loader", "project": project.pk, "scope": "write", "role": "annotator", "days": 7}
    assert client.post(page, form).status_code == 302
    token = ApiToken.objects.get()
    shown = client.get(page).content.decode()
    text = shown.partition('id="new-token" value="')[2].partition('"')[0]
    assert hashlib.sha256(text.encode()).hexdigest() == token.token_hash
    again = client.get(page).content.decode()
    assert text not in again and token.prefix in again
    assert client.post(reverse("workspace:revoke_token", args=[token.pk])).status_code == 302
    assert token.prefix not in client.get(page).content.decode()


def test_the_form_says_what_does_not_fit(client, project, ada):
    client.force_login(ada)
    form = {"name": "loader", "project": project.pk, "scope": "read", "role": "manager", "days": 7}
    answer = client.post(reverse("workspace:tokens"), form)
    assert answer.status_code == 422
    assert "cannot be manager of Kitchen" in answer.content.decode()
    other = create_project(actor=project.memberships.get(role="manager").user, name="Cellar")
    answer = client.post(reverse("workspace:tokens"), form | {"project": other.pk, "role": "annotator"})
    assert answer.status_code == 422
    assert not ApiToken.objects.exists()


def test_a_manager_finds_and_revokes_tokens_of_the_project_on_its_page(client, project, ada, ruth, max_):
    token, _ = make(ada, project, name="adas-script")
    page = reverse("workspace:people", args=[project.slug])
    client.force_login(max_)
    assert "adas-script" in client.get(page).content.decode()
    client.force_login(ruth)
    assert client.post(reverse("workspace:revoke_token", args=[token.pk])).status_code == 404
    client.force_login(max_)
    answer = client.post(reverse("workspace:revoke_token", args=[token.pk]), {"next": page})
    assert answer["Location"] == page
    away = client.post(
        reverse("workspace:revoke_token", args=[make(ada, project)[0].pk]), {"next": "https://example.org/"}
    )
    assert away["Location"] == reverse("workspace:tokens")
    assert not ApiToken.objects.usable().exists()


def test_the_command_prints_a_token_of_the_actor(project, max_):
    out = StringIO()
    call_command("create_token", project.slug, "nightly", "--scope", "write", "--days", "5", stdout=out)
    token = ApiToken.objects.get(token_hash=hashlib.sha256(out.getvalue().strip().encode()).hexdigest())
    assert (token.user, token.project, token.scope, token.role) == (max_, project, "write", "manager")
    with pytest.raises(CommandError):
        call_command("create_token", project.slug, "nightly", "--days", "5000")
