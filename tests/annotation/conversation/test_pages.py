"""What the pages of conversations show and take, without a browser."""

import json

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.conversation.actions import advance, send_message
from annotation.models import Batch, LiveBatch, Source

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def post(client, project, talk):
    def post(name, **data):
        address = reverse(f"annotation:{name}", kwargs={"slug": project.slug, "public_id": talk.public_id})
        return client.post(address, json.dumps(data), content_type="application/json")

    return post


def test_the_state_is_blind_and_says_what_is_written_so_far(client, post, talk, ada, writer):
    client.force_login(ada)
    assert post("conversation_state").json() == {
        "finished": 0, "turn": None, "ended": False, "max_turns": 3, "may_write": True, "html": "",
    }  # fmt: skip
    assert post("conversation_message", text="Hello", number=1).status_code == 200
    writer.lay_down("old", "writing", "Hi, I a")
    writer.lay_down("new", "loading", message="The model is being loaded.")
    answer = post("conversation_state", known=0)
    turn = talk.turns.get()
    said = {entry["label"]: entry for entry in answer.json()["turn"]["answers"]}
    assert said["AB"[turn.shown_first]]["text"] == "Hi, I a"
    assert said["BA"[turn.shown_first]]["message"] == "The model is being loaded."
    assert "html" not in answer.json() and not answer.json()["may_write"]
    assert not {"old", "new", "temperature", "seed"} & set(
        json.dumps(answer.json()).replace('"', " ").split()
    )


def test_a_refused_message_says_why_and_changes_nothing(client, post, talk, ada):
    client.force_login(ada)
    answer = post("conversation_message", text="", number=1)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_text")
    assert not talk.turns.exists()
    client.logout()
    assert post("conversation_message", text="Hello", number=1).status_code == 401


def test_a_manager_opens_a_batch_by_the_page_and_reads_what_was_said(
    client, project, criterion, max_, ada, ruth, writer, talk, live
):
    client.force_login(max_)
    address = reverse("annotation:new_live_batch", kwargs={"slug": project.slug})
    old, new = Source.objects.get(name="old"), Source.objects.get(name="new")
    fields = {
        "name": "More", "criterion": criterion.pk, "quota": 5, "first_source": old.pk, "second_source": new.pk,
        "first_temperature": 0.5, "second_temperature": 1, "top_p": 1, "max_turns": 4, "max_response_tokens": 100,
        "max_message_characters": 500, "openers": "One\n\nTwo\n",
    }  # fmt: skip
    assert client.post(address, fields | {"first_temperature": 0}).status_code == 422
    assert client.post(address, fields | {"name": "Talk"}).status_code == 422  # taken
    assert client.post(address, fields).status_code == 302
    more = LiveBatch.objects.get(batch__name="More")
    assert (more.openers, more.first_temperature, more.batch.quota) == (["One", "Two"], 0.5, 5)
    send_message(actor=ada, conversation=talk, text="What <b>now</b>?", number=1)
    writer.lay_down("old", "done", "Rice.")
    writer.lay_down("new", "failed", message="It broke.")
    advance(actor=ada, conversation=talk)
    listed = reverse("annotation:live_batch", kwargs={"slug": project.slug, "pk": live.batch_id})
    assert "1 turn, 0 judged" in client.get(listed).content.decode()
    page = client.get(f"{listed}{talk.pk}/").content.decode()
    assert "Rice." in page and "It broke." in page and "old, temperature 1.0" in page
    assert "<b>now</b>" not in page
    client.force_login(ruth)  # who may judge as well, and must not learn which is which
    seen = client.get(f"{listed}{talk.pk}/").content.decode() + client.get(listed).content.decode()
    assert "Rice." in seen and "temperature" not in seen
    client.force_login(max_)
    assert client.get(f"{listed}{talk.pk + 1}/").status_code == 404


def test_the_command_opens_a_batch_of_one_policy_at_two_temperatures(project, max_, writer, live):
    call_command(
        "open_live_batch",
        project.slug,
        "Warm",
        policy=["old"],
        temperature=[0.5, 1.5],
        quota=3,
        opener=["Hi"],
    )
    warm = LiveBatch.objects.get(batch__name="Warm")
    assert [(source.name, temperature) for source, temperature in warm.sides] == [("old", 0.5), ("old", 1.5)]
    assert warm.batch.state == Batch.State.OPEN


def test_the_first_page_names_conversations_only_where_there_are_some(client, project, ada, criterion):
    client.force_login(ada)
    address = reverse("annotation:overview", kwargs={"slug": project.slug})
    assert "Conversations with two models" not in client.get(address).content.decode()


def test_the_list_offers_the_open_conversation_again(client, project, ada, talk):
    client.force_login(ada)
    page = client.get(reverse("annotation:conversations", kwargs={"slug": project.slug})).content.decode()
    assert "Go on with your conversation" in page and "Ask for something to cook." in page
