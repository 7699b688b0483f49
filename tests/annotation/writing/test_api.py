"""Writing by programs and by command: the same actions, and what each side may read."""

import io
import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from annotation.models import Demonstration, WritingVersion, WritingWork

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def by(client, project):
    """(person, method, address, body) -> the answer."""

    def call(person, method, address, body=None, **headers):
        client.force_login(person)
        return client.generic(
            method,
            f"/api/v1/projects/{project.slug}/{address}",
            data=json.dumps(body or {}),
            content_type="application/json",
            headers=headers,
        )

    return call


def test_a_text_is_claimed_sent_and_accepted_and_its_writer_reads_no_names(answers, ada, ruth, by):
    text = by(ada, "POST", f"writing/{answers.pk}/claim").json()["text"]
    assert text["messages"][0]["content"] == "How is rice boiled?" and text["seen_version"] == 0
    handle = text["row"]["text"]
    body = {"turns": ["With water."]}
    key = {"Idempotency-Key": "once"}
    sent = by(ada, "POST", f"own-texts/{handle}/submit", body, **key)
    assert (sent.status_code, sent.json()) == (201, {"text": handle, "version": 1, "late": False})
    assert by(ada, "POST", f"own-texts/{handle}/submit", body, **key).json() == sent.json()
    [waiting] = by(ruth, "GET", "writing/texts?state=checking").json()["results"]
    said = {"version": 1, "outcome": "accept", "remark": "Good."}
    assert by(ada, "POST", f"writing/texts/{waiting['id']}/review", said).status_code == 404
    accepted = by(ruth, "POST", f"writing/texts/{waiting['id']}/review", said)
    assert accepted.status_code == 201
    assert accepted.json()["versions"][0]["demonstrations"] == [Demonstration.objects.get().pk]
    assert by(ruth, "POST", f"writing/texts/{waiting['id']}/review", said).status_code == 409
    told = by(ada, "GET", f"own-texts/{handle}")
    assert told.json()["versions"][0]["review"]["remark"] == "Good."
    assert ruth.pseudonym not in told.content.decode() and ruth.username not in told.content.decode()


def test_one_key_for_two_texts_loses_neither(answers, ada, by):
    for text in ("With water.", "With patience."):
        handle = by(ada, "POST", f"writing/{answers.pk}/claim").json()["text"]["row"]["text"]
        by(ada, "POST", f"own-texts/{handle}/submit", {"turns": [text]}, **{"Idempotency-Key": "same"})
    assert sorted(version.turns[0] for version in WritingVersion.objects.all()) == [
        "With patience.",
        "With water.",
    ]


def test_by_command_work_is_opened_listed_and_closed(project, questions, ada, send):
    def command(*words):
        out = io.StringIO()
        call_command("writing", project.slug, *words, stdout=out)
        return out.getvalue()

    assert "2 texts" in command("--open", "Beans", "--kind", "answer", "--prompt-set", "questions")
    work = WritingWork.objects.get(name="Beans")
    send(ada, work, "With water.")
    assert "1 waiting, 0 writing, 1 checking" in command()
    assert "ada" in command("--to-check") and "1 to check" in command("--to-check")
    command("--close", "Beans")
    work.refresh_from_db()
    assert work.state == "closed"
    with pytest.raises(CommandError, match="no prompt set"):
        command("--open", "More", "--kind", "answer", "--prompt-set", "none")
    with pytest.raises(CommandError, match="no writing work"):
        command("--reopen", "Rice")
