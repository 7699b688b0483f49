"""Live conversations by the API: opened and read by managers, led by annotators, as blind as the page."""

import pytest

from annotation.models import Batch, Conversation, Judgment, LiveBatch

pytestmark = [pytest.mark.db, pytest.mark.django_db]
P = "projects/kitchen"


@pytest.fixture
def by(program, project):
    """by(person)(method, address, body): the answer as JSON, of the status that is expected."""

    def of(person):
        call = program(person, project, role=project.memberships.get(user=person).role)

        def ask(method, address, body=None, status=None):
            answer = call(method, f"{P}/{address}", body)
            assert answer.status_code == (status or (201 if method == "POST" else 200)), answer.content
            return answer.json()

        return ask

    return of


def test_a_conversation_is_led_judged_and_ended_by_a_program(by, live, ada, writer):
    ask = by(ada)
    offered = ask("GET", "own-conversations/to-lead")
    assert [(row["batch"], row["openers"], row["conversation"]) for row in offered["batches"]] == [
        (live.batch_id, ["What can I cook with rice?"], None)
    ]
    begun = ask("POST", "own-conversations", {"batch": live.batch_id})
    assert (begun["may_write"], begun["turns"], begun["open_turn"]) == (True, [], None)
    own = f"own-conversations/{begun['conversation']}"
    assert ask("POST", "own-conversations", {"batch": live.batch_id})["conversation"] == begun["conversation"]
    writer.lay_down("old", "writing", "Ri")
    for _ in range(2):  # the same again is sent once
        sent = ask("POST", f"{own}/messages", {"text": "What can I cook?", "number": 1})
    assert not sent["may_write"] and sent["open_turn"]["assignment"] is None
    assert {answer["text"] for answer in sent["open_turn"]["answers"]} == {"Ri", ""}
    assert (
        ask("POST", f"{own}/messages", {"text": "Other", "number": 1}, 409)["code"] == "conversation_changed"
    )
    writer.lay_down("old", "done", "Rice.")
    writer.lay_down("new", "failed", message="It broke.")
    failed = ask("POST", f"{own}/state", status=200)["open_turn"]["answers"]
    assert sorted((answer["state"], answer["message"]) for answer in failed) == [
        ("done", ""), ("failed", "It broke."),
    ]  # fmt: skip
    writer.lay_down("new", "done", "Noodles.")
    ask("POST", f"{own}/ask-again", status=200)
    state = ask("POST", f"{own}/state", status=200)
    task = ask("GET", f"assignments/{state['open_turn']['assignment']}")
    assert {shown["text"] for shown in task["responses"]} == {"Rice.", "Noodles."}
    order = {"tiers": [["B"], ["A"]], "strengths": [2]}
    ask("POST", f"assignments/{task['assignment']}/submit", order)
    better = next(shown["text"] for shown in task["responses"] if shown["label"] == "B")
    state = ask("POST", f"{own}/state", status=200)
    assert state["turns"] == [{"message": "What can I cook?", "answer": better}] and state["may_write"]
    assert Judgment.objects.count() == 1
    assert ask("POST", f"{own}/end", status=200)["ended"]
    assert [row["conversation"] for row in ask("GET", "own-conversations")["results"]] == [
        begun["conversation"]
    ]
    assert (
        ask("POST", f"{own}/messages", {"text": "More", "number": 2}, 400)["code"] == "conversation_refused"
    )


def test_nobody_sees_anothers_conversation_and_no_annotator_which_policy_wrote_what(
    by, live, ada, ruth, max_, writer
):
    own = (
        f"own-conversations/{by(ada)('POST', 'own-conversations', {'batch': live.batch_id})['conversation']}"
    )
    for policy in ("old", "new"):
        writer.lay_down(policy, "done", "Rice.")
    state = by(ada)("POST", f"{own}/messages", {"text": "Hello", "number": 1})
    by(ruth)("POST", f"{own}/state", status=404)
    assert "old" not in str(state) and "temperature" not in str(state)
    talk = Conversation.objects.get()
    read = f"live-batches/{live.batch_id}/conversations/{talk.pk}"
    by(ada)("GET", read, status=404)
    seen = by(ruth)("GET", read)
    assert (seen["conversation"]["turns"], seen["conversation"]["annotator"]) == (1, ada.pseudonym)
    assert {answer["policy"] for answer in seen["turns"][0]["answers"]} == {None}
    assert by(ruth)("GET", f"live-batches/{live.batch_id}")["sides"] == []
    answers = by(max_)("GET", read)["turns"][0]["answers"]
    first = ("old", "new")[talk.turns.get().shown_first]
    assert [answer["label"] for answer in answers] == ["A", "B"] and answers[0]["policy"] == first


def test_a_manager_opens_a_batch_and_has_its_conversations_compared(by, live, max_, writer):
    ask = by(max_)
    sides = [{"policy": "old", "temperature": 0.5}, {"policy": "new"}]
    opened = ask("POST", "live-batches", {"name": "By a program", "quota": 3, "sides": sides, "max_turns": 4})
    assert opened["sides"] == [{"policy": "old", "temperature": 0.5}, {"policy": "new", "temperature": 1.0}]
    row = LiveBatch.objects.get(batch=opened["id"])
    assert (row.batch.state, row.batch.quota, row.max_turns, row.max_response_tokens) == ("open", 3, 4, 256)
    unknown = {"name": "No", "quota": 3, "sides": [{"policy": "old"}, {"policy": "else"}]}
    assert "no policy “else”" in str(ask("POST", "live-batches", unknown, 400)["fields"])
    ask("POST", "live-batches", unknown | {"sides": sides[:1]}, 400)
    assert {one["id"] for one in ask("GET", "live-batches")["results"]} == {live.batch_id, row.batch_id}
    compared = {"name": "Whole", "live_batches": [live.batch_id]}
    refused = ask("POST", "live-batches/compare", compared, 400)
    assert refused["code"] == "no_conversations"
    assert "no live batch" in str(
        ask("POST", "live-batches/compare", compared | {"live_batches": [9999]}, 400)
    )
    assert not Batch.objects.filter(name="Whole").exists()
