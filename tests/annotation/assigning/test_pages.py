"""The pages, the commands and the API of who gets what do the same."""

import json
from datetime import date

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.assigning.actions import batch_audience, member_work, project_daily_limit, set_member_work
from annotation.assigning.words import audience_words
from annotation.models import Batch, DayCount
from workspace.models import Membership, User

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def manager(client, max_):
    client.force_login(max_)
    return client


def fields_of(page):
    """What a form of the page would send back unchanged."""
    form = page.context["form"]
    return {name: form[name].value() for name in form.fields if form[name].value() not in (None, [])}


def test_a_managers_forms_change_a_member_a_batch_and_the_day(manager, ada, ruth, project, make_batch):
    membership, batch = Membership.objects.get(user=ada), make_batch(tasks=2)
    address = reverse("annotation:member_work", args=[project.slug, membership.pk])
    form = fields_of(manager.get(address)) | {
        "groups": "Experts, night shift,",
        "skills": "German",
        "daily_limit": "7",
    }
    assert manager.post(address, form).status_code == 302
    assert member_work(membership) == {
        "groups": ["experts", "night shift"], "skills": ["german"], "daily_limit": 7,
    }  # fmt: skip
    # The same page again, as it was before: it would undo what was saved meanwhile.
    again = manager.post(address, form | {"groups": ""})
    assert again.status_code == 409 and b"Changed meanwhile" in again.content
    address = reverse("annotation:batch_audience", args=[project.slug, batch.pk])
    form = fields_of(manager.get(address)) | {
        "people": ["ruth"], "groups": ["experts"], "skills": ["german"], "skills_asked": "all", "person_quota": "5",
    }  # fmt: skip
    assert manager.post(address, form).status_code == 302
    assert batch_audience(Batch.objects.get()) == {
        "people": ["ruth"], "groups": ["experts"], "skills": ["german"], "skills_asked": "all", "person_quota": 5,
        "priority": batch.priority,
    }  # fmt: skip
    said = "for ruth, the group experts; needs german; at most 5 a person"
    assert said in manager.get(reverse("annotation:batch", args=[project.slug, batch.pk])).content.decode()
    overview = reverse("annotation:assigning", args=[project.slug])
    page = manager.get(overview)
    assert said in page.content.decode() and "night shift" in page.content.decode()
    assert "31 Mar 2026" not in page.content.decode()
    DayCount.objects.bulk_create(
        DayCount(project=project, annotator_id=User.objects.get(username="ruth").pk, day=day, judged=3)
        for day in (date(2026, 3, 31), date(2026, 2, 1))
    )
    page = manager.get(overview)
    assert "31 Mar 2026" in page.content.decode()
    assert manager.post(overview, fields_of(page) | {"daily_limit": "50"}).status_code == 302
    assert project_daily_limit(project) == 50
    assert manager.post(overview, fields_of(manager.get(overview)) | {"daily_limit": ""}).status_code == 302
    assert project_daily_limit(project) is None


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"daily_limit": "0"}, "whole number from 1"),
        ({"daily_limit": "many"}, "whole number from 1"),
        ({"groups": "x" * 41}, "At most 40 characters"),
        ({"skills": ",".join(f"s{n}" for n in range(41))}, "At most 40"),
    ],
)
def test_what_does_not_fit_is_said_and_what_was_typed_stays(manager, ada, project, typed, said):
    membership = Membership.objects.get(user=ada)
    address = reverse("annotation:member_work", args=[project.slug, membership.pk])
    page = manager.post(address, fields_of(manager.get(address)) | {"groups": "kept"} | typed)
    assert page.status_code == 422 and said in page.content.decode()
    assert next(iter(typed.values())) in page.content.decode()
    assert member_work(membership)["groups"] == []


def test_the_commands_do_the_same(ada, project, make_batch, capsys):
    batch = make_batch(tasks=1)
    call_command("set_member_work", project.slug, "ada", "--groups", "experts", "--daily-limit", "9")
    assert "groups experts; skills none; 9 tasks a day" in capsys.readouterr().out
    call_command("set_audience", project.slug, batch.name, "--groups", "experts", "--person-quota", "3")
    assert audience_words(Batch.objects.get()) == "for the group experts; at most 3 a person"
    call_command("set_daily_limit", project.slug, "50")
    assert "at most 50 tasks a person a day" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no member olga"):
        call_command("set_member_work", project.slug, "olga")
    with pytest.raises(CommandError, match="No member has the skill"):
        call_command("set_audience", project.slug, batch.name, "--skills", "welsh")


def test_the_api_does_the_same_and_says_what_is_wrong(manager, ada, max_, project, make_batch):
    batch, membership = make_batch(tasks=1), Membership.objects.get(user=ada)

    def patch(address, body):
        return manager.patch(
            f"/api/v1/projects/{project.slug}/{address}", json.dumps(body), content_type="application/json"
        )

    set_member_work(actor=max_, project=project, membership=membership, skills=["german"])
    answer = patch(f"members/{membership.pk}/work", {"groups": ["Experts"]})
    assert answer.json() == {"groups": ["experts"], "skills": ["german"], "daily_limit": None}
    answer = patch(f"batches/{batch.pk}/audience", {"skills": ["german"], "person_quota": 4})
    assert (answer.json()["skills"], answer.json()["person_quota"]) == (["german"], 4)
    refused = patch(f"batches/{batch.pk}/audience", {"people": ["nobody"]})
    assert (refused.status_code, refused.json()["code"]) == (400, "no_such_person")
    assert patch(f"batches/{batch.pk}/audience", {"person_quota": 0}).json()["person_quota"] is None
