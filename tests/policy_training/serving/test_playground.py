"""The playground's page and what its script calls, with a server that stands in for a policy's."""

import json
import re
from html import unescape

import pytest
from django.urls import reverse

from annotation.errors import InvalidText
from annotation.models import Judgment, Prompt, Response
from policy_training.models import PolicyServing
from policy_training.serving import playground
from tests.policy_training.serving.stand_in import done

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]

DIALOGUE = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Tea?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "Green?"},
]
DRAWN = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 64, "seed": 7, "answers": 2}


@pytest.fixture
def policy(make_served_policy):
    return make_served_policy("base")


@pytest.fixture
def call(client, project, max_):
    """(name of the address, policy, body) -> (status, answer), as the page's script of a manager."""
    client.force_login(max_)

    def call(name, policy, body):
        address = reverse(f"policies:playground_{name}", args=[project.slug, policy.pk])
        answer = client.post(address, body, content_type="application/json")
        return answer.status_code, answer.json()

    return call


def test_answers_are_asked_for_and_read_and_nothing_is_stored(policy, max_, stand_in, call):
    stand_in.serve(policy, max_)
    stand_in.queue.says = lambda answer: {"state": "writing", "text": "Ye"}
    status, begun = call("answers", policy, DRAWN | {"messages": DIALOGUE})
    assert status == 200
    ids = [answer["id"] for answer in begun["answers"]]
    assert [answer.id for answer in stand_in.queue.asked] == ids and len(set(ids)) == 2
    asked = stand_in.queue.asked[0]
    assert (asked.messages, asked.seed, asked.max_tokens) == (DIALOGUE, "7", 64)
    assert (asked.options.temperature, asked.options.top_p) == (0.7, 0.9)
    stand_in.queue.change(asked, **done("Yes, green.", tokens=3, ended=False, cut=True))
    _, told = call("state", policy, {"ids": ids})
    assert told["answers"] == [
        {
            "id": ids[0], "state": "done", "text": "Yes, green.", "tokens": 3, "ended": False,
            "max_tokens": 256, "prompt_cut": True,
        },
        {"id": ids[1], "state": "writing", "text": "Ye"},
    ]  # fmt: skip
    assert call("stop", policy, {"ids": ids})[0] == 200
    assert stand_in.queue.asked[1].cancelled
    assert not (Prompt.objects.exists() or Response.objects.exists() or Judgment.objects.exists())


def test_the_same_seed_is_the_same_answer_of_every_policy_and_another_seed_another(
    policy, make_served_policy, max_, stand_in, call
):
    other = make_served_policy("other")
    for one in (policy, other):
        stand_in.serve(one, max_)

    def ids(one, **changes):
        return [a["id"] for a in call("answers", one, DRAWN | {"messages": DIALOGUE} | changes)[1]["answers"]]

    assert ids(policy) == ids(policy) == ids(other)
    for change in ({"seed": 8}, {"temperature": 0.8}, {"messages": DIALOGUE[1:]}):
        assert not set(ids(policy)) & set(ids(policy, **change))


def test_what_cannot_be_answered_is_one_sentence(policy, max_, stand_in, call):
    def said(**changes):
        status, answer = call("answers", policy, DRAWN | {"messages": DIALOGUE} | changes)
        return status, answer["code"], answer["message"]

    assert said() == (400, "not_served", "“base” is not loaded: load it first.")
    PolicyServing.objects.create(policy=policy, state="waiting", requested_by=max_)
    assert said()[2] == "“base” is still being loaded: send it in a moment."
    stand_in.serve(policy, max_)
    for changes, words in (
        ({"temperature": 0}, "Temperature: a number from 0.01 to 10."),
        ({"temperature": None}, "Temperature: a number from 0.01 to 10."),
        ({"temperature": 10**400}, "Temperature: a number from 0.01 to 10."),
        ({"temperature": float("nan")}, "Temperature: a number from 0.01 to 10."),
        ({"top_p": 10**400}, "Top-p: a number from 0.01 to 1."),
        ({"top_p": 1.5}, "Top-p: a number from 0.01 to 1."),
        ({"answers": 5}, "Answers side by side: a number from 1 to 4."),
        ({"seed": -1}, "Seed: a number from 0 to 9,007,199,254,740,991."),
        ({"max_tokens": 100_000}, "Tokens of an answer of “base”: a number from 1 to"),
        ({"messages": DIALOGUE[:3]}, "ends with a turn of the assistant"),
        ({"messages": "Tea?"}, "has no messages"),
        ({"messages": [{"role": "tool", "content": "3"}]}, "Turn 1 is neither of the user nor the policy's."),
    ):
        status, _, message = said(**changes)
        assert (status, words in message) == (400, True), message
    assert stand_in.queue.asked == []
    stand_in.queue.max_waiting, stand_in.queue.says = 1, lambda answer: {"state": "writing"}
    assert said()[1] == "server_busy" and len(stand_in.queue.asked) == 1
    assert stand_in.queue.asked[0].cancelled  # the first of two answers is not written alone
    PolicyServing.objects.update(stop_requested=True)
    assert "is being unloaded" in said()[2]
    PolicyServing.objects.update(stop_requested=False, secret="another")
    assert said()[1] == "server_unreachable"
    PolicyServing.objects.update(address="127.0.0.1:9")
    assert said()[1:] == (
        "server_unreachable", "The server of “base” does not answer: try again in a moment.",
    )  # fmt: skip


def test_what_is_wrong_with_the_dialogue_is_named_in_the_readers_language(policy, monkeypatch):
    monkeypatch.setattr(playground, "gettext", str.upper)
    with pytest.raises(InvalidText, match="^THE DIALOGUE has no messages"):
        playground.read_playground_request(policy, DRAWN | {"messages": []})


def test_an_answer_that_failed_or_that_a_new_server_does_not_know_says_so(policy, max_, stand_in, call):
    stand_in.serve(policy, max_)
    stand_in.queue.says = lambda answer: {"state": "failed", "failure": "the template wants a user first."}
    _, begun = call("answers", policy, DRAWN | {"messages": DIALOGUE})
    first, second = (answer["id"] for answer in begun["answers"])
    stand_in.queue._answers.pop(second)
    _, told = call("state", policy, {"ids": [first, second]})
    assert [(answer["state"], answer["problem"]) for answer in told["answers"]] == [
        ("failed", "“base” could not write an answer: the template wants a user first."),
        ("lost", "“base” no longer writes this answer: have it answer again."),
    ]


def test_answers_of_conversations_cannot_be_read_here(policy, max_, stand_in, call):
    stand_in.serve(policy, max_)
    for ids in (["4:0:1"], ["playground:" + "0" * 64 + ":9"], [], "playground", [7], ["x"] * 5):
        for name in ("state", "stop"):
            assert call(name, policy, {"ids": ids})[1]["message"] == "There are no such answers.", ids


def test_the_page_says_whether_the_policy_is_loaded_and_comes_back_from_its_buttons(
    policy, make_served_policy, project, max_, client, stand_in
):
    client.force_login(max_)
    address = reverse("policies:playground", args=[project.slug, policy.pk])
    shown = client.get(address).content.decode()
    assert "The policy is not loaded" in shown and "start-serving" in shown
    assert "Nothing is stored on the site" in shown and 'data-others="[]"' in shown
    most = re.search(r'name="max_tokens"[^>]* max="(\d+)"', shown)[1]
    assert f"At most {most}: the length that it is served with." in shown
    start = reverse("policies:start_serving", args=[project.slug, policy.pk])
    assert client.post(start, {"on": "playground"}).url == address
    part = reverse("policies:serving", args=[project.slug, policy.pk])
    polled = client.get(part, {"on": "playground"}).content.decode()
    assert "Waiting for a worker" in polled and "on=playground" in polled
    other = make_served_policy("<b>other</b>")
    stand_in.serve(other, max_)
    shown = client.get(address).content.decode()
    assert "&lt;b&gt;other" in shown and "<b>other" not in shown
    # The part that polls says who can be asked beside it, and anew when that has changed.
    PolicyServing.objects.filter(policy=other).update(max_response_tokens=16)
    polled = client.get(part, {"on": "playground"})
    version = re.search(r"version=(\w+)", polled.content.decode())[1]
    (told,) = json.loads(unescape(re.search(r'data-others="([^"]*)"', polled.content.decode())[1]))
    assert (told["name"], told["max_tokens"]) == ("<b>other</b>", 16)
    assert told["url"] == reverse("policies:playground_answers", args=[project.slug, other.pk])
    shown_is = {"on": "playground", "version": version}
    assert client.get(part, shown_is).status_code == 204
    PolicyServing.objects.filter(policy=other).update(stop_requested=True)
    assert 'data-others="[]"' in client.get(part, shown_is).content.decode()
    for page in ("list", "policy"):
        linked = reverse(f"policies:{page}", args=[project.slug, *([policy.pk] if page == "policy" else [])])
        assert address in client.get(linked).content.decode()
