"""Two people who change the same settings: the slower sees both versions, and nothing is overwritten unseen."""

import threading

import pytest
from django.db import connection, transaction
from django.urls import reverse

from workspace.models import AuditEvent, Project
from workspace.project_settings import SPLITS, set_splits, set_time_zone
from workspace.shown_values import ChangedMeanwhile, digest_of, shown_of

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_a_digest_is_of_values_and_not_of_their_order():
    values = {"name": "Tea “é”", "tags": {"a": 1, "b": 2}, "share": 0.5, "on": False, "kinds": ["x"]}
    again = dict(reversed(values.items())) | {"tags": {"b": 2, "a": 1}}
    assert digest_of(values) == digest_of(again)
    for name, other in (("name", "Tea"), ("share", 0.25), ("on", True), ("kinds", ["x", "y"]), ("tags", {})):
        assert digest_of(values | {name: other}) != digest_of(values)


def test_the_division_of_prompts_is_not_overwritten_unseen(client, project, max_):
    client.force_login(max_)
    settings = reverse("annotation:settings", args=[project.slug])
    page = reverse("workspace:set_splits", args=[project.slug])
    shown = client.get(settings).context["splits_form"]["shown"].value()
    set_splits(actor=max_, project=project, validation_share=0.05, test_per_tag={"*": 7})
    sent = {"train_share": "60", "validation_share": "10", "test_per_tag": "", "shown": shown}
    answer = client.post(page, sent)
    text = answer.content.decode()
    assert answer.status_code == 409 and answer.context["differences"] == [
        ("Train, %", "80", "60"), ("Validation, %", "5", "10"), ("Held out for each tag", "7", ""),
    ]  # fmt: skip
    assert "Somebody saved other values" in text and 'value="60"' in text
    project.refresh_from_db()
    assert (project.train_share, project.validation_share) == (0.8, 0.05)
    # What is wrong is said on the same page, again with what was typed.
    now = {"shown": answer.context["form"]["shown"].value()}
    answer = client.post(page, sent | now | {"train_share": "99"})
    assert answer.status_code == 422 and "do not fit" in answer.content.decode()
    assert client.post(page, sent | now).url == settings
    project.refresh_from_db()
    assert (project.train_share, project.validation_share, project.test_per_tag) == (0.6, 0.1, {})
    # A form that does not say what it showed changes nothing.
    assert client.post(page, {"train_share": "50", "validation_share": "10"}).status_code == 409


def test_an_action_without_what_was_shown_changes_only_what_it_is_given(project, max_):
    set_splits(actor=max_, project=project, train_share=0.5)
    stale = shown_of(project, SPLITS)
    changed = set_splits(actor=max_, project=project, near_duplicates_together=True)
    assert (changed.train_share, changed.validation_share) == (0.5, 0.1)
    with pytest.raises(ChangedMeanwhile):
        set_splits(actor=max_, project=project, train_share=0.7, shown=(stale,))
    set_splits(actor=max_, project=project, train_share=0.7, shown=("x", shown_of(changed, SPLITS)))
    with pytest.raises(ChangedMeanwhile):
        set_time_zone(actor=max_, project=project, time_zone="Europe/Berlin", shown=("x",))
    project.refresh_from_db()
    assert (project.train_share, project.near_duplicates_together, project.time_zone) == (0.7, True, "UTC")
    assert AuditEvent.objects.filter(action="project.set_splits").count() == 3


def test_a_program_says_what_it_read_of_a_project(program, project, max_):
    call, address = program(max_, project), f"projects/{project.slug}"
    read = call("GET", address)
    assert call("PATCH", address, {"description": "Ours"}, If_Match=read["ETag"]).status_code == 200
    for change in ({"description": "Mine"}, {"train_share": 0.7}, {"time_zone": "Europe/Berlin"}):
        refused = call("PATCH", address, change, If_Match=read["ETag"])
        assert (refused.status_code, refused.json()["code"]) == (412, "changed_meanwhile")
    project.refresh_from_db()
    assert (project.description, project.train_share, project.time_zone) == ("Ours", 0.8, "UTC")
    assert call("PATCH", address, {"train_share": 0.7}).json()["train_share"] == 0.7


@pytest.mark.django_db(transaction=True)
def test_it_is_compared_under_the_lock_of_the_row(project, max_):
    """The other's change is committed while this one waits: on both databases it is seen, and refused."""
    shown = shown_of(project, SPLITS)
    found = []

    def change():
        try:
            found.append(set_splits(actor=max_, project=project, train_share=0.3, shown=(shown,)))
        except ChangedMeanwhile as error:
            found.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=change)
    with transaction.atomic():
        set_splits(actor=max_, project=project, train_share=0.6)
        thread.start()
        thread.join(0.2)
    thread.join(60)
    assert isinstance(found[0], ChangedMeanwhile)
    assert Project.objects.get().train_share == 0.6
