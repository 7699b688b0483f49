from collections import Counter

import pytest

from annotation.batches.actions import NewTask, add_tasks, create_batch
from annotation.content.actions import NewResponse, add_responses
from rounds.task_selection import (
    comparison_tasks,
    head_to_head_tasks,
    reserve_tasks,
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


def test_a_task_has_different_texts_of_all_sources_in_turn(project, prompt_set, make_policy, max_):
    old, new = make_policy("old"), make_policy("new")
    prompt = prompt_set.prompts.first()
    responses = answers(max_, project, prompt, old, ["a", "b", "c"]) + answers(
        max_, project, prompt, new, ["a", "d"]
    )
    comparisons = comparison_tasks([prompt], responses, [4])
    (task,) = comparisons.tasks
    assert (comparisons.smaller, comparisons.left_out, comparisons.sentence) == (0, 0, "")
    assert {response.text for response in task.responses} == {"a", "b", "c", "d"}
    assert len(task.responses) == 4


def test_of_more_samples_than_a_task_shows_every_source_is_left_out_equally_often(
    project, prompt_set, make_policy, max_
):
    """What a round that began before tasks were planned has sampled: three policies, pairs."""
    policies = [make_policy(name) for name in ("a", "b", "c")]
    prompts = list(prompt_set.prompts.all())
    responses = [
        response
        for prompt in prompts
        for policy in policies
        for response in answers(max_, project, prompt, policy, [f"{policy.name}1", f"{policy.name}2"])
    ]
    tasks = comparison_tasks(prompts, responses, [2] * 12).tasks
    pairs = Counter("".join(sorted(response.source.name for response in task.responses)) for task in tasks)
    assert pairs == {"ab": 4, "bc": 4, "ac": 4}


def test_a_prompt_with_fewer_different_answers_becomes_a_smaller_ranking_and_is_counted(
    project, prompt_set, policy, max_
):
    full, smaller, same = prompt_set.prompts.all()[:3]
    responses = [
        *answers(max_, project, full, policy, ["1", "2", "3", "4"]),
        *answers(max_, project, smaller, policy, ["1", "2", "1 ", "2"]),
        *answers(max_, project, same, policy, ["same", "same ", "same", "same"]),
    ]
    comparisons = comparison_tasks([full, smaller, same], responses, [4, 4, 4])
    assert [len(task.responses) for task in comparisons.tasks] == [4, 2]
    assert (comparisons.smaller, comparisons.left_out) == (1, 1)
    assert comparisons.sentence == (
        "1 of them smaller than asked for, because samples repeated each other; "
        "1 prompt was left out, all of whose answers were the same"
    )


def test_head_to_head_pairs_hold_one_answer_of_each_on_the_same_prompt_and_equal_answers_are_counted(
    project, prompt_set, make_policy, max_
):
    old, new = make_policy("old"), make_policy("new")
    first, second, third = prompt_set.prompts.all()[:3]
    own = (
        answers(max_, project, first, new, ["new words", "more"])
        + answers(max_, project, second, new, ["alone"])
        + answers(max_, project, third, new, ["equal"])
    )
    others = answers(max_, project, first, old, ["old words"]) + answers(
        max_, project, third, old, ["equal "]
    )
    (task,), equal = head_to_head_tasks([first, second, third], own, others)
    assert task.purpose == "head_to_head"
    assert [response.text for response in task.responses] == ["new words", "old words"]
    assert equal == 1


def test_reserved_tasks_never_take_more_than_half(project, prompt_set, policy, max_, ada):
    tasks = [
        task
        for prompt in prompt_set.prompts.all()
        for task in comparison_tasks([prompt], answers(max_, project, prompt, policy, ["x", "y"]), [2]).tasks
    ]
    rest, reserved = reserve_tasks(tasks, [ada], 3)
    assert (len(rest), len(reserved[ada])) == (9, 3)
    assert all(task.reserved_for == ada for task in reserved[ada])
    rest, reserved = reserve_tasks(tasks, [ada], 100)
    assert (len(rest), len(reserved[ada])) == (6, 6)
