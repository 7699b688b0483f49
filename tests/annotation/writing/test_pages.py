"""What the pages of writing show and take, without a browser."""

import json

import pytest
from django.urls import reverse

from annotation.assigning.acknowledging import publish_to_acknowledge
from annotation.models import Demonstration, WritingItem, WritingWork
from annotation.writing.actions import claim_item

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def go(client, project):
    """The person's GET, or POST of `data`."""

    def visit(person, name, data=None, **kwargs):
        client.force_login(person)
        address = reverse(f"annotation:{name}", kwargs={"slug": project.slug, **kwargs})
        return client.get(address) if data is None else client.post(address, data)

    return visit


def test_from_the_opening_to_the_demonstration_by_the_pages(go, max_, ada, ruth, questions):
    fields = {
        "name": "Answers", "kind": "answer", "prompt_set": questions.pk, "copies": 1, "min_words": 2, "max_words": 50,
        "instruction": "Be **brief**.",
    }  # fmt: skip
    assert go(max_, "new_writing_work", fields).status_code == 302
    assert "There is writing work called" in go(max_, "new_writing_work", fields).content.decode()
    work = WritingWork.objects.get()
    assert "Texts to write" in go(ada, "overview").content.decode()
    assert "2 waiting" in go(ada, "writing").content.decode()
    assert go(ada, "begin_writing", {}, pk=work.pk).status_code == 302
    item = WritingItem.objects.get(writer=ada)
    page = go(ada, "write", public_id=item.public_id).content.decode()
    assert "<strong>brief</strong>" in page and "How is rice boiled?" in page
    sent = {"turns": "One", "key": "a", "seen_version": 0}
    refused = go(ada, "send_writing", sent, public_id=item.public_id)
    assert refused.status_code == 422 and "2 to 50 are asked for" in refused.content.decode()
    assert ">\nOne</textarea>" in refused.content.decode()
    assert (
        go(ada, "send_writing", sent | {"turns": "Twice the water."}, public_id=item.public_id).status_code
        == 302
    )

    assert "How is rice boiled?" in go(ruth, "writing_to_check").content.decode()
    said = {"version": 1, "outcome": "send_back", "remark": "How long?", "turns": "Twice the water."}
    assert go(ruth, "review_writing", said, pk=item.pk).status_code == 302
    assert "How long?" in go(ada, "writing").content.decode()
    again = {"turns": "Twice the water, ten minutes.", "key": "b", "seen_version": 1}
    assert go(ada, "send_writing", again, public_id=item.public_id).status_code == 302
    # Ruth has the first version still before her.
    assert go(ruth, "review_writing", said | {"outcome": "accept"}, pk=item.pk).status_code == 409
    page = go(ruth, "writing_text", pk=item.pk).content.decode()
    assert "Version 2" in page and "What changed" in page
    assert (
        go(ruth, "review_writing", said | {"version": 2, "outcome": "accept"}, pk=item.pk).status_code == 302
    )
    assert Demonstration.objects.get().response_text == "Twice the water, ten minutes."
    page = go(ruth, "writing_work", pk=work.pk).content.decode()
    assert "1 of 2 accepted" in page and "1 sent, 1 accepted" in page


def test_a_draft_is_kept_shown_and_compared(client, go, project, ada, prompts):
    item = claim_item(actor=ada, work=prompts)
    client.force_login(ada)
    address = reverse("annotation:writing_draft", kwargs={"slug": project.slug, "public_id": item.public_id})

    def keep(text, number):
        data = json.dumps({"turns": [text], "draft_number": number})
        return client.post(address, data, content_type="application/json")

    answer = keep("**how** is rice boiled", item.draft_number).json()
    assert answer["html"] == ["<p><strong>how</strong> is rice boiled</p>\n"]
    assert answer["alike"] == {"text": "How is rice boiled?", "is_same": False}
    assert keep("Something else", item.draft_number).json()["code"] == "writing_changed"
    assert keep("<script>alert(1)</script>", answer["draft_number"]).json()["html"] == [
        "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"
    ]
    assert "&lt;script&gt;alert(1)" in go(ada, "write", public_id=item.public_id).content.decode()


def test_nobody_checks_on_the_page_what_they_wrote(go, ruth, ada, answers, send):
    version = send(ruth, answers, "Twice the water.")
    page = go(ruth, "writing_text", pk=version.item_id).content.decode()
    assert "another person checks it" in page and 'name="outcome"' not in page
    said = {"version": 1, "outcome": "accept"}
    assert go(ruth, "review_writing", said, pk=version.item_id).status_code == 409
    assert go(ruth, "review_writing", said | {"version": "x"}, pk=version.item_id).status_code == 404
    assert go(ada, "review_writing", said, pk=version.item_id).status_code == 404


def test_a_changed_guideline_is_confirmed_before_a_text_is_written(go, ada, max_, prompts, project):
    held = claim_item(actor=ada, work=prompts)
    new = publish_to_acknowledge(
        actor=max_, project=project, text="Write **plainly**.", must_acknowledge=True
    )
    refused = go(ada, "begin_writing", {}, pk=prompts.pk)
    assert refused.status_code == 302 and refused["Location"].endswith("/guideline/?then=writing")
    page = go(ada, "guideline").content.decode()
    assert "<strong>plainly</strong>" in page and "I have read it" in page
    # What was begun can be sent all the same.
    assert go(ada, "write", public_id=held.public_id).status_code == 200
    for wrong in ("", "99", "x"):
        again = go(ada, "confirm_guideline", {"version": wrong, "then": "writing"})
        assert again["Location"].endswith("/guideline/")
    done = go(ada, "confirm_guideline", {"version": new.version, "then": "writing"})
    assert done["Location"].endswith("/writing/")
    assert "I have read it" not in go(ada, "guideline").content.decode()
    assert go(ada, "begin_writing", {}, pk=prompts.pk)["Location"].endswith(f"/{held.public_id}/")
    # An address of elsewhere is not followed.
    elsewhere = go(ada, "confirm_guideline", {"version": new.version, "then": "//example.org"})
    assert elsewhere["Location"] == f"/projects/{project.slug}/annotate/"
