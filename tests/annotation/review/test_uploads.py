"""The page that takes prompts with answers: the checks of the command, in the words of the page."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from annotation.models import Batch, Import
from annotation.review import forms

pytestmark = [pytest.mark.db, pytest.mark.django_db]
ROWS = [{"question": f"Q{n}?", "gpt": f"g{n}", "llama": f"l{n}"} for n in range(3)]
COLUMNS = {"prompt_column": "question", "answer_columns": "gpt\r\nllama\r\n"}


@pytest.fixture
def upload(client, project, criterion, max_):
    client.force_login(max_)

    def upload(rows, name="answers.jsonl", **values):
        content = "\n".join(map(json.dumps, rows)) if isinstance(rows, list) else rows
        data = {
            "file": SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content),
            "criterion": criterion.pk,
            "overlap": 2,
        } | values
        return client.post(reverse("annotation:new_batch", args=[project.slug]), data, follow=True)

    return upload


def test_a_file_becomes_a_draft_that_can_be_looked_into_and_opened(upload, client, project):
    page = upload(ROWS, **COLUMNS)
    [batch] = Batch.objects.all()
    assert page.redirect_chain == [(reverse("annotation:batch", args=[project.slug, batch.pk]), 302)]
    assert (batch.name, batch.state, batch.overlap, batch.tasks.count()) == ("answers.jsonl", "draft", 2, 3)
    assert {
        shown.response.source.name for task in batch.tasks.all() for shown in task.task_responses.all()
    } == {
        "gpt",
        "llama",
    }
    text = page.content.decode()
    assert "answers.jsonl: 3 tasks, 2 sources. It is a draft: nobody gets its tasks yet." in text
    assert "Q0?" in text and "g0" in text and "Open the batch" in text
    assert Import.objects.get().files[0]["name"] == "answers.jsonl"
    page = upload("question,a,b\nWhy?,one,two\n", "more.csv", prompt_column="question", answer_columns="a\nb",
                  batch_name="By hand", open_at_once="on")  # fmt: skip
    opened = Batch.objects.get(name="By hand")
    assert (opened.state, opened.tasks.count()) == ("open", 1)


@pytest.mark.parametrize(
    ("rows", "values", "sentence"),
    [
        (
            ROWS,
            {"answer_columns": "gpt\nllama"},
            "column prompt: is missing (the row has: gpt, llama, question); name its column below",
        ),
        ([*ROWS, {"question": "Q?", "gpt": True, "llama": "x"}], COLUMNS, "leave them out below."),
        (ROWS, COLUMNS | {"answer_columns": "gpt"}, "column gpt: should be a list but is text"),
        (ROWS, COLUMNS | {"overlap": 0}, "Ensure this value is greater than or equal to 1"),
        ("", COLUMNS, "The submitted file is empty"),
        (b"PK\x03\x04", COLUMNS, "unpack it, or save the sheet as CSV"),
    ],
)
def test_what_is_wrong_is_said_on_the_page_and_nothing_comes_in(upload, rows, values, sentence):
    page = upload(rows, **values)
    assert page.status_code == 422 and not page.redirect_chain
    assert sentence in page.content.decode().replace("&#x27;", "'")
    assert not Batch.objects.exists() and not Import.objects.exists()


def test_bad_rows_are_listed_and_left_out_on_demand_and_known_tasks_are_said(upload):
    rows = [*ROWS, {"question": "Q?", "gpt": True, "llama": "x"}]
    page = upload(rows, **COLUMNS)
    assert (
        "answers.jsonl, line 4, column gpt: should be text but is a boolean (true)" in page.content.decode()
    )
    page = upload(rows, **COLUMNS, skip_bad="on")
    assert "3 tasks, 2 sources; 1 of 4 rows left out" in page.content.decode()
    page = upload(rows[:3], **COLUMNS)
    assert "tick “Bring in tasks that a batch has already” to bring them in" in page.content.decode()
    upload(rows[:3], **COLUMNS, again="on")
    assert Batch.objects.count() == 2


def test_a_large_file_is_sent_to_the_server(upload, monkeypatch):
    monkeypatch.setattr(forms, "MAX_UPLOAD_BYTES", 10)
    page = upload(ROWS, **COLUMNS)
    assert page.status_code == 422 and "manage.py import_tasks" in page.content.decode()


def test_a_name_with_a_path_in_it_stays_a_name(upload):
    upload(ROWS, "../../etc/answers.jsonl", **COLUMNS)
    assert Batch.objects.get().name == "answers.jsonl"


def test_only_managers_are_offered_the_page(client, upload, project, ruth, max_):
    address = reverse("annotation:new_batch", args=[project.slug])
    client.force_login(ruth)
    assert upload(ROWS, **COLUMNS).status_code == 404 and not Batch.objects.exists()
    for person, offered in ((max_, True), (ruth, False)):
        client.force_login(person)
        page = client.get(reverse("annotation:batches", args=[project.slug]))
        assert (address in page.content.decode()) is offered
        assert (client.get(address).status_code == 200) is offered
