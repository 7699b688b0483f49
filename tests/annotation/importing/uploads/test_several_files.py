"""Several files as one import: sent one after the other, read in that order, each under its own name."""

import json

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.importing.uploads.actions import KEEP_UPLOADS, forget_abandoned_uploads
from annotation.models import Import, Prompt, Upload
from workspace.tokens.actions import create_token

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def rows(*names):
    return [{"prompt": f"{name}?"} for name in names]


def test_they_are_one_import_with_the_names_and_splits_of_the_files(
    send, post, client, project, django_capture_on_commit_callbacks
):
    first = send(rows("a", "b"), "train.jsonl", kind="prompts")
    second = send([*rows("c"), {"prompt": 7}], "test.jsonl", part_of=str(first.public_id))
    assert second.part_of == first and first.title == "train.jsonl and 1 more"
    # The page of the second leads to that of the first, which lists both.
    address = reverse("data:upload", args=[project.slug, second.public_id])
    assert client.get(address)["Location"] == reverse("data:upload", args=[project.slug, first.public_id])
    page, text = post(first)
    assert [file.name for file in page.context["files"]] == ["train.jsonl", "test.jsonl"]
    _, text = post(first, "check")
    assert "test.jsonl, line 2, column prompt" in text and not Prompt.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        post(first, "import", skip_bad="on")
    imported = Import.objects.get()
    assert [file["name"] for file in imported.files] == ["train.jsonl", "test.jsonl"]
    assert {file["sha256"] for file in imported.files} == {first.sha256, second.sha256}
    assert (imported.rows, imported.bad_rows) == (4, 1)
    splits = {prompt.messages[0]["content"]: prompt.split for prompt in Prompt.objects.all()}
    assert splits == {"a?": "train", "b?": "train", "c?": "test"}
    second.refresh_from_db()
    assert (second.state, second.imported) == ("imported", imported)
    assert not first.folder.exists() and not second.folder.exists()
    assert client.get(reverse("data:imports", args=[project.slug])).context["uploads"].count() == 0


def test_one_that_is_not_whole_keeps_the_others_from_coming_in(send, begin, put, post, project):
    first = send(rows("a"), "a.jsonl", kind="prompts")
    content = json.dumps(rows("b")[0]).encode()
    cut = begin("b.jsonl", len(content), part_of=str(first.public_id)).json()
    put(cut["pieces"], 0, content[:5])
    _, text = post(first, "import")
    assert "b.jsonl is not whole yet" in text and not Import.objects.exists()
    # Begun again, it goes on in the same import.
    again = begin("b.jsonl", len(content), part_of=str(first.public_id), fingerprint="x").json()
    assert again.get("code") == "file_twice"
    put(cut["pieces"], 5, content[5:])
    post(first, "import")
    assert Prompt.objects.count() == 2


def test_what_a_check_said_does_not_hold_for_one_more_file_or_one_less(send, post, client, project):
    first = send(rows("a"), "a.jsonl", kind="prompts")
    post(first, "check")
    assert first.outcome["rows"] == 1
    second = send(rows("b"), "b.jsonl", part_of=str(first.public_id))
    first.refresh_from_db()
    assert first.outcome == {}
    post(first, "check")
    assert first.outcome["rows"] == 2
    folder = second.folder
    page = client.post(reverse("data:remove_upload", args=[project.slug, second.public_id]))
    assert page["Location"] == reverse("data:upload", args=[project.slug, first.public_id])
    first.refresh_from_db()
    assert (
        first.outcome == {} and first.files() == [first] and not Upload.objects.filter(pk=second.pk).exists()
    )
    assert folder.name and client.get(page["Location"]).status_code == 200


def test_who_may_add_what_to_what(send, begin, project, olga):
    first = send(rows("a"), "a.jsonl", kind="prompts")
    second = send(rows("b"), "b.jsonl", part_of=str(first.public_id))
    refused = begin("a.jsonl", 5, part_of=str(first.public_id))
    assert (refused.status_code, refused.json()["code"]) == (422, "file_twice")
    assert begin("c.jsonl", 5, part_of=str(second.public_id)).json()["code"] == "is_part"
    assert begin("c.jsonl", 5, part_of="nonsense").json()["code"] == "bad_request"
    Upload.objects.filter(pk=first.pk).update(state="imported")
    assert begin("c.jsonl", 5, part_of=str(first.public_id)).json()["code"] == "at_work"
    Upload.objects.filter(pk=first.pk).update(state="complete", owner=olga)
    assert begin("c.jsonl", 5, part_of=str(first.public_id)).status_code == 404
    assert Upload.objects.count() == 2


def test_they_are_given_up_and_forgotten_together(send, client, project, django_capture_on_commit_callbacks):
    first = send(rows("a"), "a.jsonl", kind="prompts")
    second = send(rows("b"), "b.jsonl", part_of=str(first.public_id))
    long_ago = timezone.now() - 2 * KEEP_UPLOADS
    Upload.objects.filter(pk=first.pk).update(touched_at=long_ago)
    assert forget_abandoned_uploads() == 0  # the second was sent today
    Upload.objects.update(touched_at=long_ago)
    with django_capture_on_commit_callbacks(execute=True):
        assert forget_abandoned_uploads() == 1
    assert not Upload.objects.exists() and not first.folder.exists() and not second.folder.exists()


def test_a_program_sends_several(program, client, max_, project):
    call, address = program(max_, project), f"projects/{project.slug}/uploads"
    _, token = create_token(actor=max_, project=project, name="sender", scope="write", role="manager", days=1)
    keys = []
    for name in ("a", "b"):
        content = json.dumps(rows(name)[0]).encode()
        body = {"name": f"{name}.jsonl", "size": len(content)} | ({"part_of": keys[0]} if keys else {})
        made = call("POST", address, body).json()
        keys.append(made["id"])
        assert made["part_of"] == (keys[0] if len(keys) > 1 else None)
        client.put(
            f"/api/v1/{address}/{made['id']}/pieces?offset=0",
            content,
            content_type="application/octet-stream",
            headers={"Authorization": f"Bearer {token}"},
        )
    settings = {"kind": "prompts", "format": "records"}
    assert call("POST", f"{address}/{keys[1]}/import", settings).json()["code"] == "is_part"
    assert call("POST", f"{address}/{keys[0]}/import", settings).json()["state"] == "imported"
    assert Prompt.objects.count() == 2
    other = call("POST", address, {"name": "c.jsonl", "size": 3, "part_of": "0" * 32})
    assert other.status_code == 404
