"""The page of a project's people: members, invitations and their links."""

import json
import re
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone

from workspace import joining, members
from workspace.models import Invitation

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_a_member_of_another_project_is_not_found_through_mine(client, project, max_, olga):
    theirs = olga.memberships.get()
    client.force_login(max_)
    answer = client.post(reverse("workspace:change_member", args=["kitchen", theirs.pk]), {"role": "remove"})
    assert answer.status_code == 404
    assert olga.memberships.count() == 1


def test_a_manager_invites_and_the_newcomer_lands_on_the_task_list(client, project, max_):
    client.force_login(max_)
    page = client.post(
        reverse("workspace:invite", args=["kitchen"]), {"role": "annotator", "note": "Nia"}, follow=True
    )
    link = re.search(r"/invitations/[\w-]+/", page.content.decode()).group()
    client.logout()
    assert client.get(link).status_code == 200
    answer = client.post(link, {"username": "nia", "password": "a long enough one"}, follow=True)
    assert answer.redirect_chain[-1][0] == reverse("annotation:overview", args=["kitchen"])
    client.logout()
    assert client.get(link).status_code == 410


def test_loading_the_page_again_makes_no_second_invitation_and_hides_the_link(client, project, max_):
    client.force_login(max_)
    people = reverse("workspace:people", args=["kitchen"])
    answer = client.post(reverse("workspace:invite", args=["kitchen"]), {"role": "annotator"})
    assert (answer.status_code, answer["Location"]) == (302, people)
    assert "/invitations/" in client.get(people).context["link"]
    assert client.get(people).context["link"] == ""
    assert Invitation.objects.count() == 1


def test_an_expired_invitation_is_not_listed_as_open(client, project, max_):
    old, _ = members.invite(actor=max_, project=project, role="annotator", note="Old")
    members.invite(actor=max_, project=project, role="annotator", note="New")
    past = timezone.now() - timedelta(days=9)
    Invitation.objects.filter(pk=old.pk).update(created_at=past, expires_at=past + timedelta(days=7))
    client.force_login(max_)
    page = client.get(reverse("workspace:people", args=["kitchen"]))
    assert [invitation.note for invitation in page.context["invitations"]] == ["New"]


def test_a_changed_role_a_removal_and_a_withdrawal_are_confirmed_in_words(client, project, max_, ada):
    invitation, _ = members.invite(actor=max_, project=project, role="annotator")
    membership = project.memberships.get(user=ada)
    client.force_login(max_)
    change = reverse("workspace:change_member", args=["kitchen", membership.pk])
    withdraw = reverse("workspace:withdraw_invitation", args=["kitchen", invitation.pk])
    said = []
    for address, data in ((change, {"role": "reviewer"}), (withdraw, {}), (change, {"role": "remove"})):
        answer = client.post(address, data, follow=True)
        said += [str(message) for message in answer.context["messages"]]
    assert said == [
        "ada is reviewer now.",
        "The invitation is withdrawn: its link does not work any more.",
        "ada is no longer on the project; what they judged stays.",
    ]


def test_the_link_of_an_invitation_is_nowhere_in_the_database(client, project, max_):
    client.force_login(max_)
    client.post(reverse("workspace:invite", args=["kitchen"]), {"role": "annotator"})
    token = client.get(reverse("workspace:people", args=["kitchen"])).context["link"].split("/")[-2]
    client.post(reverse("workspace:invite", args=["kitchen"]), {"role": "annotator"})
    # The second link was not looked at yet: it waits in the browser that made it, and a script cannot read it.
    for session in Session.objects.all():
        assert "invitations" not in json.dumps(session.get_decoded())
    (cookie,) = [cookie for name, cookie in client.cookies.items() if name.startswith("invitation-link-")]
    assert cookie["httponly"] and cookie["samesite"] == "Strict"
    assert cookie["path"] == reverse("workspace:people", args=["kitchen"])
    assert token not in cookie.value
    client.cookies[cookie.key] = cookie.value.replace(
        "invitations", "elsewhere"
    )  # not one that the site wrote
    assert client.get(reverse("workspace:people", args=["kitchen"])).context["link"] == ""


def test_who_was_removed_is_told_so_and_a_stranger_is_not(client, project, max_, ada, olga):
    page = reverse("annotation:annotate", args=["kitchen"])
    members.remove_member(actor=max_, project=project, user=ada)
    told = "You are no longer a member of “Kitchen”"
    for who, is_told in ((ada, True), (olga, False)):
        client.force_login(who)
        answer = client.get(page)
        assert answer.status_code == 404 and (told in answer.content.decode()) == is_told
        answer = client.post(
            reverse("annotation:next_task", args=["kitchen"]), "{}", content_type="application/json"
        )
        assert answer.json()["code"] == ("not_a_member" if is_told else "not_found")
        assert (told in answer.json()["message"]) == is_told
    # Invited again, ada is a member like any other; as a reviewer may not do everything, and hears nothing of this.
    members.set_role(actor=max_, project=project, user=ada, role="annotator")
    client.force_login(ada)
    assert client.get(page).status_code == 200
    assert told not in client.get(reverse("workspace:people", args=["kitchen"])).content.decode()


def test_several_people_are_invited_at_once_with_a_link_each(client, project, max_):
    client.force_login(max_)
    address, notes = reverse("workspace:invite", args=["kitchen"]), "Nia\r\n\r\n  Omar Å.  \r\nPia: Monday"
    page = client.post(address, {"role": "reviewer", "note": notes}, follow=True)
    listed = re.search(
        r"<textarea[^>]*id=\"invitation-links\"[^>]*>(.*?)</textarea>", page.content.decode(), re.S
    )
    rows = [line.rsplit(": ", 1) for line in listed.group(1).strip().splitlines()]
    assert [note for note, _ in rows] == ["Nia", "Omar Å.", "Pia: Monday"]
    tokens = [link.rstrip("/").rsplit("/", 1)[1] for _, link in rows]
    found = [joining.find_invitation(token) for token in tokens]
    assert [(row.note, row.role) for row in found] == [(note, "reviewer") for note, _ in rows]
    again = client.get(reverse("workspace:people", args=["kitchen"])).content.decode()
    assert not any(token in again for token in tokens)  # shown once
    for bad in ("\n".join(map(str, range(41))), "x" * 121):
        assert client.post(address, {"role": "reviewer", "note": bad}).status_code == 422
    assert Invitation.objects.count() == 3
