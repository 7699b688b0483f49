"""A guideline that has to be confirmed: nobody gets a task before, and nothing of what they have is lost."""

import pytest
from django.urls import reverse

from annotation.assigning.acknowledging import (
    acknowledge_guideline,
    publish_to_acknowledge,
    readers_of,
    require_acknowledgement,
)
from annotation.assigning.actions import set_batch_audience, set_daily_limit
from annotation.errors import AcknowledgementNeeded, InvalidAssigning
from annotation.judging.actions import submit_judgment
from annotation.judging.content import JudgmentInput
from annotation.models import Acknowledgement
from annotation.queue.actions import claim_task
from tests.annotation.annotator.test_one_request import answer, post
from workspace.actions import publish_guideline
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_a_new_version_is_confirmed_before_the_next_task_and_never_before_a_judgment(
    ada, ruth, max_, project, make_batch, key
):
    make_batch(tasks=3)
    held = claim_task(actor=ada, project=project)
    new = publish_to_acknowledge(actor=max_, project=project, text="Be kind.", must_acknowledge=True)
    with pytest.raises(AcknowledgementNeeded):
        claim_task(actor=ada, project=project)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])
    submit_judgment(actor=ada, assignment=held, content=content, idempotency_key=key())
    acknowledge_guideline(actor=ada, project=project, version=new.version)
    assert claim_task(actor=ada, project=project) is not None
    with pytest.raises(AcknowledgementNeeded):
        claim_task(actor=ruth, project=project)  # everybody for themselves


def test_a_version_without_the_mark_asks_nobody(ada, max_, project, make_batch):
    make_batch(tasks=1)
    publish_to_acknowledge(actor=max_, project=project, text="One more comma.")
    assert claim_task(actor=ada, project=project) is not None


def test_a_later_version_without_the_mark_confirms_the_earlier_one_with_it(ada, max_, project, make_batch):
    make_batch(tasks=1)
    publish_to_acknowledge(actor=max_, project=project, text="Be kind.", must_acknowledge=True)
    latest = publish_guideline(actor=max_, project=project, text="Be kind!")
    acknowledge_guideline(actor=ada, project=project, version=latest.version)
    assert claim_task(actor=ada, project=project) is not None


def test_an_outdated_version_confirms_nothing(ada, max_, project):
    first = publish_to_acknowledge(actor=max_, project=project, text="One.", must_acknowledge=True)
    publish_to_acknowledge(actor=max_, project=project, text="Two.", must_acknowledge=True)
    for version in (first.version, 99):
        with pytest.raises(InvalidAssigning, match="changed again"):
            acknowledge_guideline(actor=ada, project=project, version=version)
    with pytest.raises(InvalidAssigning, match="in force"):
        require_acknowledgement(actor=max_, project=project, version=first.version)
    assert not Acknowledgement.objects.exists()


def test_managers_see_who_has_not_and_each_confirmation_is_one_row(ada, ruth, max_, project):
    assert readers_of(project, 1) is None
    new = publish_to_acknowledge(actor=max_, project=project, text="Be kind.", must_acknowledge=True)
    for _ in range(2):
        acknowledge_guideline(actor=ada, project=project, version=new.version)
    readers = readers_of(project, new.version)
    assert [(reader.username, reader.confirmed_at is not None) for reader in readers] == [
        ("max", False), ("ruth", False), ("ada", True),
    ]  # fmt: skip
    assert AuditEvent.objects.filter(action="guideline.confirm", actor=ada).count() == 1


def test_the_work_page_shows_what_changed_and_goes_on_when_it_is_confirmed(
    client, ada, max_, project, make_batch, key
):
    client.force_login(ada)
    make_batch(tasks=3)
    publish_guideline(actor=max_, project=project, text="Be short.\n\nBe right.")
    first = post(client, project, "next_task").json()
    new = publish_to_acknowledge(
        actor=max_, project=project, text="Be brief.\n\nBe right.", must_acknowledge=True
    )
    stored = post(
        client, project, "submit", answer(key(), claim_next={}, guideline_version=new.version - 1),
        public_id=first["public_id"],
    )  # fmt: skip
    assert stored.status_code == 201
    said = stored.json()["next"]
    assert said["public_id"] is None
    assert "<ins>brief</ins>" in said["html"] and "<del>short</del>" in said["html"]
    refused = post(client, project, "acknowledge", {"version": "x"})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")
    assert post(client, project, "acknowledge", {"version": new.version}).status_code == 201
    assert post(client, project, "next_task").json()["public_id"]


def test_the_page_of_a_version_names_who_has_not_confirmed_it_and_asks_them(client, ada, max_, project):
    publish_guideline(actor=max_, project=project, text="Be kind.")
    client.force_login(max_)
    address = reverse("annotation:guideline_version", args=[project.slug, 2])
    assert b"Ask everybody to confirm it" in client.get(address).content
    asked = client.post(reverse("annotation:ask_to_confirm", args=[project.slug, 2]), follow=True)
    assert b"Not yet" in asked.content and b"Ask everybody to confirm it" not in asked.content


def test_the_settings_form_asks_for_it_unless_it_is_unticked(client, max_, project):
    client.force_login(max_)
    address = reverse("annotation:settings", args=[project.slug])
    assert b'name="must_acknowledge"' in client.get(address).content
    for ticked, asked in (({"must_acknowledge": "on"}, True), ({}, False)):
        version = project.guidelines.latest_version().version
        form = {"change": "guideline", "text": f"Version {version}", "version": version} | ticked
        assert client.post(address, form).status_code == 302
        assert (readers_of(project, version + 1) is not None) == asked


def test_the_day_that_is_done_is_said_and_nothing_of_others(client, ada, max_, project, make_batch, key):
    client.force_login(ada)
    batch = make_batch(tasks=4)
    set_daily_limit(actor=max_, project=project, daily_limit=1)
    first = post(client, project, "next_task").json()
    assert first["progress"]["remaining"] == 1
    stored = post(
        client, project, "submit", answer(key(), claim_next={}), public_id=first["public_id"]
    ).json()
    page = stored["next"]["html"]
    assert "Done for today" in page and "today&#x27;s one task; more tomorrow from 00:00" in page
    set_daily_limit(actor=max_, project=project, daily_limit=0)
    set_batch_audience(actor=max_, batch=batch, person_quota=1)
    page = post(client, project, "next_task").json()["html"]
    assert "Your share is done" in page and batch.name not in page
