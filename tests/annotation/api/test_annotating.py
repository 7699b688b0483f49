"""An annotator's session through the API: the whole loop, blind to the byte."""

import json

import pytest

from annotation.models import Assignment, Judgment, Response, Task

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def call(program, ada, project):
    ask = program(ada, project, role="annotator")
    said = []

    def ask_for(method, address, body=None, **headers):
        answer = ask(method, f"projects/{project.slug}/{address}", body, **headers)
        said.append(b"".join(answer.streaming_content) if answer.streaming else answer.content)
        said.append(repr(sorted(answer.headers.items())).encode())
        return answer

    ask_for.said = said
    return ask_for


def test_a_session_by_program_stores_what_was_said(call, make_batch, ada):
    make_batch(tasks=2, texts=["Steam them.", "Boil them."])
    claimed = call("POST", "claim", {}).json()
    task, handle = claimed["task"], claimed["task"]["assignment"]
    assert claimed["progress"] == {"judged": 0, "remaining": 2}
    assert [shown["label"] for shown in task["responses"]] == ["A", "B"]
    assert {shown["text"] for shown in task["responses"]} == {"Steam them.", "Boil them."}
    # The one behind it, and the same again when asked without.
    behind = call("POST", "claim", {"after": handle}).json()["task"]["assignment"]
    assert behind != handle
    best = next(shown["label"] for shown in task["responses"] if shown["text"] == "Steam them.")
    other = "AB".replace(best, "")
    body = {"tiers": [[best], [other]], "strengths": [3], "rationale": "Crisp.", "seconds": 4.5}
    assert call("PUT", f"assignments/{handle}/draft", {"rationale": "Cri"}).status_code == 204
    assert call("GET", f"assignments/{handle}").json()["draft"] == {"rationale": "Cri"}
    assert call("PUT", f"assignments/{handle}/draft", ["no object"]).status_code == 400
    first = call("POST", f"assignments/{handle}/submit", body, Idempotency_Key="judgment-1")
    again = call("POST", f"assignments/{handle}/submit", body, Idempotency_Key="judgment-1")
    assert (first.status_code, again.status_code) == (201, 201)
    judgment = Judgment.objects.get()
    winner = Response.objects.get(pk=judgment.tiers[0][0])
    assert (winner.text, judgment.strengths, judgment.rationale, judgment.seconds) == (
        "Steam them.", [3], "Crisp.", 4.5,
    )  # fmt: skip
    twice = call(
        "POST", f"assignments/{handle}/submit", body | {"strengths": [1]}, Idempotency_Key="judgment-2"
    )
    assert (twice.status_code, twice.json()["code"]) == (409, "already_submitted")
    call("POST", f"assignments/{handle}/revise", body | {"strengths": [1]})
    assert call("GET", f"assignments/{handle}").json()["judgment"]["strengths"] == [1]
    call("POST", f"assignments/{handle}/withdraw")
    assert [row.withdrawn for row in Judgment.objects.order_by("pk")] == [False, False, True]
    assert call("POST", f"assignments/{behind}/skip", {"reason": "Not mine."}).status_code == 204
    assert call("POST", f"assignments/{behind}/undo-skip").json()["state"] == "leased"
    assert Assignment.objects.get(public_id=behind).skip_reason == ""


def test_what_a_judgment_may_not_be_is_refused_with_the_pages_code(call, make_batch):
    make_batch(tasks=1)
    handle = call("POST", "claim", {}).json()["task"]["assignment"]
    wrong = call("POST", f"assignments/{handle}/submit", {"tiers": [["A"]], "strengths": []})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_judgment")
    strength = call("POST", f"assignments/{handle}/submit", {"tiers": [["A"], ["B"]], "strengths": [4]})
    assert (strength.status_code, set(strength.json()["fields"])) == (400, {"strengths.0"})
    assert not Judgment.objects.exists()


def test_an_annotator_never_learns_whose_answers_they_are(call, make_batch, make_user, project, max_):
    """Asserted on every byte of every answer, headers too."""
    make_batch(tasks=3, texts=["One.", "Two."], name="batch-name-tells")
    for number, purpose in enumerate(["normal", "gold", "normal"]):
        # A gold task takes no slots; for the bytes it is only marked.
        task = Task.objects.order_by("pk")[number]
        if purpose == "gold":
            Task.objects.filter(pk=task.pk).update(purpose="gold", required_judgments=0, open_slots=0)
    for response in Response.objects.all():
        Response.objects.filter(pk=response.pk).update(external_id=f"hidden-response-{response.pk}")
    handles = []
    for _ in range(2):
        task = call("POST", "claim", {}).json()["task"]
        handles.append(task["assignment"])
        call("POST", f"assignments/{task['assignment']}/submit", {"tiers": [["A"], ["B"]], "strengths": [1]})
    for handle in handles:
        call("GET", f"assignments/{handle}")
        call("POST", f"assignments/{handle}/revise", {"tiers": [["B"], ["A"]], "strengths": [0]})
        call("POST", f"assignments/{handle}/withdraw")
    call("GET", "assignments?limit=1")
    call("POST", "claim", {})
    for address in (
        "judgments", "judgments/rows", "responses", "tasks", "batches", "prompts", "datasets", "policies", "runs",
        "rounds", "reward-models", "members",
    ):  # fmt: skip
        assert call("GET", address).status_code == 404
    everything = b"".join(call.said)
    for secret in (
        b"secret-policy-7b",
        b"hidden-response-",
        b"gold",
        b"head_to_head",
        b"batch-name-tells",
        b"max",
    ):
        assert secret not in everything, secret
    texts = [json.loads(said) for said in call.said if said.startswith(b'{"task"')]
    assert texts and all("source" not in json.dumps(text) for text in texts)
