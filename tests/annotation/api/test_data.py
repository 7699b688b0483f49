"""Data in and out through the API: content, batches, judgments, datasets, files."""

import hashlib
import io
import json

import pyarrow as pa
import pytest

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Batch, Import, Prompt, Task
from annotation.queue.actions import claim_task
from workspace.members import set_role

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def call(program, max_, project):
    ask = program(max_, project)
    return lambda method, address, body=None, **headers: ask(
        method, f"projects/{project.slug}/{address}", body, **headers
    )


@pytest.fixture
def judged(make_batch, make_annotators, project):
    """Three tasks, judged by two people each: A significantly better."""
    batch = make_batch(tasks=3, overlap=2, name="judged")
    for person in make_annotators(2):
        for number in range(3):
            submit_judgment(
                actor=person,
                assignment=claim_task(actor=person, project=project),
                content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[3]),
                idempotency_key=f"judgment-{person.pk}-{number}",
            )
    return batch


def body_of(answer):
    return b"".join(answer.streaming_content)


def test_prompts_and_answers_become_an_open_batch(call, project, ada):
    prompt = {"messages": [{"role": "user", "content": "How do I keep basil alive?"}], "tags": ["plants"]}
    [added] = call("POST", "prompts", {"rows": [prompt]}).json()["prompts"]
    assert Prompt.objects.get().tags == ["plants"]
    [there] = call(
        "POST",
        "responses",
        {"rows": [{"prompt_id": added["prompt_id"], "text": "Water it.", "source": "model-a"}]},
    ).json()["responses"]
    tasks = [
        {
            "prompt_id": added["prompt_id"],
            "responses": [
                {"response_id": there["response_id"]},
                {"text": "Buy another.", "source": "model-b"},
            ],
        },
        {
            "messages": [{"role": "user", "content": "And parsley?"}],
            "responses": [{"text": "Sun.", "source": "model-a"}, {"text": "Shade.", "source": "model-b"}],
        },
    ]
    made = call("POST", "batches", {"name": "Herbs", "tasks": tasks, "open": True, "overlap": 2})
    assert made.status_code == 201, made.content
    assert made.json()["progress"] == {
        "counted": 0, "quota": 4, "surplus": 0, "skipped": 0, "leased": 0, "tasks": 2, "tasks_done": 0,
    }  # fmt: skip
    asked = {
        task.prompt.messages[0]["content"]: {shown.response.text for shown in task.task_responses.all()}
        for task in Task.objects.all()
    }
    assert asked == {
        "How do I keep basil alive?": {"Water it.", "Buy another."},
        "And parsley?": {"Sun.", "Shade."},
    }
    assert claim_task(actor=ada, project=project) is not None


def test_a_batch_is_made_for_some_and_opened_at_once(call, project, ada, make_user, max_):
    ben = make_user("ben")
    set_role(actor=max_, project=project, user=ben, role="annotator")
    answers = [{"text": "A", "source": "m"}, {"text": "B", "source": "m"}]
    tasks = [{"messages": [{"role": "user", "content": "Q?"}], "responses": answers}]
    asked = {"name": "Herbs", "tasks": tasks, "open": True}
    refused = call("POST", "batches", asked | {"audience": {"people": ["nobody"]}})
    assert refused.status_code == 400 and not Batch.objects.exists()
    made = call("POST", "batches", asked | {"audience": {"people": [ben.username], "person_quota": 3}})
    assert made.status_code == 201, made.content
    audience = call("GET", f"batches/{made.json()['id']}/audience").json()
    assert (audience["people"], audience["person_quota"]) == ([ben.username], 3)
    assert claim_task(actor=ada, project=project) is None
    assert claim_task(actor=ben, project=project) is not None


def test_a_batch_with_a_row_that_does_not_fit_is_not_made_at_all(call):
    tasks = [
        {"messages": [{"role": "user", "content": "Q?"}], "responses": [{"text": "A", "source": "m"}] * 2},
        {"prompt_id": "nowhere", "responses": [{"text": "A", "source": "m"}]},
    ]
    refused = call("POST", "batches", {"name": "Herbs", "tasks": tasks})
    assert refused.status_code == 400
    assert set(refused.json()["fields"]) == {"tasks.1.prompt_id"}
    assert (Batch.objects.count(), Prompt.objects.count()) == (0, 0)


def test_judgments_are_read_in_labels_and_by_filters(call, judged, program, ruth, project):
    rows = call("GET", f"judgments?batch={judged.pk}&limit=4").json()
    more = call("GET", rows["next"].partition(f"{project.slug}/")[2]).json()
    assert len(rows["results"]) == 4 and len(more["results"]) == 2 and more["next"] is None
    one = rows["results"][0]
    assert (one["tiers"], one["strengths"], one["is_current"]) == ([["A"], ["B"]], [3], True)
    assert set(one["responses"]) == {"A", "B"}
    reviewed = program(ruth, project, role="reviewer")(
        "GET", f"projects/{project.slug}/judgments/{one['id']}"
    ).json()
    assert reviewed["responses"] == {} and reviewed["tiers"] == [["A"], ["B"]]
    of_one = call("GET", f"judgments?annotator={one['annotator']}").json()["results"]
    assert len(of_one) == 3
    assert call("GET", "judgments?current=false").json()["results"] == []
    assert call("GET", f"judgments?created_after={one['created_at']}").json()["results"] == []
    assert call("GET", "judgments?purpose=gold").json()["results"] == []


def test_what_does_not_change_is_sent_once(call, judged):
    one = call("GET", "judgments").json()["results"][0]
    first = call("GET", f"judgments/{one['id']}")
    again = call("GET", f"judgments/{one['id']}", If_None_Match=first["ETag"])
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert call("GET", f"judgments/{one['id']}", If_None_Match='"other"').status_code == 200


def test_a_dataset_is_frozen_and_its_files_are_those_of_the_manifest(call, judged, project):
    made = call("POST", "datasets", {"name": "herbs"}, Idempotency_Key="freeze").json()
    assert made["counts"]["judgments"] == 6
    assert call("POST", "datasets", {"name": "herbs"}, Idempotency_Key="freeze").json()["id"] == made["id"]
    assert project.preference_datasets.count() == 1
    for file in call("GET", f"datasets/{made['id']}/files").json()["files"]:
        answer = call("GET", f"datasets/{made['id']}/files/{file['name']}")
        content = body_of(answer)
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
        assert answer["ETag"] == f'"{file["sha256"]}"'
        known = call("GET", f"datasets/{made['id']}/files/{file['name']}", If_None_Match=answer["ETag"])
        assert known.status_code == 304
    for name in ("..%2Fsecret_key", "secret_key", "manifest.json.bak"):
        assert call("GET", f"datasets/{made['id']}/files/{name}").status_code == 404
    refused = call("POST", "datasets", {"name": "empty", "annotator_kinds": ["ai"]})
    assert (refused.status_code, refused.json()["code"]) == (400, "no_judgments")


@pytest.mark.parametrize("address", ["judgments/rows?", "datasets/{pk}/rows?"])
def test_rows_come_as_lines_and_as_arrow(call, judged, address):
    pk = call("POST", "datasets", {"name": "herbs"}).json()["id"]
    address = address.format(pk=pk)
    lines = [json.loads(line) for line in body_of(call("GET", f"{address}format=ndjson")).splitlines()]
    table = pa.ipc.open_stream(io.BytesIO(body_of(call("GET", f"{address}format=arrow")))).read_all()
    assert len(lines) == table.num_rows == 6
    assert [line["judgment_id"] for line in lines] == table["judgment_id"].to_pylist()
    assert {line["strengths"][0] for line in lines} == {3}


def test_a_stream_of_lines_ends_with_their_number_where_that_is_asked_for(call, judged):
    *rows, last = body_of(call("GET", "judgments/rows?format=ndjson&end=true")).splitlines()
    assert [json.loads(last), len(rows)] == [{"end": 6}, 6]
    assert body_of(call("GET", "judgments/rows?format=ndjson")).splitlines() == rows


def test_comparisons_of_a_dataset_as_a_stream(call, judged):
    pk = call("POST", "datasets", {"name": "herbs"}).json()["id"]
    stream = body_of(call("GET", f"datasets/{pk}/rows?view=comparisons&format=arrow"))
    table = pa.ipc.open_stream(io.BytesIO(stream)).read_all()
    assert table.num_rows == 6
    assert {max(ranks) for ranks in table["ranks"].to_pylist()} == {1}


def test_a_file_is_sent_in_pieces_checked_imported_and_taken_back(client, max_, project, call):
    rows = [{"messages": [{"role": "user", "content": f"Question {n}?"}]} for n in range(5)]
    file = "".join(json.dumps(row) + "\n" for row in rows).encode()
    upload = call("POST", "uploads", {"name": "prompts.jsonl", "size": len(file)}).json()
    client.force_login(max_)
    pieces = f"/api/v1/projects/{project.slug}/uploads/{upload['id']}/pieces"

    def send(offset, content, content_type="application/octet-stream"):
        return client.put(f"{pieces}?offset={offset}", content, content_type=content_type)

    assert send(0, file[:50], "application/json").status_code == 415
    assert send(0, file[:50]).json()["received_bytes"] == 50
    cut = send(10, file[10:60])
    assert (cut.status_code, cut.json()["code"]) == (409, "wrong_offset")
    assert send(50, file[50:]).json()["state"] == "complete"
    settings = {"kind": "prompts", "format": "records", "prompt_set": "herbs"}
    checked = call("POST", f"uploads/{upload['id']}/import", settings | {"check_only": True}).json()
    assert checked["outcome"]["rows"] == 5 and Prompt.objects.count() == 0
    done = call("POST", f"uploads/{upload['id']}/import", settings).json()
    assert done["state"] == "imported" and Prompt.objects.count() == 5
    report = call("GET", f"imports/{done['imported']}").json()
    assert (report["rows"], report["bad_rows"], report["state"]) == (5, 0, "done")
    assert call("POST", f"imports/{done['imported']}/take-back").status_code == 200
    assert Prompt.objects.count() == 0
    assert Import.objects.get().state == "taken_back"
