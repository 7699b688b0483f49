import pytest

from annotation.content.actions import (
    NewDemonstration,
    NewResponse,
    add_demonstrations,
    add_prompts,
    add_responses,
    get_or_create_prompt_set,
    get_or_create_source,
)
from annotation.errors import InvalidTask, InvalidText, PromptConflict
from annotation.models import Demonstration, Prompt, Response
from workspace.actions import create_project
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def asks(text, **fields):
    return {"messages": [{"role": "user", "content": text}]} | fields


@pytest.fixture
def add(max_, project):
    return lambda *rows, **fields: add_prompts(actor=max_, project=project, rows=rows, **fields)


@pytest.fixture
def prompt(add):
    return add(asks("Hot or cold?"))[0]


@pytest.fixture
def source(max_, project):
    return get_or_create_source(actor=max_, project=project, kind="policy", name="start")


def test_prompts_come_back_in_order_and_the_same_conversation_is_one_prompt(add):
    first, second, again = add(asks("One?"), asks("Two?", prompt_id="p-2", tags=["short"]), asks("One?"))
    assert (again, second.external_id, second.tags) == (first, "p-2", ["short"])
    assert add(asks("Two?", prompt_id="p-2"), asks("One?")) == [second, first]
    assert Prompt.objects.count() == 2
    events = AuditEvent.objects.filter(action="prompts.add").order_by("pk")
    assert [event.details for event in events] == [{"rows": 3, "new": 2}, {"rows": 2, "new": 0}]


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (asks("Other?", prompt_id="p-1"), PromptConflict),
        (asks("Other?", kind="riddle"), PromptConflict),
        (asks("Other?", prompt_id="p" * 201), InvalidText),
        (asks(" "), InvalidText),
        (asks("Other?", tags=["a\0b"]), InvalidText),
    ],
)
def test_a_prompt_that_conflicts_or_cannot_be_stored_is_refused_with_all_others(add, row, error):
    add(asks("One?", prompt_id="p-1"))
    with pytest.raises(error):
        add(asks("Two?"), row)
    assert Prompt.objects.count() == 1


def test_a_prompt_set_takes_each_prompt_once_and_keeps_its_purpose(add, max_, project):
    prompts = get_or_create_prompt_set(actor=max_, project=project, name="Cold", purpose="policy")
    for _ in range(2):
        add(asks("One?"), asks("One?"), prompt_set=prompts)
    assert prompts.prompts.count() == 1
    assert get_or_create_prompt_set(actor=max_, project=project, name="Cold", purpose="policy") == prompts
    with pytest.raises(PromptConflict):
        get_or_create_prompt_set(actor=max_, project=project, name="Cold", purpose="sft")


def test_responses_come_back_in_order_and_an_id_is_one_response(max_, project, prompt, source):
    rows = [
        NewResponse(prompt=prompt, source=source, text="", response_id="r-1", sampling={"temperature": 1.0}),
        NewResponse(prompt=prompt, source=source, text="Cold.", token_ids=[1, 2], logprobs=[-0.5, -0.25]),
        NewResponse(prompt=prompt, source=source, text="", response_id="r-1"),
    ]
    first, second, again = add_responses(actor=max_, project=project, rows=rows)
    assert (again, first.sampling, second.token_ids) == (first, {"temperature": 1.0}, [1, 2])
    assert add_responses(actor=max_, project=project, rows=rows[:1]) == [first]
    assert Response.objects.count() == 2


def test_an_id_with_another_text_and_a_prompt_of_another_project_are_refused(max_, project, prompt, source):
    add_responses(
        actor=max_,
        project=project,
        rows=[NewResponse(prompt=prompt, source=source, text="Cold.", response_id="r-1")],
    )
    other = create_project(actor=max_, name="Garden")
    row = NewResponse(prompt=prompt, source=source, text="Hot.", response_id="r-1")
    for where in (project, other):
        with pytest.raises(InvalidTask):
            add_responses(actor=max_, project=where, rows=[row])
    with pytest.raises(InvalidTask):
        add_demonstrations(actor=max_, project=other, rows=[NewDemonstration(prompt=prompt, text="Cold.")])
    assert Response.objects.count() == 1


def test_a_demonstration_has_text_and_its_id_is_taken_once(max_, ada, project, prompt):
    row = NewDemonstration(prompt=prompt, text="Cold.", author=ada, demonstration_id="d-1")
    first, again = add_demonstrations(actor=max_, project=project, rows=[row, row])
    assert (again, first.author, first.response_text) == (first, ada, "Cold.")
    with pytest.raises(InvalidText):
        add_demonstrations(actor=max_, project=project, rows=[NewDemonstration(prompt=prompt, text=" ")])
    assert Demonstration.objects.count() == 1
