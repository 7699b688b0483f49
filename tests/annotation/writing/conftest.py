"""Writing work of each kind."""

import uuid

import pytest

from annotation.content.actions import add_prompts, get_or_create_prompt_set
from annotation.writing.actions import claim_item, submit_text
from annotation.writing.works import open_work


@pytest.fixture
def questions(project, max_):
    """A prompt set of two prompts."""
    found = get_or_create_prompt_set(actor=max_, project=project, name="questions", purpose="sft")
    rows = [
        {"messages": [{"role": "user", "content": text}]} for text in ("How is rice boiled?", "And beans?")
    ]
    add_prompts(actor=max_, project=project, rows=rows, prompt_set=found)
    return found


@pytest.fixture
def answers(project, max_, questions):
    return open_work(
        actor=max_,
        project=project,
        name="Answers",
        kind="answer",
        prompt_set=questions,
        min_words=2,
        max_words=9,
    )


@pytest.fixture
def dialogues(project, max_):
    return open_work(actor=max_, project=project, name="Dialogues", kind="dialogue", items=1)


@pytest.fixture
def prompts(project, max_, questions):
    return open_work(
        actor=max_,
        project=project,
        name="Prompts",
        kind="prompt",
        prompt_kind="few-shot",
        items=3,
        prompt_set=questions,
    )


@pytest.fixture
def send():
    """The actor claims an item of the work and sends a text: the version."""

    def give(actor, work, *turns):
        item = claim_item(actor=actor, work=work)
        return submit_text(actor=actor, item=item, turns=list(turns), key=uuid.uuid4().hex)

    return give
