"""What a new project still needs: each step ticks itself off when the thing is there."""

import pytest
from django.urls import reverse

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from rounds.first_steps import find_first_steps
from workspace.actions import create_project, publish_guideline
from workspace.members import set_role

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def attic(max_):
    return create_project(actor=max_, name="Attic")


def done(project):
    return [step.name for step in find_first_steps(project).steps if step.done]


def test_each_step_is_done_when_the_thing_is_there_and_only_then(attic, max_, make_user):
    of = {"actor": max_, "project": attic}
    assert done(attic) == []
    publish_guideline(**of, text="   ")
    assert done(attic) == []  # an empty one says nothing
    publish_guideline(**of, text="Prefer the kind one.")
    assert done(attic) == ["question"]
    [prompt] = add_prompts(**of, rows=[{"messages": [{"role": "user", "content": "Tea?"}]}])
    assert done(attic) == ["question", "prompts"]
    source = get_or_create_source(**of, kind="import", name="elsewhere")
    pair = add_responses(
        **of, rows=[NewResponse(prompt=prompt, source=source, text=text) for text in ("Yes.", "No.")]
    )
    assert done(attic) == ["question", "prompts", "policy"]
    set_role(**of, user=make_user("nia"), role="annotator")
    assert done(attic) == ["question", "prompts", "policy", "people"]
    batch = create_batch(**of, criterion=attic.criteria.get(), name="First")
    add_tasks(actor=max_, batch=batch, tasks=[NewTask(prompt=prompt, responses=pair)])
    assert "batch" not in done(attic)  # a draft asks nobody
    open_batch(actor=max_, batch=batch)
    assert find_first_steps(attic).all_done


def test_a_new_project_begins_with_its_first_steps_and_they_go_when_all_are_done(client, make_user):
    root = make_user("root", is_staff=True)
    client.force_login(root)
    form = {"name": "Garden", "criterion_name": "More helpful", "question": "Which?", "overlap": 1}
    answer = client.post(reverse("workspace:new_project"), form | {"lease_minutes": 30}, follow=True)
    project = root.memberships.get().project
    assert answer.redirect_chain == [(reverse("rounds:first_steps", args=["garden"]), 302)]
    assert project.criteria.get().name == "more-helpful"
    for name in (
        "annotation:settings",
        "data:new_upload",
        "policies:list",
        "workspace:people",
        "rounds:start",
    ):
        address = reverse(name, args=["garden"])
        assert f'href="{address}' in answer.content.decode()
        assert client.get(address).status_code == 200
    rounds = client.get(reverse("rounds:list", args=["garden"])).content.decode()
    assert "0 of 5 done" in rounds and 'aria-current="step"' in rounds


def test_the_list_is_gone_when_all_is_done_and_only_managers_see_it(
    client, attic, max_, make_user, monkeypatch
):
    address = reverse("rounds:list", args=[attic.slug])
    ruth = make_user("ruth")
    set_role(actor=max_, project=attic, user=ruth, role="reviewer")
    client.force_login(ruth)
    assert "First steps" not in client.get(address).content.decode()
    client.force_login(max_)
    assert "First steps" in client.get(address).content.decode()
    monkeypatch.setattr("rounds.first_steps.FirstSteps.all_done", True)
    assert "First steps" not in client.get(address).content.decode()


def test_programs_read_the_steps(program, attic, max_):
    answer = program(max_)("GET", "projects/attic/first-steps").json()
    assert answer["all_done"] is False
    assert [(step["name"], step["done"]) for step in answer["steps"]] == [
        (name, False) for name in ("question", "prompts", "policy", "people", "batch")
    ]
