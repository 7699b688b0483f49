"""Every byte an annotator receives in a session, searched for what they must never learn."""

import json
import re
import uuid

import pytest
from django.test import Client
from django.urls import reverse

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from annotation.importing.tasks.actions import import_tasks
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.judging.gold import set_gold_judgment
from annotation.models import Judgment, Response, Task
from annotation.queue.actions import claim_task
from annotation.queue.positions import Kind

pytestmark = [pytest.mark.db, pytest.mark.django_db]
SOURCE = "zephyr-secret-policy"
REFERENCE = "goldfinch-reference"


class Listening(Client):
    """Keeps everything it was sent: headers and bodies."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.heard = []

    def request(self, **request):
        response = super().request(**request)
        headers = "\n".join(f"{name}: {value}" for name, value in response.items())
        cookies = response.cookies.output()
        self.heard.append(f"{headers}\n{cookies}\n{response.content.decode()}")
        return response


@pytest.fixture
def secrets_of(project, criterion, max_, ruth, key):
    """Normal, gold, head-to-head and ranking tasks, one judged by Ruth; the strings that must not be heard."""
    # Keys that would stand out: far from everything that is counted on a page.
    from django.db import connection

    filler = 700_000_000
    with connection.cursor() as cursor:
        for table in ("annotation_response", "annotation_task", "annotation_prompt", "annotation_batch"):
            if connection.vendor == "postgresql":
                cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {filler})")
            else:
                cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
                cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, filler])
    sources = [
        get_or_create_source(actor=max_, project=project, kind="policy", name=SOURCE),
        get_or_create_source(actor=max_, project=project, kind="reference", name=REFERENCE),
    ]
    for k, purposes in ((2, ("normal", "gold", "head_to_head")), (4, ("normal", "gold"))):
        batch = create_batch(
            actor=max_,
            project=project,
            criterion=criterion,
            name=f"Hidden batch name {k}",
            responses_per_task=k,
            overlap=2,
            round_number=93,
        )
        for purpose in purposes:
            [prompt] = add_prompts(
                actor=max_,
                project=project,
                rows=[
                    {
                        "messages": [{"role": "user", "content": f"Ask {purpose[:2]} {k}"}],
                        "tags": ["hidden-tag"],
                        "prompt_id": f"prompt-id-{uuid.uuid4().hex}",
                    }
                ],
            )
            responses = add_responses(
                actor=max_,
                project=project,
                rows=[
                    NewResponse(
                        prompt=prompt,
                        source=sources[place % 2],
                        text=f"Text {place}",
                        sampling={"temperature": 0.731, "model": SOURCE},
                        token_ids=[31337, 31338],
                        logprobs=[-0.77131, -0.5],
                    )
                    for place in range(k)
                ],
            )
            [task] = add_tasks(
                actor=max_,
                batch=batch,
                tasks=[NewTask(prompt=prompt, responses=responses, purpose=purpose, priority=424242)],
            )
            if purpose == "gold":
                set_gold_judgment(
                    actor=max_,
                    task=task,
                    tiers=[[r.pk] for r in responses],
                    strengths=[3] * (k - 1),
                    explanation="The known explanation",
                )
        open_batch(actor=max_, batch=batch)
    hers = claim_task(actor=ruth, project=project)
    handles = "ABCD"[: len(hers.order_shown)]
    submit_judgment(
        actor=ruth,
        assignment=hers,
        content=JudgmentInput(
            tiers=[[h] for h in handles],
            strengths=[1] * (len(handles) - 1),
            rationale="Ruth's private reason",
        ),
        idempotency_key=key(),
    )
    project.gold_share = 0.5
    project.save()
    words = [
        SOURCE,
        REFERENCE,
        "policy",
        "gold",
        "head_to_head",
        "head-to-head",
        "Hidden batch name",
        "hidden-tag",
        "prompt-id-",
        "424242",
        "0.731",
        "31337",
        "0.77131",
        "The known explanation",
        "Ruth's private reason",
        ruth.pseudonym,
        "ruth",
        str(hers.public_id),
        "reward",
        "simulated",
        "7000000",
    ]
    return words + list(Response.objects.values_list("external_id", flat=True))


def hear_a_session(ada, project, key) -> tuple[int, str]:
    """All an annotator can do on the work page until no task is left: how many they saw, and what they were sent."""
    client = Listening()
    client.force_login(ada)

    def url(name, **kwargs):
        return reverse(f"annotation:{name}", kwargs={"slug": project.slug, **kwargs})

    def post(address, body):
        return client.post(address, json.dumps(body), content_type="application/json")

    for name in ("overview", "annotate", "guideline", "refresh_csrf"):
        assert client.get(url(name)).status_code == 200
    seen, after = [], None
    while (shown := post(url("next_task"), {"after_assignment": after}).json())["public_id"]:
        handle = shown["public_id"]
        handles = [letter for letter in "ABCD" if f'data-response="{letter}"' in shown["html"]]
        post(url("draft", public_id=handle), {"rationale": "mine"})
        if len(seen) == 1:
            post(url("skip", public_id=handle), {})
            assert post(url("undo_skip", public_id=handle), {}).json()["public_id"] == handle
            post(url("skip", public_id=handle), {})
        else:
            answer = {
                "tiers": [[h] for h in handles],
                "strengths": [2] * (len(handles) - 1),
                "idempotency_key": key(),
            }
            assert post(url("submit", public_id=handle), answer).status_code == 201
            client.get(url("task_content", public_id=handle))
            client.get(url("task", public_id=handle))
            post(url("submit", public_id=handle), answer | {"idempotency_key": key(), "revise": True})
            # A mistake's sentence is a byte too.
            post(url("submit", public_id=handle), answer | {"idempotency_key": key(), "strengths": []})
            post(url("withdraw", public_id=handle), {"idempotency_key": key()})
        seen.append(handle)
    client.get(url("overview"))
    for name in ("batches",):
        assert client.get(url(name)).status_code == 404
    # Tokens of forms, sessions and scripts are random letters, and times end in microseconds: now and then one spells
    # one of the words.
    random_text = (
        r"\b[A-Za-z0-9]{64}\b|(?<=csrftoken=)\w+|(?<=sessionid=)\w+|nonce[-=][\w\"'+/=-]+"
        r"|\d{4}-\d\d-\d\dT[\d:.]+"
    )
    heard = re.sub(random_text, "", "\n".join(client.heard))
    for handle in seen:
        heard = heard.replace(handle, "")
    # The words of the interface itself, and of the site's own headers.
    heard = heard.replace("Content-Security-Policy", "").replace("Referrer-Policy", "")
    return len(seen), heard.replace("Cross-Origin-Opener-Policy", "").replace("Permissions-Policy", "")


def told(words, heard) -> list[str]:
    return [word for word in words if word.lower() in heard.lower()]


@pytest.mark.sqlite_only
def test_no_byte_of_a_session_tells_a_source_an_id_gold_or_anothers_judgment(
    ada, project, secrets_of, key, monkeypatch
):
    # Gold tasks come at once: left to chance, a session now and then meets none, and nothing is tested then.
    monkeypatch.setattr("annotation.queue.search.kind_at", lambda *_: Kind.GOLD)
    seen, heard = hear_a_session(ada, project, key)
    assert seen >= 4
    assert Task.objects.filter(purpose="gold", assignments__annotator=ada).exists()
    assert Judgment.objects.filter(annotator=ada).count() >= 6
    assert len(heard) > 30_000
    assert told(secrets_of, heard) == []


def test_no_byte_tells_whose_imported_answers_are(ada, project, criterion, max_, key, tmp_path):
    """Answers from a file: their sources, ids, tags, the file and the batch stay unknown to who judges them."""
    rows = [
        {
            "prompt": f"Ask {number}",
            "prompt_id": f"imported-prompt-{number}",
            "tags": ["hidden-tag"],
            "responses": [{"text": f"Text {place} of {number}"} for place in range(2 + number % 2)],
            "sources": [SOURCE, REFERENCE, "ostrich-model-70b"][: 2 + number % 2],
        }
        for number in range(6)
    ]
    path = tmp_path / "leaderboard-file.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    batch, _ = import_tasks(
        actor=max_, project=project, path=path, batch_name="Hidden batch name", overlap=1, open_at_once=True
    )
    seen, heard = hear_a_session(ada, project, key)
    assert seen == 6 == batch.tasks.count()
    # Each was on the screen, so that its words were there to be searched.
    assert all(f"Text 0 of {number}" in heard for number in range(6))
    words = [
        SOURCE, REFERENCE, "ostrich-model-70b", "imported-prompt-", "hidden-tag", "leaderboard-file",
        "Hidden batch name",
    ]  # fmt: skip
    assert told([*words, *Response.objects.values_list("external_id", flat=True)], heard) == []


def test_imported_answers_are_shuffled_for_each_annotator(
    project, criterion, max_, make_annotators, tmp_path
):
    """The column an answer came from does not show in its place: each source is first about half the time."""
    path = tmp_path / "pairs.jsonl"
    path.write_text(
        "\n".join(
            json.dumps({"prompt": f"Ask {n}", "responses": ["a", "b"], "sources": ["one", "two"]})
            for n in range(200)
        )
    )
    import_tasks(actor=max_, project=project, path=path, overlap=1, open_at_once=True)
    sources = dict(Response.objects.values_list("pk", "source__name"))
    first = []
    for person in make_annotators(200):
        first.append(sources[claim_task(actor=person, project=project).order_shown[0]])
    # Binomial with 200 tries: five standard deviations are 35.
    assert abs(first.count("one") - 100) < 36
