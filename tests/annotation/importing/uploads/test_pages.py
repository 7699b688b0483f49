"""The page of an upload: what it takes a file for, what becomes of its rows, and what is stored at the end."""

import csv
import io
import json

import pytest
from django.urls import reverse

from annotation.importing import insertion
from annotation.importing.contents import actions as importing_actions
from annotation.importing.uploads.execution import execute
from annotation.importing.uploads.run_kinds import RUN_KINDS
from annotation.importing.watching import ImportStopped
from annotation.models import Batch, Demonstration, Import, Judgment, Prompt, PromptSet, Text, Upload

pytestmark = [pytest.mark.db, pytest.mark.django_db]
PAIRS = [{"prompt": f"Q{n}?", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(3)]
ANSWERS = [{"question": f"Q{n}?", "gpt": f"g{n}", "llama": f"l{n}"} for n in range(3)]
COLUMNS = {"column-0": "prompt", "column-1": "responses", "column-2": "responses"}


@pytest.mark.parametrize(
    ("rows", "name", "kind", "format"),
    [
        (PAIRS, "rows.jsonl", "comparisons", "trl"),
        ([{"prompt": "Q", "responses": ["a", "b"], "preference": -2}], "r.jsonl", "comparisons", "ranked"),
        ([{"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"}], "r.jsonl",
         "comparisons", "hh"),
        ([{"prompt": "Q", "responses": ["a", "b"]}], "rows.jsonl", "tasks", "records"),
        ([{"prompt": "Q", "response": "a"}], "rows.jsonl", "demonstrations", "records"),
        ([{"prompt": "Q"}], "rows.jsonl", "prompts", "records"),
        ([{"text": "a text"}], "rows.jsonl", "texts", "records"),
        (b"prompt,chosen,rejected\nQ,a,b\n", "rows.csv", "comparisons", "trl"),
        (b"Once upon a time.\n\nThere was tea.\n", "rows.txt", "texts", "records"),
        (b"no rows at all", "rows.jsonl", "comparisons", "records"),
    ],
)  # fmt: skip
def test_a_file_is_taken_for_what_most_of_its_first_rows_are(
    send, client, project, criterion, rows, name, kind, format
):
    upload = send(rows, name)
    page = client.get(reverse("data:upload", args=[project.slug, upload.public_id]))
    upload.refresh_from_db()
    assert (upload.settings["kind"], upload.settings["format"]) == (kind, format)
    assert page.status_code == 200 and not Import.objects.exists() and not Prompt.objects.exists()


def test_what_nobody_touched_is_not_called_wrong(send, post, criterion):
    """Of a file whose columns no format knows, so that somebody has to say what they are."""
    upload = send(b"frage,eins,zwei,besser\nWas?,a,b,a\n", "odd.csv")
    for what in ("comparisons/ranked", "tasks/records"):
        for chosen in ({"what": what}, {}):
            page, _ = post(upload, **chosen)
            assert page.status_code == 200 and not page.context["form"].errors, what
            assert f"{upload.settings['kind']}/{upload.settings['format']}" == what


def test_the_kind_that_was_asked_for_wins_over_the_guess(send, client, project, criterion):
    upload = send(PAIRS, kind="prompts")
    client.get(reverse("data:upload", args=[project.slug, upload.public_id]))
    upload.refresh_from_db()
    assert (upload.settings["kind"], upload.settings["format"]) == ("prompts", "records")


def test_the_preview_shows_rows_as_annotators_see_them_and_what_each_column_became(send, post, criterion):
    rows = [
        {"prompt": "Soup or **pie**?", "chosen": "Soup <b>now</b>", "rejected": "Pie", "strength": 2,
         "annotator": "w7", "id": "r-1", "colour": "green", "nothing": None},
        {"prompt": "Bad?", "chosen": True, "rejected": "Pie"},
    ]  # fmt: skip
    upload = send(rows)
    page, text = post(upload)
    became = {column.name: (column.fields, column.is_kept) for column, _ in page.context["columns"]}
    assert became == {
        "prompt": (["prompt"], False), "chosen": (["chosen"], False), "rejected": (["rejected"], False),
        "strength": (["strength"], False), "annotator": (["annotator"], False), "id": (["id"], False),
        "colour": ([], True), "nothing": ([], False),
    }  # fmt: skip
    assert "Soup or <strong>pie</strong>?" in text and "Soup &lt;b&gt;now&lt;/b&gt;" in page.content.decode()
    assert "w7" in text and "better" in text and "place 1" in text
    assert "column chosen: should be text but is a boolean (true)" in text
    assert "1 of the first 2 bad" in text
    assert not Import.objects.exists()


def test_columns_are_mapped_by_hand_and_answers_become_a_batch(send, post, criterion):
    upload = send(ANSWERS, "answers.jsonl", kind="tasks")
    page, text = post(upload)
    assert "is missing" in text
    page, text = post(upload, **COLUMNS)
    assert upload.settings["mapping"] == {"prompt": ["question"], "responses": ["gpt", "llama"]}
    assert page.context["preview"].n_bad == 0 and "by gpt" in text
    page, text = post(upload, "import", overlap=2, batch_name="By hand", open_at_once="on")
    [batch] = Batch.objects.all()
    assert (batch.name, batch.state, batch.overlap, batch.tasks.count()) == ("By hand", "open", 2, 3)
    assert page.redirect_chain[-1][0] == reverse(
        "data:import", args=[batch.project.slug, Import.objects.get().pk]
    )
    sources = {
        shown.response.source.name for task in batch.tasks.all() for shown in task.task_responses.all()
    }
    assert sources == {"gpt", "llama"}
    assert "answers.jsonl: 3 tasks, 2 sources" in text and "By hand" in text


def test_rows_in_are_rows_stored_and_rows_reported_and_the_reported_are_downloaded(
    send, post, client, project, criterion
):
    rows = [
        *PAIRS,
        {"prompt": "=1+1", "chosen": 7, "rejected": "b"},
        {"prompt": "Q", "chosen": "=x", "rejected": "=x"},
    ]
    upload = send(rows, "pairs.jsonl")
    page, text = post(upload, "import")
    assert (
        "2 of 5 rows are bad" in text and "tick “Leave bad rows out”" in text and not Import.objects.exists()
    )
    address = reverse("data:upload_bad_rows", args=[project.slug, upload.public_id, "jsonl"])
    lines = [json.loads(line) for line in client.get(address).getvalue().splitlines()]
    assert [(row["file"], row["line"], row["column"]) for row in lines] == [
        ("pairs.jsonl", 4, "chosen"), ("pairs.jsonl", 5, "rejected"),
    ]  # fmt: skip
    page, text = post(upload, "import", skip_bad="on")
    imported = Import.objects.get()
    assert (imported.rows, imported.bad_rows, Judgment.objects.count()) == (5, 2, 3)
    assert imported.rows == Judgment.objects.count() + imported.bad_rows
    assert "Reported as bad" in text and "should be text but is a number (7)" in text
    address = reverse("data:import_bad_rows", args=[project.slug, imported.pk, "csv"])
    answer = client.get(address)
    assert answer["Content-Disposition"] == "attachment; filename*=UTF-8''bad%20rows%20of%20pairs.jsonl.csv"
    table = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert [(row["line"], row["column"]) for row in table] == [("4", "chosen"), ("5", "rejected")]
    assert client.get(address.replace(".csv", ".exe")).status_code == 404


def test_a_check_counts_the_whole_file_and_stores_nothing(send, post, criterion):
    rows = [*PAIRS * 30, {"prompt": "Q", "chosen": 7, "rejected": "b"}]
    upload = send(rows)
    page, text = post(upload, "check")
    outcome = page.context["outcome"]
    assert (outcome["rows"], outcome["bad"], outcome["sentence"]) == (91, 1, "")
    assert "line 91, column chosen" in text and "An import would be refused" in text
    assert not Import.objects.exists() and not Prompt.objects.exists() and not Batch.objects.exists()
    page, text = post(upload, "check", skip_bad="on")
    assert "The file can be imported." in text
    # Under other settings it says nothing any more.
    post(upload, "preview", batch_name="Other")
    assert upload.outcome == {}


def test_a_file_that_was_imported_before_is_said_before_and_after(send, post, client, project, criterion):
    upload = send(PAIRS, "pairs.jsonl")
    post(upload, "import")
    first = Import.objects.get()
    again = send(PAIRS, "pairs again.jsonl")
    _, text = post(again)
    assert "The same file was imported before" in text and f"import {first.pk} (pairs.jsonl)" in text
    _, text = post(again, "import")
    assert "“Import rows again” imports them once more" in text and Import.objects.count() == 1
    post(again, "import", again="on")
    second = Import.objects.latest("pk")
    text = client.get(reverse("data:import", args=[project.slug, first.pk])).content.decode()
    assert "The same file came again" in text and second.pk != first.pk


def test_what_else_comes_in_goes_where_its_form_says(send, post, criterion):
    post(send([{"prompt": "Q1"}], kind="prompts"), "import", prompt_set="asked", purpose="evaluation")
    assert PromptSet.objects.get(name="asked").purpose == "evaluation"
    post(send([{"prompt": "Q2", "response": "A"}]), "import", prompt_set="shown")
    assert Demonstration.objects.get().prompt.prompt_sets.get().name == "shown"
    post(send(b"One.\n\nTwo.\n", "t.txt"), "import", licence="CC0", split="test")
    assert list(Text.objects.order_by("pk").values_list("text", "licence", "split")) == [
        ("One.", "CC0", "test"), ("Two.", "CC0", "test"),
    ]  # fmt: skip
    dialogue = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
    post(send([dialogue]), "preview", what="prompts/dialogues")
    upload = Upload.objects.latest("pk")
    post(upload, "import", prompt_set="turns", seed=3)
    assert PromptSet.objects.get(name="turns").prompts.get().messages == [{"role": "user", "content": "Hi"}]


def test_labels_margins_and_splits_of_a_file_are_given_a_meaning_on_the_page(send, post, criterion):
    rows = [{"q": "Soup?", "a": "Leek", "b": "Sand", "label": "left", "part": "eval"}]
    upload = send(rows)
    post(upload, what="comparisons/ranked")
    fields = {"column-0": "prompt", "column-1": "responses", "column-2": "responses", "column-3": "preference",
              "column-4": "split"}  # fmt: skip
    _, text = post(upload, **fields)
    assert "give it one below, as NAME=a:2" in text, text[text.index("The first rows") :][:900]
    page, _ = post(upload, "import", named_strengths="left=a:2", split_names="eval=test")
    judgment = Judgment.objects.get()
    assert (judgment.strengths, judgment.task.prompt.split) == ([2], "test")
    page, text = post(send(PAIRS), named_strengths="left")
    assert page.status_code == 422 and "write NAME=STRENGTH" in text


def test_a_form_that_is_not_read_is_named_by_its_owners_name(send, post, criterion, settings):
    upload = send(b"PK\x03\x04 and so on", "sheet.xlsx")
    _, text = post(upload)
    assert "sheet.xlsx is a zip archive" in text and "save the sheet as CSV" in text
    assert str(settings.DATA_DIR) not in text and upload.public_id.hex not in text


def test_undo_says_what_goes_and_what_stays_and_then_does_it(
    send, post, client, project, criterion, max_, ruth
):
    post(send(PAIRS, "pairs.jsonl"), "import")
    first = Import.objects.get()
    # Another import asks one of its prompts with other answers.
    post(send([PAIRS[0] | {"chosen": "perhaps", "rejected": "never"}], "more.jsonl"), "import")
    address = reverse("data:undo_import", args=[project.slug, first.pk])
    text = client.get(address).content.decode()
    for line in ("3 judgments", "3 tasks", "6 responses", "2 prompts", "1 prompt that something else uses"):
        assert f"<li>{line}</li>" in text, line
    assert Judgment.objects.current().count() == 4
    answer = client.post(address, follow=True).content.decode()
    assert "Taken back: 3 judgments, 3 tasks, 6 responses, 1 prompt that something else uses stay" in answer
    assert Judgment.objects.current().count() == 1
    assert "was taken back already" in client.get(address).content.decode()
    client.force_login(ruth)
    assert client.get(address).status_code == client.post(address).status_code == 404


def test_hostile_names_of_files_and_columns_stay_text(send, post, client, project, criterion):
    hostile = "<script>alert(1)</script>.jsonl"
    upload = send(
        [{"prompt": "Q", "chosen": "a", "rejected": "b", "<img src=x onerror=alert(1)>": "=1"}], hostile
    )
    page, _ = post(upload)
    assert b"<script>alert" not in page.content and b"<img src=x" not in page.content
    page, _ = post(upload, "import")
    assert b"<script>alert" not in page.content


@pytest.mark.parametrize("when", [Prompt, Judgment])
def test_an_import_that_is_asked_to_stop_leaves_nothing(send, post, criterion, max_, monkeypatch, when):
    """Asked once the first rows are in, of several chunks."""
    monkeypatch.setattr(insertion, "TASKS_PER_CHUNK", 1)
    upload = send(PAIRS if when is Judgment else [{"prompt": "Q1"}, {"prompt": "Q2"}])
    monkeypatch.setattr(importing_actions, "ROWS_PER_CHUNK", 1)
    post(upload)
    with pytest.raises(ImportStopped):
        execute(actor=max_, upload=upload, check_only=False, stop_requested=lambda: when.objects.exists())
    assert not any(model.objects.exists() for model in (Import, Prompt, Judgment, Batch, PromptSet))


def test_a_process_that_imports_sees_what_the_site_needs_and_no_more():
    [names] = {kind.environment for kind in RUN_KINDS}
    assert {"ROUNDTABLE_DATABASE_URL", "ROUNDTABLE_DATA_DIR", "DJANGO_SETTINGS_MODULE"} <= set(names)
    assert all(name.startswith(("ROUNDTABLE_", "DJANGO_SETTINGS")) for name in names)
