"""Batches with real tasks in them."""

import uuid

import pytest
from django.urls import reverse

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from tests.annotation.annotator.right_to_left import hebrew, hebrew_page

__all__ = ["hebrew", "hebrew_page"]  # fixtures


@pytest.fixture
def key():
    """A fresh idempotency key at each call."""
    return lambda: uuid.uuid4().hex


@pytest.fixture
def make_batch(project, criterion, max_):
    """An open batch of tasks with `responses_per_task` responses each; `texts` gives the responses of every task,
    `prompt` its question."""

    def make(
        tasks=3,
        responses_per_task=2,
        overlap=1,
        name=None,
        texts=None,
        prompt=None,
        opened=True,
        task_fields=None,
        **fields,
    ):
        batch = create_batch(
            actor=max_,
            project=project,
            criterion=criterion,
            name=name or f"Batch {uuid.uuid4().hex[:6]}",
            responses_per_task=responses_per_task,
            overlap=overlap,
            **fields,
        )
        stem = uuid.uuid4().hex[:6]
        prompts = add_prompts(
            actor=max_,
            project=project,
            rows=[
                {"messages": [{"role": "user", "content": prompt or f"Question {stem}-{number}?"}]}
                for number in range(tasks)
            ],
        )
        source = get_or_create_source(actor=max_, project=project, kind="policy", name="secret-policy-7b")
        responses = add_responses(
            actor=max_,
            project=project,
            rows=[
                NewResponse(
                    prompt=prompt,
                    source=source,
                    text=texts[place] if texts else f"Answer {place} to {stem}-{number}.",
                )
                for number, prompt in enumerate(prompts)
                for place in range(responses_per_task)
            ],
        )
        add_tasks(
            actor=max_,
            batch=batch,
            tasks=[
                NewTask(
                    prompt=prompt,
                    responses=responses[number * responses_per_task :][:responses_per_task],
                    **(task_fields(number) if task_fields else {}),
                )
                for number, prompt in enumerate(prompts)
            ],
        )
        return open_batch(actor=max_, batch=batch) if opened else batch

    return make


@pytest.fixture
def make_annotators(project, make_user):
    """`n` annotators of the project."""
    from workspace.models import Membership

    def make(n):
        people = [make_user(f"annotator{number}") for number in range(n)]
        Membership.objects.bulk_create(
            [Membership(project=project, user=person, role="annotator") for person in people]
        )
        return people

    return make


@pytest.fixture
def address(live_server, project):
    def build(name, **kwargs):
        return live_server.url + reverse(f"annotation:{name}", kwargs={"slug": project.slug, **kwargs})

    return build


@pytest.fixture
def open_as(live_server, client):
    """Gives a browser page the session of somebody."""

    def give(page, person):
        client.force_login(person)
        cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
        page.context.add_cookies([cookie])
        return page

    return give


@pytest.fixture
def forgiving_page(browser):
    """For tests that break the network: its failed requests are errors on the console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()
