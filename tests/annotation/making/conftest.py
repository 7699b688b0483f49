"""A prompt set whose prompts have answers of three sources."""

import pytest

from annotation.content.actions import (
    NewResponse,
    add_prompts,
    add_responses,
    get_or_create_prompt_set,
    get_or_create_source,
)

# Who answered the prompt 0, 1, ... what: a is sampled twice, b and c once each; prompt 3 has one answer, 4 two alike.
ANSWERS = [
    [("a", "a1"), ("a", "a2"), ("b", "b1"), ("c", "c1")],
    [("a", "a1"), ("b", "b1")],
    [("b", "b1"), ("b", "b2")],
    [("a", "a1")],
    [("a", "same"), ("b", "same")],
]


@pytest.fixture
def answered(project, max_):
    of = {"actor": max_, "project": project}
    prompt_set = get_or_create_prompt_set(**of, name="asked", purpose="policy")
    rows = [{"messages": [{"role": "user", "content": f"Question {n}?"}]} for n in range(len(ANSWERS))]
    prompts = add_prompts(**of, rows=rows, prompt_set=prompt_set)
    sources = {name: get_or_create_source(**of, kind="policy", name=name) for name in "abc"}
    add_responses(
        **of,
        rows=[
            NewResponse(prompt=prompt, source=sources[who], text=text)
            for prompt, given in zip(prompts, ANSWERS, strict=True)
            for who, text in given
        ],
    )
    return prompt_set


def shown(batch):
    tasks = batch.tasks.order_by("pk")
    return [[place.response.text for place in task.task_responses.order_by("position")] for task in tasks]
