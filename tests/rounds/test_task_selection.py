import pytest

from annotation.batches.actions import NewTask, add_tasks, create_batch
from annotation.content.actions import NewResponse, add_responses
from policy_training.training.config import SampleOptions
from rounds.plans import SamplingPlan
from rounds.task_selection import (
    comparison_tasks,
    head_to_head_tasks,
    reserve_tasks,
    samples_per_policy,
    select_prompts,
)

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def answers(actor, project, prompt, policy, texts, temperature=1.0):
    rows = [
        NewResponse(prompt=prompt, source=policy.source, text=text, sampling={"temperature": temperature})
        for text in texts
    ]
    return add_responses(actor=actor, project=project, rows=rows)


def test_prompts_that_no_round_has_sampled_come_first_and_never_twice_before_all_were_sampled(
    project, criterion, prompt_set, policy, max_
):
    first = select_prompts(project, prompt_set, 5)
    assert first == select_prompts(project, prompt_set, 5)
    batch = create_batch(actor=max_, project=project, criterion=criterion, name="Round 1", round_number=1)
    for prompt in first:
        pair = answers(max_, project, prompt, policy, ["one", "two"])
        add_tasks(actor=max_, batch=batch, tasks=[NewTask(prompt=prompt, responses=pair)])
    second = select_prompts(project, prompt_set, 12)
    assert set(second[:7]).isdisjoint(first)
    assert set(second) == set(prompt_set.prompts.all())


@pytest.mark.parametrize(
    ("k", "temperatures", "policies", "each"),
    [(2, 1, 1, 2), (4, 2, 1, 2), (4, 2, 2, 1), (5, 2, 1, 3), (2, 3, 2, 1)],
)
def test_enough_samples_are_asked_for_k_responses(k, temperatures, policies, each):
    plan = SamplingPlan(
        responses_per_task=k,
        options=SampleOptions(temperatures=tuple(0.5 + n for n in range(temperatures))),
    )
    assert samples_per_policy(plan, policies) == each


def test_a_task_has_k_different_texts_of_all_sources_in_turn(project, prompt_set, make_policy, max_):
    old, new = make_policy("old"), make_policy("new")
    prompt = prompt_set.prompts.first()
    responses = answers(max_, project, prompt, old, ["a", "b", "c"]) + answers(
        max_, project, prompt, new, ["a", "d"]
    )
    (task,) = comparison_tasks([prompt], responses, 4)
    assert len({response.text for response in task.responses}) == 4
    assert {response.source_id for response in task.responses[:2]} == {old.source_id} or {
        response.source_id for response in task.responses
    } == {old.source_id, new.source_id}


def test_a_prompt_whose_samples_repeat_each_other_is_left_out(project, prompt_set, policy, max_):
    prompt = prompt_set.prompts.first()
    responses = answers(max_, project, prompt, policy, ["same", "same ", "same"])
    assert comparison_tasks([prompt], responses, 2) == []


def test_head_to_head_pairs_hold_one_answer_of_each_policy_on_the_same_prompt(
    project, prompt_set, make_policy, max_
):
    old, new = make_policy("old"), make_policy("new")
    first, second, third = prompt_set.prompts.all()[:3]
    responses = (
        answers(max_, project, first, old, ["old words"])
        + answers(max_, project, first, new, ["new words", "more"])
        + answers(max_, project, second, new, ["alone"])
        + answers(max_, project, third, old, ["equal"])
        + answers(max_, project, third, new, ["equal"])
    )
    (task,) = head_to_head_tasks([first, second, third], responses, new, old)
    assert task.purpose == "head_to_head"
    assert [response.text for response in task.responses] == ["new words", "old words"]


def test_reserved_tasks_never_take_more_than_half(project, prompt_set, policy, max_, ada):
    tasks = [
        task
        for prompt in prompt_set.prompts.all()
        for task in comparison_tasks([prompt], answers(max_, project, prompt, policy, ["x", "y"]), 2)
    ]
    rest, reserved = reserve_tasks(tasks, [ada], 3)
    assert (len(rest), len(reserved[ada])) == (9, 3)
    assert all(task.reserved_for == ada for task in reserved[ada])
    rest, reserved = reserve_tasks(tasks, [ada], 100)
    assert (len(rest), len(reserved[ada])) == (6, 6)
