"""A question from the task to the list of who reviews, and the answer back to its author; nobody else sees it."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from annotation.models import TaskQuestion
from annotation.questions.actions import ask_question
from annotation.queue.actions import claim_task
from tests.annotation.annotator.waiting import wait_for_task
from tests.axe import complaints


def url(name, project, *args):
    return reverse(f"annotation:{name}", args=[project.slug, *args])


@pytest.mark.db
@pytest.mark.django_db
def test_an_answer_reaches_its_author_alone(client, project, ada, ruth, make_user, max_, make_batch):
    make_batch(tasks=2)
    question = ask_question(
        actor=ada, assignment=claim_task(actor=ada, project=project), text="<b>Which</b> is meant?"
    )
    client.force_login(ruth)
    page = client.get(url("questions", project)).content.decode()
    assert "&lt;b&gt;Which&lt;/b&gt; is meant?" in page and "secret-policy" not in page
    address = url("answer_question", project, question.pk)
    assert client.post(address, {"answer": " "}).status_code == 422
    assert client.post(address, {"answer": "The first\r\none.", "expected_answer": ""}).status_code == 302
    assert TaskQuestion.objects.get().answer == "The first\none."
    late = client.post(address, {"answer": "The second.", "expected_answer": ""})
    assert late.status_code == 409 and b"The second." in late.content
    assert client.get(url("questions", project) + "?answers=open").content.count(b"is meant?") == 0
    client.force_login(ada)
    assert "The first\none." in client.get(url("overview", project)).content.decode()
    client.force_login(max_)
    assert "is meant?" not in client.get(url("overview", project)).content.decode()


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_question_is_asked_by_key_and_nothing_is_lost_without_a_network(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=1)
    open_as(page, ada).goto(address("annotate"))
    handle = wait_for_task(page)
    page.keyboard.press("k")
    page.get_by_role("dialog", name="Ask about this task").wait_for()
    page.set_viewport_size({"width": 320, "height": 800})
    assert complaints(page, 320) == []
    page.keyboard.type("Which one is meant?")
    page.context.set_offline(True)
    page.keyboard.press("Control+Enter")
    page.get_by_text("No connection: send it again").wait_for()
    page.context.set_offline(False)
    page.keyboard.press("Control+Enter")
    page.wait_for_function("() => !document.querySelector('#question-dialog').open")
    question = TaskQuestion.objects.get()
    assert (question.text, str(question.assignment.public_id)) == ("Which one is meant?", handle)
    expect(page.locator(".task")).to_have_attribute("data-public-id", handle)
    page.complaints.clear()  # the browser writes the request that did not go out to its console
